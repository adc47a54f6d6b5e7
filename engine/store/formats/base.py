"""What the foreign formats share: clips made of records, names and numbers of files, output folders.

Knows paths and records. Knows no format.
"""

import re
from abc import ABC, abstractmethod
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from engine.errors import FormatError, OutputError
from engine.masks import rle
from engine.names import NaturalKey, natural_key, number_in
from engine.store import atomic
from engine.store.schema import plausible
from engine.store.spool import writing
from engine.types import BoolArray, MaskRecord, Track

_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]|%(?=[0-9A-Fa-f]{2})')
_LONGEST_NAME = 200


class Source:
    """Base of the readers of foreign formats: a context manager with nothing to close, and notes on what was odd."""

    format = ""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []

    def close(self) -> None:
        """Let go of files."""

    def unknown(self, name: str, clips: Iterable[str]) -> FormatError:
        """The error for a clip that is not there."""
        shown = sorted(clips)
        listed = ", ".join(shown[:5]) + (", ..." if len(shown) > 5 else "")
        return FormatError(f"{self.path}: holds no clip {name!r}", f"it has: {listed or 'none'}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class KeyedClip(ABC):
    """A clip whose masks are in order of (frame, track), the `_keys`, and are fetched by their place in that order."""

    height: int
    width: int
    _keys: list[tuple[int, int]]

    @abstractmethod
    def _record(self, at: int) -> MaskRecord: ...

    def mask(self, frame: int, track: int) -> BoolArray | None:
        """bool (height, width), None where there is none."""
        found = next(self.records(frame, track), None)
        return None if found is None else rle.decode(found.counts, self.height, self.width)

    def void(self, frame: int) -> BoolArray | None:
        """Record formats declare no void."""
        return None

    def records(self, frame: int | None = None, track: int | None = None) -> Iterator[MaskRecord]:
        """In order of frame then track, of one frame and of one track where given."""
        low, high = 0, len(self._keys)
        if frame is not None:
            low, high = bisect_left(self._keys, (frame, -1)), bisect_left(self._keys, (frame + 1, -1))
        for at in range(low, high):
            if track is None or self._keys[at][1] == track:
                yield self._record(at)


class RecordClip(KeyedClip):
    """A clip held as records in memory (a ClipMasks)."""

    def __init__(
        self,
        name: str,
        height: int,
        width: int,
        frames: Iterable[int],
        tracks: Sequence[Track],
        records: Iterable[MaskRecord],
        metadata: dict[str, Any] | None = None,
    ) -> None:
        self.name, self.height, self.width = name, height, width
        self.tracks = tracks
        self.metadata = metadata or {}
        self._records = sorted(records, key=_position)
        self._keys = [_position(record) for record in self._records]
        if len(set(self._keys)) != len(self._keys):
            twice = next(a for a, b in pairwise(self._keys) if a == b)
            raise FormatError(f"clip {name!r}: track {twice[1]} has two masks in frame {twice[0]}", "keep one of them")
        self.frames = sorted(set(frames) | {record.frame for record in self._records})

    def _record(self, at: int) -> MaskRecord:
        return self._records[at]


def checked_record(frame: int, track: int, code: Any, height: int, width: int, where: str, **extra: Any) -> MaskRecord:
    """The record of a COCO mask read from a file: {"size": [H, W], "counts": text or list}, or polygons.

    Raises FormatError, saying `where`, for anything that is not a mask of height x width.
    """
    counts = counts_of(code, height, width, where)
    if not rle.is_valid(counts, height, width):
        raise FormatError(f"{where}: run lengths do not fill a mask of {width}x{height}", "the file is damaged")
    return MaskRecord(frame, track, counts, rle.area(counts, height, width), rle.box(counts, height, width), **extra)


def counts_of(code: Any, height: int, width: int, where: str) -> bytes:
    """Compressed counts of a COCO segmentation in any of its three forms."""
    if isinstance(code, list):
        return polygons(code, height, width, where)
    if not isinstance(code, dict) or "counts" not in code:
        raise FormatError(f"{where}: is no segmentation", "run lengths or polygons are expected")
    if list(code.get("size", [height, width])) != [height, width]:
        raise FormatError(f"{where}: a mask of size {code['size']} in a clip of {[height, width]}", "sizes must agree")
    counts = code["counts"]
    if isinstance(counts, str) and counts.isascii():
        return counts.encode()
    if isinstance(counts, list) and all(isinstance(n, int) and 0 <= n <= height * width for n in counts):
        return rle.from_runs(counts)
    raise FormatError(f"{where}: run lengths are neither text nor a list of numbers", "the file is damaged")


def polygons(parts: list[Any], height: int, width: int, where: str) -> bytes:
    """Compressed counts of the union of polygons [x0, y0, x1, y1, ...], rasterised as COCO does."""
    codes = []
    for part in parts:
        if not isinstance(part, list) or len(part) < 6 or len(part) % 2 or not np.isfinite(part).all():
            raise FormatError(f"{where}: a polygon needs at least three points", "the file is damaged")
        codes.append(rle.from_polygon(part, height, width))
    return rle.merge(codes, height, width)


def check_size(height: Any, width: Any, where: str) -> tuple[int, int]:
    """Height and width as integers. Raises FormatError unless they can be those of a mask."""
    try:
        size = int(height), int(width)
    except (TypeError, ValueError):
        size = (0, 0)
    if not plausible(*size):
        raise FormatError(f"{where}: a size of {width}x{height} cannot be", "the file is damaged")
    return size


def frame_numbers(stems: Sequence[str], where: Path | str) -> list[int]:
    """The frame of each file: its number (`012` = `00012` = `frame_12`), its position if names are not numbers.

    Raises FormatError for two files of one number.
    """
    numbers = [number_in(stem) for stem in stems]
    if None not in numbers and len(set(numbers)) == len(numbers):
        return [number for number in numbers if number is not None]
    if not any(re.fullmatch(r"[0-9]{1,18}", stem) for stem in stems):
        return list(range(len(stems)))
    first: dict[int | None, str] = {}
    for number, stem in zip(numbers, stems, strict=True):
        if number is None:
            raise FormatError(f"{where}: {stem!r} among files named by number", "remove or rename it")
        if number in first:
            raise FormatError(f"{where}: {first[number]!r} and {stem!r} are the same frame", "remove one")
        first[number] = stem
    return list(range(len(stems)))


def frames_of(folder: Path, suffix: str = ".png") -> dict[int, Path]:
    """Frame number -> file, ascending. Raises FormatError for two files of one number."""
    files = sorted((f for f in entries_of(folder) if f.suffix.lower() == suffix and f.is_file()), key=_by_name)
    numbers = frame_numbers([file.stem for file in files], folder)
    return dict(sorted(zip(numbers, files, strict=True)))


def folders_of(folder: Path) -> list[Path]:
    """The folders in a folder in natural order, hidden ones left out."""
    return sorted((entry for entry in entries_of(folder) if entry.is_dir()), key=_by_name)


def file_name(name: str, what: str) -> str:
    """A clip's or track's name as one component of a path: what could lead elsewhere is percent-encoded.

    Raises FormatError for names that no file can have.
    """
    safe = _UNSAFE.sub(lambda found: f"%{ord(found[0]):02X}", name)
    if safe.startswith((".", "~")):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if not safe or len(safe.encode("utf-8", "surrogateescape")) > _LONGEST_NAME:
        raise FormatError(f"{what} {name[:40]!r} cannot be the name of a file", "rename it")
    return safe


def track_names(tracks: Sequence[Track]) -> dict[int, str]:
    """Track id -> the name of its folder: its own name, or `track_<id>` where that is empty or not the only one."""
    names = [track.name for track in tracks]
    plain = {track.id: track.name for track in tracks if track.name and names.count(track.name) == 1}
    chosen = {track.id: file_name(plain.get(track.id, f"track_{track.id:03d}"), "track") for track in tracks}
    if len(set(chosen.values())) != len(chosen):
        return {track.id: f"track_{track.id:03d}" for track in tracks}
    return chosen


@contextmanager
def new_folder(output: Path, overwrite: bool) -> Iterator[Path]:
    """A folder to fill that appears as `output` when the block ends well.

    OutputError if it exists; with `overwrite`, if it holds anything that no export has put there.
    """
    atomic.refuse_existing(output, overwrite)
    _refuse_strangers(output)
    temporary = atomic.temporary_beside(output)
    try:
        with writing(output):
            temporary.mkdir()
            yield temporary
        atomic.publish(temporary, output)
    except BaseException:
        atomic.remove(temporary)
        raise


@contextmanager
def new_file(output: Path, overwrite: bool) -> Iterator[Path]:
    """A file to write that appears as `output` when the block ends well. OutputError if it exists."""
    atomic.refuse_existing(output, overwrite)
    temporary = atomic.temporary_beside(output)
    try:
        with writing(output):
            yield temporary
        atomic.publish(temporary, output)
    except BaseException:
        atomic.remove(temporary)
        raise


def entries_of(folder: Path) -> list[Path]:
    """What a folder holds, hidden names left out. Raises FormatError if it cannot be listed."""
    try:
        return [entry for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        raise FormatError(f"{folder}: cannot be listed ({error.strerror})", "check its permissions") from error


def _refuse_strangers(output: Path) -> None:
    """Replacing a folder removes what is in it: only folders of masks are replaced."""
    if output.is_file():
        raise OutputError(f"{output}: is a file", "name a folder")
    for entry in output.rglob("*"):
        if not entry.is_dir() and entry.suffix.lower() not in {".png", ".json"}:
            raise OutputError(f"{output}: holds {entry.name}, which is no mask", "choose another folder")


def _by_name(path: Path) -> NaturalKey:
    return natural_key(path.name)


def _position(record: MaskRecord) -> tuple[int, int]:
    return record.frame, record.track
