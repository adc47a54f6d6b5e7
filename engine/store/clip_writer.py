"""The datasets of one clip, filled from a stream of records.

Knows one open HDF5 group. Rows and run lengths are collected up to a bound and appended; a clip that stays below it is
written as datasets of fixed size, which are smaller.
"""

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any

import h5py
import numpy as np

from engine.errors import StoreError
from engine.masks import rle
from engine.store import rows, schema
from engine.types import BoolArray, MaskRecord, Track

_FLUSH_ROWS = 8 * schema.ROWS_PER_CHUNK
_FLUSH_BYTES = 64 * schema.BYTES_PER_CHUNK
_NOT_WORTH_A_CHUNK = 1024  # what HDF5 notes of a chunk is larger than what compression saves

Reserve = Callable[[int], None]


class Appender:
    """One dataset that grows: pieces are joined in memory and written in large steps."""

    def __init__(self, group: h5py.Group, name: str, dtype: np.dtype, chunk: int, flush: int, reserve: Reserve) -> None:
        self._group, self._name, self._dtype, self._chunk, self._flush = group, name, dtype, chunk, flush
        self._reserve = reserve
        self._dataset: h5py.Dataset | None = None
        self._pieces: list[np.ndarray] = []
        self._held = 0
        self.length = 0

    def append(self, piece: np.ndarray) -> None:
        """Add elements at the end."""
        self._pieces.append(piece)
        self._held += len(piece)
        self.length += len(piece)
        if self._held >= self._flush:
            self._write()

    def close(self) -> None:
        """Write what is left. A dataset that never got an element is made nevertheless, with none."""
        if self._dataset is None:
            data = np.concatenate(self._pieces) if self._pieces else np.zeros(0, self._dtype)
            write_dataset(self._group, self._name, data, self._chunk, self._reserve)
        elif self._pieces:
            self._write()
        self._pieces = []

    def _write(self) -> None:
        data = np.concatenate(self._pieces)
        self._reserve(data.nbytes)
        if self._dataset is None:
            self._dataset = self._group.create_dataset(
                self._name,
                shape=(0,),
                maxshape=(None,),
                dtype=self._dtype,
                chunks=(self._chunk,),
                **_filters(self._dtype),
            )
        begin = len(self._dataset)
        self._dataset.resize(begin + len(data), axis=0)
        self._dataset[begin:] = data
        self._pieces, self._held = [], 0


def write_dataset(group: h5py.Group, name: str, data: np.ndarray, chunk: int, reserve: Reserve) -> None:
    """A dataset of fixed size, compressed where there is anything to compress."""
    reserve(data.nbytes)
    if data.nbytes <= _NOT_WORTH_A_CHUNK:
        group.create_dataset(name, data=data)
    else:
        group.create_dataset(name, data=data, chunks=(min(chunk, len(data)),), **_filters(data.dtype))


class ClipWriter:
    """Fills the group of one clip: masks, then voids (they share the byte array), tracks, frames."""

    def __init__(self, group: h5py.Group, name: str, height: int, width: int, reserve: Reserve) -> None:
        """`reserve` is told how many bytes will be written next; it raises OSError if there is no room."""
        self._group, self._name, self._height, self._width = group, name, height, width
        self._reserve = reserve
        self._counts = Appender(group, schema.COUNTS, schema.COUNTS_TYPE, schema.BYTES_PER_CHUNK, _FLUSH_BYTES, reserve)
        self._seen_tracks: set[int] = set()
        self._frames: list[int] = []
        self._first_rows: list[int] = []
        self._rows = 0

    def write_masks(self, records: Iterable[MaskRecord]) -> None:
        """The mask table, its run lengths and its points."""
        table = Appender(self._group, schema.MASKS, schema.MASK_TYPE, schema.ROWS_PER_CHUNK, _FLUSH_ROWS, self._reserve)
        points = Appender(
            self._group, schema.POINTS, schema.POINT_TYPE, schema.ROWS_PER_CHUNK, _FLUSH_ROWS, self._reserve
        )
        warped_ious, known = array("d"), False
        for of_frame in self._by_frame(records):
            found = []
            for record in of_frame:
                warped_ious.append(record.warped_iou)
                known = known or not math.isnan(record.warped_iou)
                found.append(rows.mask_row(record, self._counts.length, points.length))
                self._counts.append(np.frombuffer(record.counts, np.uint8))
                if record.points:
                    points.append(rows.point_rows(record.points))
            table.append(rows.mask_rows(found))
        self._rows = table.length
        table.close()
        if points.length:
            points.close()
        if known:
            values = np.array(warped_ious, schema.WARPED_IOU_TYPE)
            write_dataset(self._group, schema.WARPED_IOU, values, schema.ROWS_PER_CHUNK, self._reserve)

    def write_voids(self, voids: Iterable[tuple[int, BoolArray]]) -> None:
        """The void table, if there is any void, and the end of the byte array."""
        found: list[tuple[int, int, int]] = []
        for frame, void in voids:
            if void.shape != (self._height, self._width) or (found and frame <= found[-1][0]):
                raise StoreError(f"clip {self._name!r}: void pixels of frame {frame} have another size or order")
            counts = rle.encode(void)
            found.append((frame, self._counts.length, len(counts)))
            self._counts.append(np.frombuffer(counts, np.uint8))
        self._counts.close()
        if found:
            write_dataset(
                self._group, schema.VOID, np.array(found, schema.VOID_TYPE), schema.ROWS_PER_CHUNK, self._reserve
            )

    def write_tracks(self, tracks: Sequence[Track]) -> None:
        """The track table."""
        rows.check_tracks(tracks, self._name)
        unknown = self._seen_tracks - {track.id for track in tracks}
        if unknown:
            raise StoreError(f"clip {self._name!r}: masks of track {min(unknown)}, which is not among its tracks")
        write_dataset(self._group, schema.TRACKS, rows.track_rows(tracks), schema.ROWS_PER_CHUNK, self._reserve)

    def write_frames(self, frames: Sequence[int], times: Sequence[float] | None, extend: bool) -> None:
        """The frame table with the first row of each frame. `extend` adds frames that only the masks know."""
        numbers = np.asarray(frames, np.int64)
        if extend:
            numbers = np.union1d(numbers, np.array(self._frames, np.int64))
        if (np.diff(numbers) <= 0).any():
            raise StoreError(f"clip {self._name!r}: frame numbers are not ascending", "sort them, each once")
        unknown = np.setdiff1d(self._frames, numbers)
        if len(unknown):
            raise StoreError(f"clip {self._name!r}: masks in frame {unknown[0]}, which is not among its frames")
        table = np.zeros(len(numbers), schema.FRAME_TYPE)
        table["number"] = numbers
        table["time"] = np.nan
        if times is not None:
            table["time"][: len(times)] = np.asarray(times, np.float64)[: len(numbers)]
        bounds = np.array([*self._first_rows, self._rows], np.int64)
        table["first_row"] = bounds[np.searchsorted(self._frames, numbers)]
        write_dataset(self._group, schema.FRAMES, table, schema.ROWS_PER_CHUNK, self._reserve)

    def _by_frame(self, records: Iterable[MaskRecord]) -> Iterator[list[MaskRecord]]:
        """The records of one frame after the other, sorted by track, checked."""
        row = 0
        for frame, group in groupby(records, key=lambda record: record.frame):
            of_frame = sorted(group, key=lambda record: record.track)
            self._check_frame(frame, of_frame)
            self._frames.append(frame)
            self._first_rows.append(row)
            row += len(of_frame)
            yield of_frame

    def _check_frame(self, frame: int, of_frame: list[MaskRecord]) -> None:
        if frame < 0 or (self._frames and frame <= self._frames[-1]):
            raise StoreError(f"clip {self._name!r}: frame {frame} after frame {self._frames[-1:]}", "sort by frame")
        ids = [record.track for record in of_frame]
        twice = next((a for a, b in pairwise(ids) if a == b), None)
        if twice is not None:
            raise StoreError(f"clip {self._name!r}: track {twice} has two masks in frame {frame}", "keep one of them")
        self._seen_tracks.update(ids)


def _filters(dtype: np.dtype) -> dict[str, Any]:
    """Built-in gzip everywhere; shuffled where an element has several bytes, so that columns compress as columns."""
    return {"compression": "gzip", "compression_opts": 4, "shuffle": dtype.itemsize > 1}
