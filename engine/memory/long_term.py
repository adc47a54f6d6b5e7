"""Working memory that is consolidated into a bounded long-term memory of prototypes (XMem, section 3.3 and 3.4).

Knows tensors; a frame is `positions` of them. Numerically equal to the published code, its treatment of tracks that
enter late included. One such memory per bucket of tracks gives the variant in which late tracks have keys of their own.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.errors import UsageError
from engine.memory.read import Affinity, query_blocks, similarity
from engine.memory.working import KeyValueMemory

_STEP = 1024  # positions by which the sizes of the joined memory differ


@dataclass(frozen=True)
class LongTermOptions:
    """XMem's numbers. Working memory holds `least` to `most` frames; the first frame and the newest ones stay in it.

    Every consolidation makes `prototypes` of the rest, at most `elements` are held. consolidate: off, working memory
    grows without end, as in STCN.
    """

    top_k: int | None = 30
    most: int = 10
    least: int = 5
    prototypes: int = 128
    elements: int = 10_000
    consolidate: bool = True

    def __post_init__(self) -> None:
        """Raises UsageError for numbers that contradict each other."""
        if not 2 <= self.least < self.most:
            raise UsageError(
                f"working memory of {self.least} to {self.most} frames",
                "keep at least 2 frames, and less than the most",
            )
        if self.prototypes >= self.elements:
            raise UsageError(f"{self.prototypes} prototypes in a memory of {self.elements}", "give room for several")


class LongTermMemory:
    """Read as one memory: long-term positions first, then working ones. Rows are tracks in the order of entry."""

    def __init__(self, options: LongTermOptions) -> None:
        self.options = options
        self.working = KeyValueMemory()
        self.long = KeyValueMemory()

    def add(self, key: Tensor, shrinkage: Tensor, selection: Tensor, values: Tensor) -> None:
        """Remember a frame; consolidate if working memory is full.

        key and selection (1, C_k, HW), shrinkage (1, 1, HW), values (tracks, C_v, HW). Tracks beyond those known form a
        new group.
        """
        by_group = list(values.transpose(1, 2).float().split(self._group_sizes(len(values))))
        self.working.append(key.float(), shrinkage.float(), selection.float(), by_group)
        positions = key.shape[2]
        if self.options.consolidate and self.working.size >= self.options.most * positions:
            self._remove_obsolete()
            self._compress(positions)

    def read(self, query: Tensor, selection: Tensor, count: bool = True) -> Tensor:
        """Query and selection (1, C_k, Q) -> (tracks, C_v, Q). Usage is counted if asked."""
        key, shrinkage = self._keys()
        positions = self.long.size + self.working.size
        used = key.new_zeros(positions)
        parts = []
        for part in query_blocks(positions, query.shape[2]):
            asked = query[:, :, part].float(), selection[:, :, part].float()
            scores = similarity(key, shrinkage, *asked)[0, :positions]
            read = []
            for group in range(len(self.working.values)):
                weights = Affinity(self._own(scores, group), self.options.top_k)
                if group == 0:
                    used += weights.usage()
                read.append(weights.read(self._values(group)).transpose(1, 2))
            parts.append(torch.cat(read))
        if count:
            self._count(used)
        return torch.cat(parts, 2)

    def drop(self, rows: Sequence[int]) -> None:
        """Forget tracks."""
        self.working.drop(rows)
        if self.long.size:
            self.long.drop(rows)

    def state(self) -> dict[str, Any]:
        """Plain arrays."""
        return {"working": self.working.state(), "long": self.long.state()}

    def load_state(self, state: dict[str, Any], device: torch.device | str = "cpu") -> None:
        """Become what `state` describes."""
        self.working.load_state(state["working"], device)
        self.long.load_state(state["long"], device)

    def _group_sizes(self, tracks: int) -> list[int]:
        sizes = [len(group) for group in self.working.values]
        return [*sizes, tracks - sum(sizes)] if tracks > sum(sizes) else sizes

    def _keys(self) -> tuple[Tensor, Tensor]:
        """Keys and shrinkage of all positions and of some behind them that mean nothing.

        oneDNN keeps a kernel for every size of matrix that it has met. The long-term memory passes through hundreds of
        sizes, half a gigabyte of kernels; filled up to few sizes it needs next to none.
        """
        assert self.working.key is not None and self.working.shrinkage is not None, "read before anything was added"
        if self.long.key is None or self.long.shrinkage is None:
            return self.working.key, self.working.shrinkage
        parts = [(self.long.key, self.long.shrinkage), (self.working.key, self.working.shrinkage)]
        spare = -(self.long.size + self.working.size) % _STEP
        keys, shrinkages = zip(*parts, [part.new_zeros(1, part.shape[1], spare) for part in parts[0]], strict=True)
        return torch.cat(keys, 2), torch.cat(shrinkages, 2)

    def _own(self, scores: Tensor, group: int) -> Tensor:
        """The rows of scores (M, Q) that a group has values for: the last of each memory."""
        long, working = self.long.size, self.working.size
        first, second = self.long.size_of(group), self.working.size_of(group)
        if first + second == long + working:
            return scores
        return torch.cat([scores[long - first : long], scores[long + working - second :]])

    def _values(self, group: int) -> Iterable[Tensor]:
        """Values (M, C_v) of each track; both memories are joined for one track at a time."""
        if not self.long.size_of(group):
            return self.working.values[group]
        pairs = zip(self.long.values[group], self.working.values[group], strict=True)
        return (torch.cat(pair) for pair in pairs)

    def _count(self, used: Tensor) -> None:
        """Add the usage by the first group, which has values for all positions. Only consolidation asks for it."""
        if self.options.consolidate:
            self.working.count(used[self.long.size :])
            if self.long.size:
                self.long.count(used[: self.long.size])

    def _remove_obsolete(self) -> None:
        """Make room for the next prototypes: the least used go, and all that are used as little."""
        surplus = self.long.size - (self.options.elements - self.options.prototypes)
        if surplus > 0:
            usage = self.long.usage()
            self.long.keep(usage > usage.kthvalue(surplus).values)

    def _compress(self, positions: int) -> None:
        """All but the first and the newest frames become prototypes: the most used keys, with values averaged there."""
        working, behind = self.working, (self.options.least - 1) * positions
        assert working.key is not None and working.shrinkage is not None and working.selection is not None
        candidates = slice(positions, working.size - behind)
        key, shrinkage = working.key[:, :, candidates], working.shrinkage[:, :, candidates]
        usage = working.usage()[candidates]
        chosen = usage.topk(min(self.options.prototypes, len(usage))).indices
        prototypes = key[:, :, chosen]
        scores = similarity(key, shrinkage, prototypes, working.selection[:, :, candidates][:, :, chosen])[0]
        values = [self._averaged(group, scores, chosen, positions, behind) for group in range(len(working.values))]
        self.long.append(prototypes, shrinkage @ scores.softmax(0), None, values)
        working.cut(positions, behind)

    def _averaged(self, group: int, scores: Tensor, chosen: Tensor, positions: int, behind: int) -> Tensor:
        """Values (tracks, prototypes, C_v) of one group; a late group has only prototypes among its own candidates."""
        values = self.working.values[group]
        enough = values.shape[1] == self.working.size or values.shape[1] > behind + 2 * positions
        own = values[:, positions : values.shape[1] - behind] if enough else values[:, :0]
        valid = chosen >= len(scores) - own.shape[1]
        weights = scores[len(scores) - own.shape[1] :, valid].softmax(0)
        return torch.stack([weights.T @ track for track in own])
