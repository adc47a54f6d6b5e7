"""Bytes turned into choices: `Wish` lets a coverage-guided fuzzer steer structure as well as content.

Knows values of JSON and files; knows nothing of who reads them.
"""

import contextlib
import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

FOLDER = Path(os.environ.get("MUGVOS_FUZZ_FOLDER", "/dev/shm" if Path("/dev/shm").is_dir() else "/tmp"))
ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, -(2**63) - 1, 10**400, 0.5, -0.0, 1e308, math.inf, -math.inf, math.nan, "", "0",
    "x", "../../x", "\0", "\ud800", "²", "９", "a" * 300, "1" * 5000,
    [], {}, [[]], [{}], [None], {"": None}, {"a": {"a": {}}}, [1, 2, 3], ["a", "b"], [20, 31], [-1, -1],
    [65535, 65535], [2**40, 1], [math.inf, 0], {"size": [20, 31]}, {"counts": "0"}, {"size": [20, 31], "counts": []},
    {"size": [20, 31], "counts": [620]}, {"size": [20, 31], "counts": "d6"},
    [[0, 0, 1e9, 0, 1e9, 1e9]], [[0, 0, 1e300, 0, 5, 5]], [[1, 1, 2, 2]], [["a"] * 6], [[None] * 6],
)  # fmt: skip


class Wish:
    """Choices taken from bytes, front to back; zeros when they are used up."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def number(self, below: int) -> int:
        """0 .. below - 1."""
        size = max(1, (max(below - 1, 1).bit_length() + 7) // 8)
        piece = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(piece, "little") % below

    def one_of(self, choices: Any) -> Any:
        """One of a sequence."""
        return choices[self.number(len(choices))]

    def rest(self) -> bytes:
        """All that is left."""
        return self._data[self._at :]


def _is_left(wish: Wish) -> bool:
    return bool(wish.rest())


def changed(document: Any, wish: Wish) -> Any:
    """A copy of a JSON document with some values replaced, removed, doubled or moved."""
    document = json.loads(json.dumps(document))
    for _ in range(6):
        if not _is_left(wish):
            break
        places = list(_places(document))
        if not places:
            break
        holder, key = wish.one_of(places)
        act = wish.number(8)
        if act < 5:
            holder[key] = json.loads(json.dumps(wish.one_of(ODD))) if act else wish.one_of(_values(places))
        elif act == 5:
            del holder[key]
        elif act == 6 and isinstance(holder, list):
            holder.insert(0, holder[key])
        elif isinstance(holder, dict):
            holder[wish.one_of([k for h, k in places if isinstance(k, str)] or ["x"])] = holder[key]
    return document


def _values(places: list[tuple[Any, Any]]) -> list[Any]:
    return [json.loads(json.dumps(holder[key])) for holder, key in places[:200]]


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield value, key
            yield from _places(value[key])


@contextlib.contextmanager
def file(name: str, data: bytes) -> Iterator[Path]:
    path = FOLDER / f"fuzz-{os.getpid()}-{name}"
    path.write_bytes(data)
    try:
        yield path
    finally:
        path.unlink(missing_ok=True)
