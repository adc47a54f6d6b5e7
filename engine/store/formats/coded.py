"""Clips whose masks stay in the JSON file they came in: held are numbers alone, a mask is read when it is asked for.

Knows the places of masks in files. The formats find them and say how an entry is read.
"""

from array import array
from collections.abc import Callable, Iterable, Sequence
from math import nan
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.store.formats import base
from engine.store.formats.json_stream import JsonFile
from engine.types import FloatArray, MaskRecord, Track

Column = NDArray[np.int64]


def whole_numbers() -> "array[int]":
    """A list of whole numbers of eight bytes each."""
    return array("q")


class Columns(NamedTuple):
    """Where masks lie: of each its frame (or what stands for it), track, byte in the file, score."""

    frames: Column
    tracks: Column
    offsets: Column
    scores: FloatArray


def of_rows(columns: Columns, rows: Column) -> Columns:
    """A copy of some rows."""
    return Columns(columns.frames[rows], columns.tracks[rows], columns.offsets[rows], columns.scores[rows])


class Places:
    """Columns that grow."""

    def __init__(self) -> None:
        self._frames, self._tracks, self._offsets = whole_numbers(), whole_numbers(), whole_numbers()
        self._scores = array("d")

    def add(self, frame: int, track: int, offset: int, score: float = nan) -> None:
        self._frames.append(frame)
        self._tracks.append(track)
        self._offsets.append(offset)
        self._scores.append(score)

    def columns(self) -> Columns:
        """All of them, without a copy; nothing is added afterwards."""
        frames, tracks, offsets = (np.asarray(column) for column in (self._frames, self._tracks, self._offsets))
        return Columns(frames, tracks, offsets, np.asarray(self._scores))


class CodedClip(base.KeyedClip):
    """A clip of a JSON file (a ClipMasks). Masks are checked when they are read.

    frames: numbers that the clip holds beside those of its masks. places: its masks in any order. path: what errors
    name. read: the JSON value of a mask by its frame and byte.
    """

    def __init__(
        self,
        name: str,
        size: tuple[int, int],
        frames: Iterable[int],
        tracks: Sequence[Track],
        places: Columns,
        path: Path,
        read: Callable[[int, int], Any],
    ) -> None:
        self.name, (self.height, self.width), self.tracks = name, size, tracks
        self._path, self._read = path, read
        order = self._arrange(places.frames, places.tracks, f"{path}: clip {name!r}")
        self._offsets, self._scores = places.offsets[order], places.scores[order]
        self.frames: Sequence[int] = sorted({*frames, *self._frames.tolist()})

    def _code(self, entry: Any) -> Any:
        """Run lengths or polygons of an entry: the entry itself, unless a format wraps them."""
        return entry

    def _scored(self, entry: Any, at: int) -> dict[str, Any]:
        """What a record holds beside its mask."""
        return {"score": float(self._scores[at])}

    def _counts(self, at: int) -> bytes:
        return base.counts_of(self._code(self._entry(at)), self.height, self.width, self._where(at))

    def _record(self, at: int) -> MaskRecord:
        entry, where = self._entry(at), self._where(at)
        key = int(self._frames[at]), int(self._tracks[at])
        size = self.height, self.width
        return base.checked_record(*key, self._code(entry), *size, where, **self._scored(entry, at))

    def _entry(self, at: int) -> Any:
        return self._read(int(self._frames[at]), int(self._offsets[at]))

    def _where(self, at: int) -> str:
        return f"{self._path}: clip {self.name!r}, frame {self._frames[at]}, track {self._tracks[at]}"


def of_file(file: JsonFile) -> tuple[Path, Callable[[int, int], Any]]:
    """The last two arguments of a clip that lies in one file."""
    return file.path, lambda frame, offset: file.value(offset)
