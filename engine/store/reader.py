"""Reading a mask store: opening, checking what it is, handing out clips.

Knows the schema and HDF5. Believes nothing the file claims before it was checked; every fault of the file is a
StoreError of one line.
"""

from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import h5py
import numpy as np

from engine.errors import MugvosError, StoreError, StoreVersionError
from engine.store import schema
from engine.store.clip_reader import ClipReader
from engine.store.damage import damage

_ROWS_COUNTED = 64 * schema.ROWS_PER_CHUNK


class StoreReader:
    """The clips of a mask store (a MaskSource). Use as context manager, or call `close`.

    Raises StoreError for a file that is missing, damaged or no store, StoreVersionError for a newer schema.
    """

    format = "store"

    def __init__(self, path: str | Path, temporary: bool = False) -> None:
        """`temporary`: the file is a spool and is removed on closing."""
        self.path = Path(path)
        self._temporary = temporary
        self._clips: dict[str, ClipReader] = {}
        self._names: Sequence[str] | None = None
        try:
            self.file = _open(self.path)
        except MugvosError:
            self._unspool()
            raise
        try:
            with damage(self.path):
                self.attributes = _check_header(self.path, self.file)
                self._groups = self.file[schema.CLIPS]
        except MugvosError:
            self.close()
            raise

    @property
    def clips(self) -> Sequence[str]:
        """Names of the clips, read when first asked for: a store may hold very many."""
        if self._names is None:
            with damage(self.path):
                self._names = [schema.name_of_key(key) for key in self._groups]
        return self._names

    def clip(self, name: str) -> ClipReader:
        """One clip. Raises StoreError if there is none of this name or its tables are damaged."""
        if name not in self._clips:
            self._clips = {name: ClipReader(self.group(name), name, self.path)}
        return self._clips[name]

    def group(self, name: str) -> h5py.Group:
        """The HDF5 group of a clip."""
        with damage(self.path):
            group = self._groups.get(schema.key_of_name(name))
        if not isinstance(group, h5py.Group):
            shown = ", ".join(self.clips[:5]) + (", ..." if len(self.clips) > 5 else "")
            raise StoreError(f"{self.path}: holds no clip {name!r}", f"it has: {shown or 'none'}")
        return group

    def tally(self, name: str) -> tuple[int, int]:
        """Tracks of a clip, and masks that have any pixel; far cheaper than the clip itself, which is not checked."""
        group = self.group(name)
        with damage(self.path):
            areas = group[schema.MASKS].fields("area")
            rows = group[schema.MASKS].shape[0]
            pieces = (areas[begin : begin + _ROWS_COUNTED] for begin in range(0, rows, _ROWS_COUNTED))
            return int(group[schema.TRACKS].shape[0]), sum(int(np.count_nonzero(piece)) for piece in pieces)

    def close(self) -> None:
        """Close the file. Clips of this reader cannot be read afterwards."""
        self._clips = {}
        self.file.close()
        self._unspool()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _unspool(self) -> None:
        if self._temporary:
            self.path.unlink(missing_ok=True)


def is_hdf5(path: Path) -> bool:
    """Whether a file carries the HDF5 signature, truncated or not."""
    try:
        with path.open("rb") as stream:
            return stream.read(8) == b"\x89HDF\r\n\x1a\n"
    except OSError:
        return False


def _open(path: Path) -> h5py.File:
    if not path.exists():
        raise StoreError(f"{path}: no such file", "check the name")
    if not path.is_file():
        raise StoreError(f"{path}: is no file", "name a mask store (.h5)")
    if not is_hdf5(path):
        raise StoreError(f"{path}: is no mask store (not an HDF5 file)", "name a store written by mugvos")
    try:
        return h5py.File(path, "r", locking=False)
    except (OSError, RuntimeError, MemoryError) as error:
        reason = "cut short" if "truncated" in str(error) else "damaged"
        raise StoreError(f"{path}: the HDF5 file is {reason}", "write it again, or copy it again in full") from error


def _check_header(path: Path, file: h5py.File) -> dict[str, Any]:
    attributes = {
        key: file.attrs[key] for key in ("format", "schema", "software", "created", "parts") if key in file.attrs
    }
    name = attributes.get("format")
    if not isinstance(name, bytes | str) or schema.text_of(name) != schema.FORMAT_NAME or "schema" not in attributes:
        raise StoreError(f"{path}: is an HDF5 file but no mask store", "name a store written by mugvos")
    version = int(attributes["schema"])
    if version > schema.SCHEMA_VERSION:
        raise StoreVersionError(
            f"{path}: written by schema {version}, this mugvos reads {schema.SCHEMA_VERSION}", "upgrade mugvos"
        )
    if version < 1:
        raise StoreError(f"{path}: schema {version} does not exist", "write it again from its source")
    if not isinstance(file.get(schema.CLIPS), h5py.Group):
        raise StoreError(f"{path}: the store has no group /{schema.CLIPS}", "write it again from its source")
    return {key: schema.text_of(value) if isinstance(value, bytes) else value for key, value in attributes.items()}
