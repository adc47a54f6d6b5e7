"""What the foreign formats share: clips made of records, names and numbers of files, output folders.

Knows paths and records. Knows no format.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engine import limits
from engine.errors import FormatError, OutputError
from engine.masks import rle
from engine.masks.packed_runs import packed_columns
from engine.names import NaturalKey, natural_key, number_in
from engine.store import atomic
from engine.store.damage import checked
from engine.store.schema import plausible
from engine.store.spool import writing
from engine.types import BoolArray, MaskRecord, Track, UInt8Array

_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|]|%(?=[0-9A-Fa-f]{2})')
_LONGEST_NAME = 200
_DEVICES = re.compile(
    r"(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?", re.IGNORECASE
)  # no file of Windows has these names

Numbers = Sequence[int] | NDArray[np.int64]


class Source:
    """Base of the readers of foreign formats: a context manager with nothing to close, and notes on what was odd."""

    format = ""

    def __init_subclass__(cls, **more: Any) -> None:
        """Whatever a format's own checks miss in a hostile file is one FormatError, too."""
        super().__init_subclass__(**more)
        for name in ("__init__", "clip"):
            if name in vars(cls):
                setattr(cls, name, checked(getattr(cls, name)))

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
    """A clip whose masks are fetched by their place in the order of (frame, track); memory is two numbers a mask."""

    name: str
    height: int
    width: int

    def _arrange(self, frames: Numbers, tracks: Numbers, where: str) -> NDArray[np.int64]:
        """Take down frame and track of each mask; the order in which they are kept.

        Raises FormatError, saying `where`, if a track has two masks in a frame.
        """
        columns = np.asarray(frames, np.int64), np.asarray(tracks, np.int64)
        order = np.lexsort(columns[::-1])
        self._frames, self._tracks = (column[order] for column in columns)
        twice = np.flatnonzero((np.diff(self._frames) == 0) & (np.diff(self._tracks) == 0))
        if len(twice):
            frame, track = self._frames[twice[0]], self._tracks[twice[0]]
            raise FormatError(f"{where}: track {track} has two masks in frame {frame}", "keep one of them")
        return order

    @abstractmethod
    def _record(self, at: int) -> MaskRecord:
        """The checked mask at a place."""

    def _counts(self, at: int) -> bytes:
        """Its run lengths, which need not be checked."""
        return self._record(at).counts

    def mask(self, frame: int, track: int) -> BoolArray | None:
        """bool (height, width), None where there is none."""
        found = next(self.records(frame, track), None)
        return None if found is None else rle.decode_checked(found.counts, self.height, self.width)

    def packed(self, frames: Sequence[int], track: int) -> list[UInt8Array | None]:
        """The masks of a track, transposed and packed to bits: uint8 (width, ceil(height / 8)), lowest bit first."""
        places = [next(iter(self._places(frame, track)), None) for frame in frames]
        held = [at for at in places if at is not None]
        codes = [self._counts(at) for at in held]
        lengths = np.array([len(code) for code in codes], np.int64)
        masks = packed_columns(b"".join(codes), lengths, self.height, self.width) if held else ()
        if masks is None:
            held = [at for at in held if self._record(at)]  # raises, and says which of them is broken
        each = iter(masks if masks is not None else ())
        return [None if at is None else next(each) for at in places]

    def void(self, frame: int) -> BoolArray | None:
        """Record formats declare no void."""
        return None

    def records(self, frame: int | None = None, track: int | None = None) -> Iterator[MaskRecord]:
        """In order of frame then track, of one frame and of one track where given."""
        for at in self._places(frame, track):
            yield self._record(at)

    def _places(self, frame: int | None, track: int | None) -> Iterable[int]:
        low, high = 0, len(self._frames)
        if frame is not None:
            low, high = np.searchsorted(self._frames, [frame, frame + 1]).tolist()
        if track is None:
            return range(low, high)
        found: list[int] = (np.flatnonzero(self._tracks[low:high] == track) + low).tolist()
        return found


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
    if code.get("size", [height, width]) not in ([height, width], (height, width)):
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
        if not isinstance(part, list) or len(part) < 6 or len(part) % 2 or not all(map(_is_place, part)):
            raise FormatError(f"{where}: a polygon needs at least three points", "the file is damaged")
        if _outline(part) > min(limits.POLYGON_LENGTH, height * width + 8 * (height + width)):
            raise FormatError(f"{where}: a polygon far larger than its picture", "the file is damaged")
        codes.append(rle.from_polygon(part, height, width))
    return rle.merge(codes, height, width)


def _is_place(value: Any) -> bool:
    return isinstance(value, int | float) and abs(value) <= limits.POLYGON_LENGTH


def _outline(points: list[float]) -> float:
    """Length of a polygon's outline in pixels, the longer side of each edge counted."""
    corners = np.asarray(points, np.float64).reshape(-1, 2)
    return float(np.abs(corners - np.roll(corners, 1, axis=0)).max(axis=1).sum())


def check_size(height: Any, width: Any, where: str) -> tuple[int, int]:
    """Height and width as integers. Raises FormatError unless they can be those of a mask."""
    try:
        size = int(height), int(width)
    except (TypeError, ValueError, OverflowError):
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
    if safe.endswith((".", " ")):
        safe = f"{safe[:-1]}%{ord(safe[-1]):02X}"
    if safe.startswith((".", "~")) or _DEVICES.fullmatch(safe):
        safe = f"%{ord(safe[0]):02X}{safe[1:]}"
    if not safe or len(safe.encode("utf-8", "surrogateescape")) > _LONGEST_NAME:
        raise FormatError(f"{what} {name[:40]!r} cannot be the name of a file", "rename it")
    return safe


def track_names(tracks: Sequence[Track]) -> dict[int, str]:
    """Track id -> the name of its folder: its own name, or `track_<id>` where that is empty or not the only one."""
    names = [track.name for track in tracks]
    plain = {track.id: track.name for track in tracks if track.name and names.count(track.name) == 1}
    chosen = {track.id: file_name(plain.get(track.id, f"track_{track.id:03d}"), "track") for track in tracks}
    if len({name.casefold() for name in chosen.values()}) != len(chosen):
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
