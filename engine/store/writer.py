"""Writing a mask store: the file appears whole under its name when the writer closes, or not at all.

Knows the schema and HDF5. Holds at most a few megabytes of a clip at a time. `-` writes to standard output on closing.
"""

import datetime
import json
import tempfile
from collections.abc import Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

import engine
from engine.errors import StoreError
from engine.store import atomic, schema
from engine.store.clip_writer import ClipWriter
from engine.store.damage import damage
from engine.store.disk import NewFile
from engine.store.parts import Parts
from engine.store.spool import STDIO, write_output, writing
from engine.types import BoolArray, MaskRecord, Track

_LINKS = h5py.h5p.create(h5py.h5p.LINK_CREATE)
_LINKS.set_char_encoding(h5py.h5t.CSET_UTF8)


class StoreWriter:
    """A new mask store. Use as context manager: an error inside leaves no file and keeps what was there before.

    `parts`: what it is a part of. Raises OutputError if `path` exists and `overwrite` is False, or cannot be written.
    Missing folders are made.
    """

    def __init__(self, path: str | Path, overwrite: bool = False, parts: Parts | None = None) -> None:
        self.path = Path(path)
        self._overwrite = overwrite
        if str(path) == STDIO:
            self._folder = tempfile.TemporaryDirectory(prefix="mugvos-")
            self._temporary = Path(self._folder.name) / "store.h5"
        else:
            atomic.refuse_existing(self.path, overwrite)
            self._temporary = atomic.temporary_beside(self.path)
        try:
            with writing(self.path):
                self._file = NewFile(self._temporary)
                self._write_header()
                self.note_parts(parts or Parts())
        except BaseException:
            atomic.remove(self._temporary)
            raise

    def add_clip(
        self,
        name: str,
        width: int,
        height: int,
        frame_count: int,
        tracks: Sequence[Track],
        records: Iterable[MaskRecord],
        source: str = "",
        fps: Fraction | float | None = None,
        provenance: dict[str, Any] | None = None,
        complete: bool = True,
        frames: Sequence[int] | None = None,
        times: Sequence[float] | None = None,
        voids: Iterable[tuple[int, BoolArray]] = (),
    ) -> None:
        """Write one clip. `records` come in order of frame (any order of tracks inside one), and are not kept.

        `tracks` is read after `records` is used up, so it may grow meanwhile. `frames` are the frame numbers that the
        clip holds, ascending, `times` their seconds; without them the frames are 0..frame_count-1 and all that occur in
        `records`. `voids` are (frame, bool (H, W)) of pixels declared to belong to nothing, by frame. Raises StoreError
        for a clip name used twice, a record of an unknown track or frame, two records of one track in one frame.
        """
        name = schema.clean_text(name)
        self._check_new(name)
        if not schema.plausible(height, width):
            raise StoreError(f"clip {name!r}: a size of {width}x{height} cannot be", "check the source of the masks")
        with writing(self.path):
            self._file.reserve(len(json.dumps(provenance or {})) + len(source))
            group = self._clips.create_group(schema.key_of_name(name))
            attributes = {"width": width, "height": height, "frame_count": frame_count}
            group.attrs.update({key: np.int64(value) for key, value in attributes.items()})
            group.attrs["source"] = schema.text(source)
            group.attrs["fps"] = schema.fps_attribute(fps)
            group.attrs["complete"] = np.bool_(complete)
            group.attrs["provenance"] = schema.text(json.dumps(provenance or {}))
            clip = ClipWriter(group, name, height, width, self._file.reserve)
            clip.write_masks(records)
            clip.write_voids(voids)
            clip.write_tracks(tracks)
            clip.write_frames(range(frame_count) if frames is None else frames, times, extend=frames is None)

    def copy_clip(self, name: str, group: h5py.Group) -> None:
        """Copy a clip of another open store as it is."""
        self._check_new(name)
        source = Path(group.file.filename)
        with damage(source):
            size = _stored_bytes(group)
        with writing(self.path):
            self._file.reserve(size)
        with damage(source):
            h5py.h5o.copy(group.id, b".", self._clips.id, schema.key_of_name(name).encode(), None, _LINKS)

    def note_parts(self, parts: Parts) -> None:
        """Keep which shards of which runs this store holds."""
        if parts.runs:
            self._file.hdf5.attrs["parts"] = schema.text(parts.text())

    def close(self) -> None:
        """Finish the file and give it its name (or send it to standard output)."""
        with writing(self.path):
            self._file.close()
        if str(self.path) == STDIO:
            write_output(self._temporary)
            self._folder.cleanup()
        else:
            atomic.refuse_existing(self.path, self._overwrite)
            atomic.publish(self._temporary, self.path)

    def discard(self) -> None:
        """Drop what was written."""
        try:
            self._file.close()
        finally:
            atomic.remove(self._temporary)
            if str(self.path) == STDIO:
                self._folder.cleanup()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None:
            self.discard()
            return
        try:
            self.close()
        except BaseException:
            atomic.remove(self._temporary)
            raise

    def __contains__(self, name: str) -> bool:
        """Whether there is a clip of this name."""
        return schema.key_of_name(schema.clean_text(name)).encode() in self._clips.id

    def _check_new(self, name: str) -> None:
        if not name:
            raise StoreError("a clip without a name cannot be stored", "give it one")
        if name in self:
            raise StoreError(f"clip {name!r} is there twice", "rename one of the two")

    def _write_header(self) -> None:
        now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        attributes = self._file.hdf5.attrs
        attributes["format"] = schema.text(schema.FORMAT_NAME)
        attributes["schema"] = np.int64(schema.SCHEMA_VERSION)
        attributes["software"] = schema.text(f"mugvos {engine.__version__}")
        attributes["created"] = schema.text(now)
        self._clips = self._file.hdf5.create_group(schema.CLIPS)


def _stored_bytes(group: h5py.Group) -> int:
    """Bytes on disk of a clip's data sets."""
    return sum(h5py.h5d.open(group.id, key).get_storage_size() for key in group.id)
