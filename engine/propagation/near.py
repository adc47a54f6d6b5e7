"""The previous frame, remembered beside the memory for configurations that read it again near the same place."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.memory.plain import from_plain, to_plain
from engine.nn.key import Key
from engine.propagation.mmpm_frames import MMPMFrames


class NearReader(Protocol):
    """A network that reads the previous frame near the same place."""

    def read_near(self, query: Key, previous: Key, value: Tensor) -> Tensor: ...


class PreviousFrame:
    """Key and values (tracks, C_v, h, w) of one frame; always empty without a network that reads them.

    dtype: what values are held in and read out in.
    """

    def __init__(self, network: NearReader | None = None, dtype: torch.dtype = torch.float32) -> None:
        self._network = network
        self._dtype = dtype
        self.wanted = network is not None
        self._held: tuple[Key, Tensor] | None = None

    def clear(self) -> None:
        """Forget it."""
        self._held = None

    @classmethod
    def of(cls, frames: MMPMFrames) -> "PreviousFrame":
        """For an MMPM; empty where its configuration has no local read."""
        return cls(frames.network if frames.config.local_read else None, frames.score_dtype)

    def put(self, key: Key, values: Tensor) -> None:
        """Remember a frame instead of the one before."""
        if self.wanted:
            self._held = key, values.to(self._dtype)

    def beside(self, read: Tensor, query: Key) -> Tensor:
        """Append the local read-out to the memory's: (tracks, C_v, h, w) -> (tracks, 2 C_v, h, w)."""
        if self._held is None or self._network is None:
            return read
        key, values = self._held
        return torch.cat([read, self._network.read_near(query, key, values.unsqueeze(0))[0]], 1)

    def keep(self, rows: Sequence[int]) -> None:
        """Only these tracks stay."""
        if self._held is not None:
            self._held = self._held[0], self._held[1][list(rows)]

    def state(self) -> list[dict[str, Any]]:
        """Plain arrays."""
        return [] if self._held is None else [to_plain(part) for part in (*self._held[0], self._held[1])]

    def load_state(self, state: list[dict[str, Any]], device: torch.device) -> None:
        """Become what `state` describes."""
        self._held = None
        if state:
            *key, values = (from_plain(part, device) for part in state)
            self._held = Key(*key), values
