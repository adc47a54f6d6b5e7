"""Tables of remembered frames: a slot a frame, filled slots always first, nothing copied to read them.

Knows tensors and slots; which frame goes and when is the bank's business.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from engine.memory.plain import from_plain, to_plain


class FrameTable:
    """Keys (slots, HW, K) and values (tracks, slots, HW, C_v), each in any float type.

    Keys are the memory's factor of the similarity. Rows of tracks that did not exist at a frame hold zeros there.
    """

    def __init__(self, slots: int, key: Tensor, values: Tensor) -> None:
        """Room for `slots` frames like this key (HW, K) and these values (tracks, HW, C_v); empty."""
        self.filled = 0
        self.keys = key.new_empty(slots, *key.shape)
        self.values = values.new_zeros(values.shape[0], slots, *values.shape[1:])

    def append(self, key: Tensor, values: Tensor) -> None:
        """Fill the next slot: key (HW, K), values (tracks, HW, C_v); further rows are new tracks."""
        if self.filled == len(self.keys):
            self._grow()
        entering = values.shape[0] - self.values.shape[0]
        if entering:
            self.values = torch.cat([self.values, self.values.new_zeros(entering, *self.values.shape[1:])])
        self.keys[self.filled] = key
        self.values[:, self.filled] = values
        self.filled += 1

    def remove(self, slot: int) -> None:
        """Empty a slot; the last filled one moves there."""
        self.filled -= 1
        self.keys[slot] = self.keys[self.filled]
        self.values[:, slot] = self.values[:, self.filled]

    def keep_tracks(self, rows: Sequence[int]) -> None:
        """Only these tracks stay."""
        self.values = self.values[list(rows)]

    @property
    def places(self) -> int:
        """HW."""
        return self.keys.shape[1]

    def filled_keys(self) -> Tensor:
        """Keys (filled, HW, K)."""
        return self.keys[: self.filled]

    def flat_keys(self) -> Tensor:
        """Keys (M, K) of the M = filled * HW positions, in the order of slots."""
        return self.filled_keys().flatten(0, 1)

    def flat_values(self, rows: slice) -> list[Tensor]:
        """Values (M, C_v) of each of some tracks in the same order; nothing is copied."""
        return [track[: self.filled].flatten(0, 1) for track in self.values[rows]]

    def state(self) -> list[dict[str, Any]]:
        """The filled slots as plain arrays."""
        return [to_plain(part) for part in (self.keys[: self.filled], self.values[:, : self.filled])]

    @classmethod
    def from_state(cls, slots: int, state: list[dict[str, Any]], device: torch.device | str) -> "FrameTable":
        """The table that `state` describes, with room for at least `slots` frames."""
        keys, values = (from_plain(part, device) for part in state)
        table = cls(max(slots, len(keys)), keys[0], values[:, 0])
        table.filled = len(keys)
        table.keys[: len(keys)] = keys
        table.values[:, : len(keys)] = values
        return table

    def _grow(self) -> None:
        """One slot more; rare, only where prompts on many frames outnumber the limit."""
        self.keys = torch.cat([self.keys, torch.empty_like(self.keys[:1])])
        self.values = torch.cat([self.values, torch.zeros_like(self.values[:, :1])], 1)
