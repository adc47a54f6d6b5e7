"""BMVOS through time: each object's first frame, its previous frame and three latest masks (docs/bmvos.md).

The similarity of a frame with a reference frame is worked out once for all objects that share the reference; masks are
matched in one pass over all objects. Nothing grows with the video. Objects compete with their own background; with
`exclusive` they share out the pixels, as published.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from engine.memory.plain import from_plain, to_plain
from engine.models.bmvos.matching import bijective, read, similarity
from engine.models.bmvos.network import aggregated, alone, pooled
from engine.propagation.bmvos_frames import BMVOSFrame, BMVOSFrames
from engine.propagation.pending import Pending, PendingTracker
from engine.runtime.batches import FittingBatches
from engine.runtime.precision import autocast
from engine.types import BoolArray, UInt8Array

_TENSORS = ("_first_masks", "_last_key", "_last_masks", "_history", "_births")


class BMVOSTracker(PendingTracker[BMVOSFrame]):
    """The Tracker interface over per-object states, all objects in one tensor each.

    _first_keys: of the frames on which objects were given, (512, N) each; _births (n): which of them is an object's.
    _first_masks, _last_masks (n, 2, N): background and foreground, pooled. _history (n, 3, H', W'): newest first.
    """

    frames: BMVOSFrames

    def __init__(self, frames: BMVOSFrames, chunk: int = 8) -> None:
        """chunk: most objects in one pass of mask embedder and decoder; never changes the result."""
        super().__init__(frames)
        self._batches = FittingBatches(chunk)
        self._soft = torch.empty(0)
        self._first_keys: list[Tensor] = []
        self._clear()

    def start(self, frame: UInt8Array, masks: BoolArray) -> None:
        """Begin with bool masks (N, H, W), N >= 1, on the first frame. Raises MaskError on other sizes."""
        if masks.ndim == 3 and masks.shape[1:] == frame.shape[:2]:
            self.frames.choose_size(masks)
        super().start(frame, masks)

    @torch.inference_mode()
    def state(self) -> dict[str, Any]:
        """All of it as plain values. Masks can no longer be given on this frame."""
        settled = self._settled()
        tensors = {name: to_plain(getattr(self, name)) for name in _TENSORS}
        return {
            **settled,
            "own_size": self.frames.own_size,
            "tensors": tensors,
            "first_keys": [to_plain(key) for key in self._first_keys],
        }

    @torch.inference_mode()
    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken, with the same weights and options, bit for bit on the same machine."""
        device = self.frames.device
        self._resettle(state)
        self.frames.own_size = bool(state["own_size"])
        for name in _TENSORS:
            setattr(self, name, from_plain(state["tensors"][name], device))
        self._first_keys = [from_plain(key, device) for key in state["first_keys"]]

    def _clear(self) -> None:
        self._first_keys = []
        self._births = torch.empty(0, dtype=torch.long)
        self._last_key = self._first_masks = self._last_masks = self._history = torch.empty(0)

    def _begin(self, frame: BMVOSFrame) -> None:
        self._clear()

    def _enter(self, frame: BMVOSFrame, tracks: int) -> None:
        """An object's state begins when the frame it is given on is remembered."""

    def _leave(self, rows: Sequence[int]) -> None:
        kept = [row for row in range(len(self._births)) if row not in rows]
        for name in ("_first_masks", "_last_masks", "_history", "_births"):
            setattr(self, name, getattr(self, name)[kept])
        self._drop_keys()

    def _segment(self, frame: BMVOSFrame, last: bool) -> Tensor:
        if not len(self._births):
            height, width = (16 * length for length in frame.encoded.size)
            self._soft = torch.zeros(0, 2, height, width, device=self.frames.device)
            return self._soft[:, 1]
        matching = self._matching(frame.encoded.key[0])

        def work(start: int, stop: int) -> Tensor:
            scores = self.frames.network.scores(frame.encoded, matching[start:stop], self._history[start:stop])
            return scores.float().softmax(1)

        with autocast(self.frames.device, self.frames.dtype):
            self._soft = torch.cat(list(self._batches.run(len(self._births), work)))
        return self._shares(self._soft)

    def _matching(self, key: Tensor) -> Tensor:
        """Global and local scores (n, 4, N) of all objects."""
        found = key.new_empty(len(self._births), 2, key.shape[1])
        for birth, first_key in enumerate(self._first_keys):
            rows = self._births == birth
            planes = self._first_masks[rows].flatten(0, 1)
            found[rows] = read(similarity(first_key, key), planes).unflatten(0, (-1, 2))
        local = read(bijective(similarity(self._last_key, key)), self._last_masks.flatten(0, 1))
        return torch.cat([found, local.unflatten(0, (-1, 2))], 1)

    def _shares(self, soft: Tensor) -> Tensor:
        """What is fed back: background and foreground (n, 2, H', W') of each object -> its share (n, H', W')."""
        return aggregated(soft)[1:] if self.exclusive else alone(soft)

    def _remember(self, pending: Pending[BMVOSFrame]) -> None:
        if not len(pending.soft):
            return
        key, given = pending.frame.encoded.key[0], sorted(pending.given)
        shares = self._fed_back(pending, given) if pending.segmented else pending.soft
        planes = pooled(shares)
        if pending.segmented:
            self._history = torch.cat([shares[: len(self._history), None], self._history[:, :2]], 1)
        if given:
            self._begin_objects(given, key, pending.soft[given], planes)
        if pending.segmented:
            self._history[given, 0] = shares[given]
        self._last_key, self._last_masks = key, planes

    def _begin_objects(self, rows: list[int], key: Tensor, hard: Tensor, planes: Tensor) -> None:
        """Fresh states for masks (len(rows), H', W') given on the frame of this key; rows may be new."""
        count = len(planes)
        self._history = _grown(self._history, count, (3, *hard.shape[1:]), hard)
        self._first_masks = _grown(self._first_masks, count, planes.shape[1:], planes)
        self._births = _grown(self._births, count, (), torch.zeros(1, dtype=torch.long, device=hard.device))
        self._history[rows] = hard[:, None].expand(-1, 3, -1, -1)
        self._first_masks[rows] = pooled(hard)
        self._births[rows] = len(self._first_keys)
        self._first_keys.append(key)
        self._drop_keys()

    def _fed_back(self, pending: Pending[BMVOSFrame], given: list[int]) -> Tensor:
        """Shares after given masks have taken the place of predictions; others do not yield to them any further."""
        hard = pending.soft[given]
        soft = _grown(self._soft, len(pending.soft), self._soft.shape[1:], self._soft)
        soft[given] = torch.stack([1 - hard, hard], 1)
        return self._shares(soft)

    def _drop_keys(self) -> None:
        """Forget first frames that no object refers to."""
        used, self._births = self._births.unique(return_inverse=True)
        self._first_keys = [self._first_keys[birth] for birth in used.tolist()]


def _grown(old: Tensor, rows: int, shape: Sequence[int], like: Tensor) -> Tensor:
    """A copy with so many rows of this shape, those behind the old ones zero."""
    new = like.new_zeros(rows, *shape)
    if len(old):
        new[: len(old)] = old
    return new
