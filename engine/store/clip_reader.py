"""The masks of one clip of a store. One mask is found by two binary searches and read without touching the others.

Knows one open HDF5 group. Keeps the frame table, the tracks, and the few blocks of rows used last.
"""

import json
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from fractions import Fraction
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from engine.errors import StoreError
from engine.masks import rle
from engine.masks.packed_runs import packed_columns
from engine.store import rows, schema
from engine.store.damage import damage
from engine.types import BoolArray, MaskRecord, Track, UInt8Array

_BLOCKS_KEPT = 4
_BYTES_AT_ONCE = 16 << 20
_GAP = 1 << 14  # bytes between two codes that are read with them sooner than the codes one by one
_ROWS_AT_ONCE = 128  # their run lengths stay in the processor's cache while they are checked
_ROW_TYPE = np.dtype(
    [*((name, schema.MASK_TYPE[name]) for name in schema.MASK_TYPE.names or ()), ("warped_iou", "<f8")]
)
_MOST_COMPRESSED = 1100  # gzip cannot do better; a table that claims more was not written by us


class ClipReader:
    """One clip of an open store (a ClipMasks)."""

    def __init__(self, group: h5py.Group, name: str, path: Path) -> None:
        self.name = name
        self._path = path
        self._blocks: OrderedDict[int, np.ndarray] = OrderedDict()
        self._track_column: np.ndarray | None = None
        with self._guard():
            self._read_attributes(group)
            self._masks = self._dataset(group, schema.MASKS, schema.MASK_TYPE)
            self._counts = self._dataset(group, schema.COUNTS, schema.COUNTS_TYPE)
            self._points = self._optional(group, schema.POINTS, schema.POINT_TYPE)
            self._warped_ious = self._optional(group, schema.WARPED_IOU, schema.WARPED_IOU_TYPE)
            if self._warped_ious is not None and self._warped_ious.shape != self._masks.shape:
                raise self._broken(f"table {schema.WARPED_IOU!r} has not one value a mask")
            self._read_frames(group)
            self.tracks: Sequence[Track] = self._read_tracks(group)
            void = self._optional(group, schema.VOID, schema.VOID_TYPE, schema.MAX_FRAMES)
            self._voids = {} if void is None else {int(r["frame"]): r for r in void[:]}

    @property
    def frames(self) -> Sequence[int]:
        """Frame numbers that the clip holds, ascending."""
        return self._frame_list

    @property
    def times(self) -> Sequence[float]:
        """Seconds of each frame from the first, in the order of `frames`; NaN where unknown."""
        times: list[float] = self._frames["time"].tolist()
        return times

    @property
    def rows(self) -> int:
        """Number of masks."""
        return int(self._masks.shape[0])

    def mask(self, frame: int, track: int) -> BoolArray | None:
        """bool (height, width); None where the store holds no mask of this track in this frame."""
        row = self._find(frame, track)
        if row is None:
            return None
        counts = self._code(int(row["offset"]), int(row["length"]))
        self._check_code(counts, frame, track)
        return rle.decode_checked(counts, self.height, self.width)

    def masks(self, frames: Sequence[int], track: int) -> list[BoolArray | None]:
        """As `mask` for several frames; their run lengths are checked in one go, which is far faster."""
        codes, held = self._codes_of(frames, track)
        if held and not rle.all_valid(b"".join(held), _lengths(held), self.height, self.width):
            self._name_the_broken(frames, track, codes)
        return [None if code is None else rle.decode_checked(code, self.height, self.width) for code in codes]

    def packed(self, frames: Sequence[int], track: int) -> list[UInt8Array | None]:
        """As `masks`, transposed and packed to bits: uint8 (width, ceil(height / 8)), lowest bit first."""
        codes, held = self._codes_of(frames, track)
        if not held:
            return [None] * len(codes)
        masks = packed_columns(b"".join(held), _lengths(held), self.height, self.width)
        if masks is None:
            self._name_the_broken(frames, track, codes)
        each = iter(masks if masks is not None else ())
        return [None if code is None else next(each) for code in codes]

    def _codes_of(self, frames: Sequence[int], track: int) -> tuple[list[bytes | None], list[bytes]]:
        """The code of a track in each frame, and those that there are."""
        rows = [self._find(frame, track) for frame in frames]
        codes = self._codes([None if row is None else (int(row["offset"]), int(row["length"])) for row in rows])
        return codes, [code for code in codes if code is not None]

    def _name_the_broken(self, frames: Sequence[int], track: int, codes: Sequence[bytes | None]) -> None:
        for frame, code in zip(frames, codes, strict=True):
            if code is not None:
                self._check_code(code, frame, track)

    def record(self, frame: int, track: int) -> MaskRecord | None:
        """The row of one mask, None where there is none."""
        row = self._find(frame, track)
        return None if row is None else next(self._records_of(np.array([row])))

    def void(self, frame: int) -> BoolArray | None:
        """Pixels declared to belong to nothing, bool (height, width); None if the frame has none."""
        row = self._voids.get(frame)
        if row is None:
            return None
        counts = self._code(int(row["offset"]), int(row["length"]))
        self._check_code(counts, frame, "void")
        return rle.decode_checked(counts, self.height, self.width)

    def records(self, frame: int | None = None, track: int | None = None) -> Iterator[MaskRecord]:
        """The rows in order of frame then track, of one frame and of one track where given."""
        if frame is not None and track is not None:
            row = self._find(frame, track)
            return iter(()) if row is None else self._records_of(np.array([row]))
        if frame is not None:
            return self._records_between(*self._bounds(frame))
        if track is not None:
            return self._records_of_track(track)
        return self._records_between(0, self.rows)

    def _records_between(self, begin: int, end: int) -> Iterator[MaskRecord]:
        while begin < end:
            stop = min(end, begin + _ROWS_AT_ONCE)
            yield from self._records_of(self._rows(begin, stop))
            begin = stop

    def _records_of_track(self, track: int) -> Iterator[MaskRecord]:
        for row in np.flatnonzero(self._column_of_tracks() == track):
            yield from self._records_of(self._rows(int(row), int(row) + 1))

    def _records_of(self, table: np.ndarray) -> Iterator[MaskRecord]:
        """Records of consecutive rows; their run lengths are read in one go where they lie in one piece."""
        offsets, lengths = table["offset"], table["length"]
        whole = bool((offsets[1:] == offsets[:-1] + lengths[:-1]).all()) and (lengths >= 0).all()
        if len(table) > 1 and whole and int(lengths.sum()) <= _BYTES_AT_ONCE:
            base = int(offsets[0])
            piece = self._code(base, int(lengths.sum()), limited=False)
            codes = [piece[int(o) - base : int(o) - base + int(n)] for o, n in zip(offsets, lengths, strict=True)]
            checked = rle.all_valid(piece, lengths, self.height, self.width)
        else:
            codes = [self._code(int(o), int(n)) for o, n in zip(offsets, lengths, strict=True)]
            checked = False
        for row, counts in zip(table, codes, strict=True):
            if not checked:
                self._check_code(counts, int(row["frame"]), int(row["track"]))
            yield rows.record_of_row(row, counts, self._points_of(row), float(row["warped_iou"]))

    def _find(self, frame: int, track: int) -> Any:
        begin, end = self._bounds(frame)
        found = self._rows(begin, end)
        at = bisect_left(found["track"], track)
        return found[at] if at < len(found) and found[at]["track"] == track else None

    def _bounds(self, frame: int) -> tuple[int, int]:
        """First row of a frame and the row behind its last; equal where the frame has no rows."""
        at = bisect_left(self._frame_list, frame)
        if at == len(self._frame_list) or self._frame_list[at] != frame:
            return 0, 0
        return int(self._row_bounds[at]), int(self._row_bounds[at + 1])

    def _rows(self, begin: int, end: int) -> np.ndarray:
        """Rows begin..end of the mask table, from blocks of one chunk each."""
        size = schema.ROWS_PER_CHUNK
        if begin >= end:
            return np.zeros(0, _ROW_TYPE)
        pieces = []
        for block in range(begin // size, (end - 1) // size + 1):
            low = block * size
            pieces.append(self._block(block)[max(begin - low, 0) : end - low])
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _block(self, block: int) -> np.ndarray:
        if block in self._blocks:
            self._blocks.move_to_end(block)
            return self._blocks[block]
        with self._guard():
            low = block * schema.ROWS_PER_CHUNK
            self._blocks[block] = self._read_block(low, low + schema.ROWS_PER_CHUNK)
        while len(self._blocks) > _BLOCKS_KEPT:
            self._blocks.popitem(last=False)
        return self._blocks[block]

    def _read_block(self, begin: int, end: int) -> np.ndarray:
        """Rows of the mask table, with their warped IoU as one more column."""
        masks = self._masks[begin:end]
        block = np.empty(len(masks), _ROW_TYPE)
        for name in schema.MASK_TYPE.names or ():
            block[name] = masks[name]
        block["warped_iou"] = np.nan if self._warped_ious is None else self._warped_ious[begin:end]
        return block

    def _column_of_tracks(self) -> np.ndarray:
        if self._track_column is None:
            with self._guard():
                self._track_column = self._masks.fields("track")[:]
        return self._track_column

    def _codes(self, places: Sequence[tuple[int, int] | None]) -> list[bytes | None]:
        """The code at each (offset, length); read in one go where little else lies between them."""
        there = [place for place in places if place is not None]
        begin = min((offset for offset, _ in there), default=0)
        span = max((offset + length for offset, length in there), default=0) - begin
        if not 0 < span <= min(_BYTES_AT_ONCE, sum(length + _GAP for _, length in there)):
            return [None if place is None else self._code(*place) for place in places]
        piece = self._code(begin, span, limited=False)
        return [None if p is None else piece[p[0] - begin : p[0] - begin + p[1]] for p in places]

    def _code(self, offset: int, length: int, limited: bool = True) -> bytes:
        """Bytes of the run-length array; StoreError where they lie outside or are more than a mask can need."""
        most = rle.MAX_SYMBOLS * (self.height * self.width + 1) if limited else _BYTES_AT_ONCE
        if offset < 0 or not 0 <= length <= most or offset + length > self._counts.shape[0]:
            raise self._broken(f"run lengths at {offset}+{length} lie outside of its {self._counts.shape[0]} bytes")
        with self._guard():
            return bytes(self._counts[offset : offset + length].tobytes())

    def _check_code(self, counts: bytes, frame: int, track: int | str) -> None:
        if not rle.is_valid(counts, self.height, self.width):
            raise self._broken(
                f"run lengths of frame {frame}, track {track} do not fill a mask of {self.width}x{self.height}"
            )

    def _points_of(self, row: Any) -> tuple[Any, ...]:
        first, count = int(row["first_point"]), int(row["points"])
        if count == 0:
            return ()
        if self._points is None or first < 0 or count < 0 or first + count > self._points.shape[0]:
            raise self._broken(f"point prompts of frame {row['frame']}, track {row['track']} are not there")
        with self._guard():
            return rows.points_of_rows(self._points[first : first + count])

    def _read_attributes(self, group: h5py.Group) -> None:
        self.width, self.height = int(group.attrs["width"]), int(group.attrs["height"])
        self.frame_count = int(group.attrs["frame_count"])
        if not schema.plausible(self.height, self.width):
            raise self._broken(f"a size of {self.width}x{self.height} cannot be")
        self.source = schema.text_of(group.attrs["source"])
        self.fps: Fraction | None = schema.fps_of_attribute(group.attrs["fps"])
        self.complete = bool(group.attrs["complete"])
        provenance = json.loads(schema.text_of(group.attrs["provenance"]))
        self.provenance: dict[str, Any] = provenance if isinstance(provenance, dict) else {}

    def _read_frames(self, group: h5py.Group) -> None:
        self._frames: np.ndarray = self._dataset(group, schema.FRAMES, schema.FRAME_TYPE, schema.MAX_FRAMES)[:]
        self._row_bounds = np.append(self._frames["first_row"], self.rows)
        if (np.diff(self._frames["number"]) <= 0).any():
            raise self._broken("frame numbers are not ascending")
        if (np.diff(self._row_bounds) < 0).any() or (self._row_bounds < 0).any():
            raise self._broken("first rows of its frames are out of range")
        self._frame_list: list[int] = self._frames["number"].tolist()

    def _read_tracks(self, group: h5py.Group) -> list[Track]:
        found = group.get(schema.TRACKS)
        length = _name_bytes(found.dtype) if isinstance(found, h5py.Dataset) else 1
        table = self._dataset(group, schema.TRACKS, schema.track_type(length), schema.MAX_TRACKS)
        return rows.tracks_of_rows(table[:])

    def _optional(self, group: h5py.Group, name: str, dtype: np.dtype, most: int = 2**62) -> h5py.Dataset | None:
        return self._dataset(group, name, dtype, most) if name in group else None

    def _dataset(self, group: h5py.Group, name: str, dtype: np.dtype, most: int = 2**62) -> h5py.Dataset:
        found = group.get(name)
        if not isinstance(found, h5py.Dataset):
            raise self._broken(f"table {name!r} is missing")
        if found.dtype != dtype or found.ndim != 1:
            raise self._broken(f"table {name!r} has another type than schema {schema.SCHEMA_VERSION}")
        if found.shape[0] > most:
            raise self._broken(f"table {name!r} claims {found.shape[0]} rows")
        if found.shape[0] * dtype.itemsize > _MOST_COMPRESSED * found.id.get_storage_size():
            raise self._broken(f"table {name!r} claims {found.shape[0]} rows, more than its bytes can hold")
        return found

    def _guard(self) -> AbstractContextManager[None]:
        return damage(self._path)

    def _broken(self, fault: str) -> StoreError:
        return StoreError(f"{self._path}: clip {self.name!r}: {fault}", "the store is damaged; write it again")


def _name_bytes(dtype: np.dtype) -> int:
    """Length of the names in a track table, 1 where it is none."""
    names = dtype["name"] if dtype.names and "name" in dtype.names else dtype
    return names.itemsize if names.kind == "S" else 1


def _lengths(codes: Sequence[bytes]) -> NDArray[np.int64]:
    return np.array([len(code) for code in codes], np.int64)
