"""A growing store of memory positions with values per group of tracks and usage counters (XMem, section 3.3).

Knows tensors. Tracks that entered together form a group. All groups share keys; the values of a group may be fewer than
the keys and belong to the last of them. What is consolidated or removed, and when, is decided in long_term.py.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from engine.memory.plain import from_plain, to_plain

_NEWBORN = 1e-7  # life of a position before its first read, so that usage is defined


class KeyValueMemory:
    """Keys (1, C_k, M), shrinkage (1, 1, M), selection (1, C_k, M) or None; values of group g (tracks, M_g, C_v)."""

    def __init__(self) -> None:
        self.key: Tensor | None = None
        self.shrinkage: Tensor | None = None
        self.selection: Tensor | None = None
        self.values: list[Tensor] = []
        self._used = torch.zeros(0)
        self._life = torch.zeros(0)

    @property
    def size(self) -> int:
        """Number of positions, M."""
        return 0 if self.key is None else self.key.shape[2]

    def size_of(self, group: int) -> int:
        """Number of positions that a group has values for, M_g."""
        return self.values[group].shape[1] if group < len(self.values) else 0

    def append(self, key: Tensor, shrinkage: Tensor, selection: Tensor | None, values: Sequence[Tensor]) -> None:
        """New positions and their values, a tensor (tracks, positions, C_v) a group; further groups are new ones.

        The selection is kept if it was given from the start on.
        """
        first = self.key is None
        self.key = _joined(self.key, key, 2)
        self.shrinkage = _joined(self.shrinkage, shrinkage, 2)
        if selection is not None and (first or self.selection is not None):
            self.selection = _joined(self.selection, selection, 2)
        known = len(self.values)
        self.values = [_joined(self.values[g] if g < known else None, v, 1) for g, v in enumerate(values)]
        self._used = torch.cat([self._used.to(key.device), key.new_zeros(key.shape[2])])
        self._life = torch.cat([self._life.to(key.device), key.new_full((key.shape[2],), _NEWBORN)])

    def count(self, usage: Tensor) -> None:
        """After a read: add usage (M,) and one to every life."""
        self._used = self._used + usage
        self._life = self._life + 1

    def usage(self) -> Tensor:
        """(M,): weight received per read."""
        return self._used / self._life

    def keep(self, kept: Tensor) -> None:
        """Only the positions with True in `kept` (M,) stay; a shorter group follows the last part of it."""
        lengths = [values.shape[1] for values in self.values]
        self._keep_keys(kept)
        self.values = [v[:, kept[len(kept) - n :]] for v, n in zip(self.values, lengths, strict=True)]

    def cut(self, start: int, behind: int) -> None:
        """Take out the positions from `start` to the last `behind`; likewise, counted in their own values, in groups.

        A group that has not more than start + behind values keeps all of them, as in the published code: what is left
        of its values then belongs to other keys than before.
        """
        kept = torch.ones(self.size, dtype=torch.bool, device=self._used.device)
        kept[start : self.size - behind] = False
        self._keep_keys(kept)
        self.values = [
            torch.cat([v[:, :start], v[:, v.shape[1] - behind :]], 1) if v.shape[1] > start + behind else v
            for v in self.values
        ]

    def drop(self, rows: Sequence[int]) -> None:
        """Forget tracks; rows count through all groups. Groups without tracks and keys without values go too."""
        first, values = 0, []
        for group in self.values:
            own = range(first, first + len(group))
            values.append(group[[row - first for row in own if row not in rows]])
            first += len(group)
        self.values = [group for group in values if len(group)]
        longest = max((group.shape[1] for group in self.values), default=0)
        if self.size > longest:
            self._keep_keys(torch.arange(self.size, device=self._used.device) >= self.size - longest)

    def state(self) -> dict[str, Any]:
        """Plain arrays."""
        shared = {"key": self.key, "shrinkage": self.shrinkage, "selection": self.selection}
        return {
            **{name: None if part is None else to_plain(part) for name, part in shared.items()},
            "values": [to_plain(group) for group in self.values],
            "used": to_plain(self._used),
            "life": to_plain(self._life),
        }

    def load_state(self, state: dict[str, Any], device: torch.device | str = "cpu") -> None:
        """Become what `state` describes."""
        parts = (state[name] for name in ("key", "shrinkage", "selection"))
        self.key, self.shrinkage, self.selection = (p if p is None else from_plain(p, device) for p in parts)
        self.values = [from_plain(group, device) for group in state["values"]]
        self._used, self._life = from_plain(state["used"], device), from_plain(state["life"], device)

    def _keep_keys(self, kept: Tensor) -> None:
        assert self.key is not None and self.shrinkage is not None, "nothing to keep of an empty memory"
        self.key, self.shrinkage = self.key[:, :, kept], self.shrinkage[:, :, kept]
        self.selection = None if self.selection is None else self.selection[:, :, kept]
        self._used, self._life = self._used[kept], self._life[kept]


def _joined(old: Tensor | None, new: Tensor, axis: int) -> Tensor:
    # Contiguous from the first on: after a restart it is, and another layout sums in another order.
    return new.contiguous() if old is None else torch.cat([old, new], axis)
