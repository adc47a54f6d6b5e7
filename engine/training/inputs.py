"""What a run is made from, in a form that tells whether it is still the same: digests of files, lists of folders."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

from engine.errors import FormatError
from engine.names import encoded
from engine.training.data import SYNTHETIC
from engine.weights.digest import file_digest
from engine.weights.find import find_weights

LARGE = 8 << 30
_ENDS = 1 << 24


def fingerprint(path: Path) -> str:
    """16 hexadecimal digits that follow from a file's bytes, or from the names and sizes of all files of a folder.

    Of files above 8 GiB the size, the beginning and the end are taken. The path itself does not matter.
    """
    if path.is_dir():
        return _folder_digest(path)
    if path.stat().st_size <= LARGE:
        return file_digest(path)
    state = hashlib.sha256(str(path.stat().st_size).encode())
    with path.open("rb") as file:
        state.update(file.read(_ENDS))
        file.seek(-_ENDS, os.SEEK_END)
        state.update(file.read(_ENDS))
    return state.hexdigest()[:16]


def _folder_digest(folder: Path) -> str:
    state = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        state.update(encoded(f"{path.relative_to(folder).as_posix()}\x1f{path.stat().st_size}\x1e"))
    return state.hexdigest()[:16]


def fingerprints(
    data: Iterable[str], videos: Path | None, validation: str | None, **weights: str | Path | None
) -> dict[str, str]:
    """By the name of the option; what was not given is left out. Weights may be names of the catalogue.

    Raises FormatError for data and CheckpointError for weights that are not there.
    """
    found = {f"data {at}": _of_data(name) for at, name in enumerate(data, 1)}
    if videos is not None and videos.exists():
        found["videos"] = fingerprint(videos)
    if validation is not None:
        found["validate"] = _of_data(validation)
    named = {name: find_weights(value) for name, value in weights.items() if value is not None}
    return found | {name: fingerprint(path) for name, path in named.items()}


def _of_data(name: str) -> str:
    if name == SYNTHETIC:
        return SYNTHETIC
    if not Path(name).exists():
        raise FormatError(f"{name}: no such data", "name `synthetic`, a folder of pictures, or a mask store")
    return fingerprint(Path(name))
