"""Long-term memories side by side, one for the tracks that entered together (DEVA; XMem's separate runs).

Knows tensors. A bucket has keys of its own, from the frame on which its tracks entered, so that late tracks are read
with the keys that their values belong to, and forgetting in one bucket never concerns another. Tracks that entered
together share everything but their values.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.memory.long_term import LongTermMemory, LongTermOptions


class BucketedMemory:
    """Rows are tracks in the order of entry; a bucket holds consecutive ones."""

    def __init__(self, options: LongTermOptions) -> None:
        self.options = options
        self.buckets: list[LongTermMemory] = []
        self._tracks: list[int] = []  # of each bucket

    def add(self, key: Tensor, shrinkage: Tensor, selection: Tensor, values: Tensor) -> None:
        """Remember a frame in every bucket; tracks beyond those known form a new one. Arguments as LongTermMemory's."""
        entering = len(values) - sum(self._tracks)
        if entering:
            self.buckets.append(LongTermMemory(self.options))
            self._tracks.append(entering)
        for bucket, rows in self._ranges():
            bucket.add(key, shrinkage, selection, values[rows])

    def read(self, query: Tensor, selection: Tensor, count: bool = True) -> Tensor:
        """Query and selection (1, C_k, Q) -> (tracks, C_v, Q). Usage is counted if asked."""
        return torch.cat([bucket.read(query, selection, count) for bucket in self.buckets])

    def drop(self, rows: Sequence[int]) -> None:
        """Forget tracks; a bucket without tracks goes."""
        for bucket, own in self._ranges():
            bucket.drop([row - own.start for row in rows if own.start <= row < own.stop])
        tracks = [own.stop - own.start - _inside(rows, own) for _, own in self._ranges()]
        self.buckets = [bucket for bucket, left in zip(self.buckets, tracks, strict=True) if left]
        self._tracks = [left for left in tracks if left]

    def state(self) -> dict[str, Any]:
        """Plain arrays and numbers."""
        return {"tracks": list(self._tracks), "buckets": [bucket.state() for bucket in self.buckets]}

    def load_state(self, state: dict[str, Any], device: torch.device | str = "cpu") -> None:
        """Become what `state` describes."""
        self._tracks = [int(tracks) for tracks in state["tracks"]]
        self.buckets = [LongTermMemory(self.options) for _ in self._tracks]
        for bucket, saved in zip(self.buckets, state["buckets"], strict=True):
            bucket.load_state(saved, device)

    def _ranges(self) -> Iterator[tuple[LongTermMemory, slice]]:
        """Every bucket and its rows."""
        start = 0
        for bucket, tracks in zip(self.buckets, self._tracks, strict=True):
            yield bucket, slice(start, start + tracks)
            start += tracks


def _inside(rows: Sequence[int], own: slice) -> int:
    """How many of `rows` lie in a range."""
    return sum(own.start <= row < own.stop for row in rows)
