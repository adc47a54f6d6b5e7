"""The previous frame, remembered beside the memory for configurations that read it again near the same place."""

from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.memory.local import read_locally
from engine.memory.plain import from_plain, to_plain
from engine.memory.read import memory_side, query_side
from engine.nn.key import Key
from engine.propagation.mmpm_frames import MMPMFrames
from engine.runtime.onednn import usable


class NearReader(Protocol):
    """A network that reads the previous frame near the same place."""

    @property
    def reach(self) -> Tensor: ...
    def read_near(self, query: Key, previous: Key, value: Tensor) -> Tensor: ...


class PreviousFrame:
    """Key and values (tracks, C_v, h, w) of one frame; always empty without a network that reads them.

    dtype: what values are held in, similarities worked out in and values read out in.
    """

    def __init__(self, network: NearReader | None = None, dtype: torch.dtype = torch.float32) -> None:
        self._network = network
        self._dtype = dtype
        self.wanted = network is not None
        self._held: tuple[Key, Tensor] | None = None
        self._reach = float(network.reach.detach().exp()) if network is not None else 0.0

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
            # Contiguous, as after a restart: another layout sums in another order.
            self._held = Key(*(part.contiguous() for part in key)), values.to(self._dtype)

    def beside(self, read: Tensor, query: Key) -> Tensor:
        """Append the local read-out to the memory's: (tracks, C_v, h, w) -> (tracks, 2 C_v, h, w)."""
        if self._held is None or self._network is None:
            return read
        key, values = self._held
        if usable(values) and values.dtype == self._dtype:
            near = self._locally(query, key, values)
        else:
            near = self._network.read_near(query, key, values.unsqueeze(0))[0]
        return torch.cat([read, near.to(read.dtype)], 1)

    def _locally(self, query: Key, key: Key, values: Tensor) -> Tensor:
        """What the network's `read_near` gives, a few rows at a time. Keys count as differences: their mean goes."""
        centre = key.key.mean(2, keepdim=True)
        past, now = key.key - centre, query.key - centre
        memory = memory_side(past, key.shrinkage)[0].T.to(self._dtype)
        asked = query_side(now, query.selection)[0].T.to(self._dtype)
        unlike = (query.selection * (now - past).square()).sum(1) * key.shrinkage[:, 0] / now.shape[1] ** 0.5
        rows, grid = values.flatten(2).transpose(1, 2).contiguous(), (values.shape[2], values.shape[3])
        read = read_locally(asked.contiguous(), memory.contiguous(), rows, unlike[0], grid, self._reach)
        return read.transpose(1, 2).unflatten(2, grid)

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
