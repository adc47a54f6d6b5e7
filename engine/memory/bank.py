"""The temporal memory of MMPM: a bounded set of frames, their keys shared by all tracks, their values per track.

Knows tensors and frame numbers; what keys mean, and which frames are worth adding, is the tracker's business.
One memory of T_max frames serves all tracks of a clip: rows are tracks, in the order in which they entered. A track
that entered late has values only from then on and reads only those frames. The frame of every track's latest given
mask is an anchor (see eviction.py). If nothing may go, because every entry is the only one or the anchor of some track,
the memory outgrows its limit: it is bounded by max(T_max, tracks + 2) frames, whatever the length of the video.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.memory.decisions import Decisions
from engine.memory.eviction import check_policy, eviction_candidates
from engine.memory.nearest import nearest
from engine.memory.plain import from_plain, to_plain
from engine.memory.read import (
    Affinity,
    NearestWeights,
    distances,
    memory_side,
    query_blocks,
    query_side,
    scores_by_query,
)
from engine.memory.table import FrameTable


class TemporalMemory:
    """At most `limit` frames, evicted by `policy`; random choices are asked of `decisions`.

    dtype: of the factors of the similarity. Keys count as differences only, so the mean of the first frame's keys is
    taken off all of them: what is left is smaller, and smaller types hold it better.
    home: where keys and values are kept, if not where they come from; a read brings there and back what it needs.
    """

    def __init__(
        self,
        limit: int,
        policy: str,
        decisions: Decisions,
        dtype: torch.dtype = torch.float32,
        home: torch.device | None = None,
    ) -> None:
        check_policy(policy)
        self.home = home
        self.limit = limit
        self.dtype = dtype
        self.policy = policy
        self.decisions = decisions
        self.frames: list[int] = []  # in the order of the table's slots
        self.since: list[int] = []  # per track: the frame at which it entered
        self.given: list[int] = []  # per track: the frame of the latest mask that somebody gave
        self._table: FrameTable | None = None
        self._centre = torch.empty(0)  # (1, C_k, 1)

    def __len__(self) -> int:
        return len(self.frames)

    def clear(self) -> None:
        """Forget everything; decisions begin again."""
        self.frames, self.since, self.given, self._table = [], [], [], None
        self.decisions.restart()

    def add(self, frame: int, key: Tensor, shrinkage: Tensor, values: Tensor, given: Sequence[int] = ()) -> None:
        """Remember a frame later than all others; others go, or it goes itself, while there are too many.

        key (1, C_k, HW), shrinkage (1, 1, HW), values (tracks, C_v, HW); tracks beyond those known enter here.
        given: rows whose mask in this frame was given rather than predicted.
        """
        entering = values.shape[0] - len(self.since)
        self.since += [frame] * entering
        self.given += [frame] * entering
        for row in given:
            self.given[row] = frame
        if not self._make_room_for(frame):
            return
        if self._table is None:
            self._centre = key.float().mean(2, keepdim=True)
        factor = memory_side(key.float() - self._centre, shrinkage.float())[0].T.to(self.dtype)
        factor, rows = factor.to(self.home or factor.device), values.transpose(1, 2).to(self.home or values.device)
        if self._table is None:
            self._table = FrameTable(self.limit, factor, rows)
        self._table.append(factor, rows)
        self.frames.append(frame)

    def read(self, query: Tensor, selection: Tensor | None, top_k: int | None = None) -> Tensor:
        """Read-out of every track: query and selection (1, C_k, Q) -> (tracks, C_v, Q).

        Softmax over all positions of the frames that a track has; with top_k over the most similar ones of them.
        """
        assert self._table is not None, "read before anything was added"
        chosen = None if selection is None else selection.float()
        queries = query_side(query.float() - self._centre, chosen)[0].T.to(self.dtype)
        values = self._table.values
        read = torch.empty(len(values), len(queries), values.shape[3], dtype=values.dtype, device=query.device)
        for part in query_blocks(self._table.filled * self._table.places, len(queries)):
            if top_k is None:
                self._read_all(queries[part], read[:, part])
            else:
                self._read_nearest(queries[part], top_k, read[:, part])
        return read.transpose(1, 2)

    def _read_all(self, queries: Tensor, read: Tensor) -> None:
        """Softmax over all positions: queries (Q, K), to be read into (tracks, Q, C_v). Values come track by track."""
        assert self._table is not None
        scores = scores_by_query(self._table.flat_keys().to(queries.device), queries)
        for rows, slots in self._by_entry():
            own = scores
            if slots is not None:
                foreign = torch.ones(len(self), dtype=torch.bool, device=scores.device)
                foreign[slots] = False
                own = scores.masked_fill(foreign.repeat_interleave(self._table.places).unsqueeze(1), float("-inf"))
            read[rows] = Affinity(own).read(track.to(read.device) for track in self._table.flat_values(rows))

    def _read_nearest(self, queries: Tensor, top_k: int, read: Tensor) -> None:
        """Softmax over the most similar positions; arguments as above. Values are gathered where they are kept."""
        assert self._table is not None
        places, home = self._table.places, self._table.values.device
        far = [distances(queries, key.to(queries.device)) for key in self._table.filled_keys()]
        for rows, slots in self._by_entry():
            least, at = nearest(far if slots is None else [far[slot] for slot in slots], top_k)
            if slots is not None:
                at = torch.tensor(slots, device=at.device)[at // places] * places + at % places
            weights = NearestWeights(least.to(home), at.to(home))
            read[rows] = weights.read(self._table.flat_values(rows)).to(read.device)

    def drop(self, rows: Sequence[int]) -> None:
        """Forget tracks; frames that no track reads any more go with them."""
        kept = [row for row in range(len(self.since)) if row not in rows]
        self.since = [self.since[row] for row in kept]
        self.given = [self.given[row] for row in kept]
        if self._table is not None:
            self._table.keep_tracks(kept)
        for frame in sorted(self.frames):
            if all(frame < first for first in self.since):
                self._remove(frame)

    def state(self) -> dict[str, Any]:
        """Plain numbers and arrays."""
        return {
            "frames": list(self.frames),
            "since": list(self.since),
            "given": list(self.given),
            "table": [] if self._table is None else self._table.state(),
            "centre": to_plain(self._centre),
            "decisions": self.decisions.state(),
        }

    def load_state(self, state: dict[str, Any], device: torch.device | str = "cpu") -> None:
        """Become what `state` describes; limit, policy and the kind of decisions are those of this object."""
        self.frames = [int(frame) for frame in state["frames"]]
        self.since = [int(frame) for frame in state["since"]]
        self.given = [int(frame) for frame in state["given"]]
        self._table = FrameTable.from_state(self.limit, state["table"], self.home or device) if self.frames else None
        self._centre = from_plain(state["centre"], device)
        self.decisions.load_state(state["decisions"])

    def _by_entry(self) -> Iterator[tuple[slice, list[int] | None]]:
        """Tracks that may read the same frames, and the slots of these; None for all."""
        start = 0
        while start < len(self.since):
            stop = start + self.since[start:].count(self.since[start])
            own = [slot for slot, frame in enumerate(self.frames) if frame >= self.since[start]]
            yield slice(start, stop), None if len(own) == len(self) else own
            start = stop

    def _make_room_for(self, newcomer: int) -> bool:
        """Evict among the frames and the newcomer; False if the newcomer itself has to go."""
        while len(self.frames) + 1 > self.limit:
            ordered = [*sorted(self.frames), newcomer]
            anchors = {index for index, frame in enumerate(ordered) if frame in self.given}
            candidates = eviction_candidates(self.policy, len(ordered), anchors, self._needed(ordered))
            if not candidates:
                return True
            gone = ordered[self.decisions.evict(candidates, len(ordered))]
            if gone == newcomer:
                return False
            self._remove(gone)
        return True

    def _needed(self, ordered: list[int]) -> set[int]:
        """Indices of frames that are the only one of some track."""
        owned = ([index for index, frame in enumerate(ordered) if frame >= first] for first in set(self.since))
        return {indices[0] for indices in owned if len(indices) == 1}

    def _remove(self, frame: int) -> None:
        """Take a frame out; the table moves its last slot into the gap."""
        slot = self.frames.index(frame)
        last = self.frames.pop()
        if slot < len(self.frames):
            self.frames[slot] = last
        assert self._table is not None
        self._table.remove(slot)
