"""From a name or a path to a file of weights on this machine.

Looks, in this order: a path; the package itself; the weights folder (MUGVOS_WEIGHTS, else the user's cache). Never
fetches anything and never opens the file.
"""

import difflib
import os
from pathlib import Path

import platformdirs

from engine.errors import CheckpointError
from engine.weights.catalogue import CATALOGUE, Entry

BUNDLED = Path(__file__).parent / "bundled"
SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")


def weights_folder() -> Path:
    """Where fetched weights lie: $MUGVOS_WEIGHTS, else `weights` in the user's cache folder. It may not exist yet."""
    chosen = os.environ.get("MUGVOS_WEIGHTS")
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("mugvos")) / "weights"


def place_of(entry: Entry) -> Path:
    """Where the file of an entry is, or will be once fetched: as published, or converted to <name>.safetensors."""
    if entry.bundled:
        return BUNDLED / entry.file
    published, converted = weights_folder() / entry.file, weights_folder() / f"{entry.name}.safetensors"
    return converted if converted.is_file() and not published.is_file() else published


def by_hand(entry: Entry) -> str:
    """What to do about weights that a person has to fetch."""
    return f"fetch it by hand from {entry.page} and put it at {place_of(entry)}"


def find_weights(name_or_path: str | Path) -> Path:
    """The file of weights that is meant. Raises CheckpointError if it is not there, with what to do about it."""
    text = str(name_or_path)
    if text in CATALOGUE:
        return _of_entry(CATALOGUE[text])
    path = Path(text).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        raise CheckpointError(f"{text} is a folder", "name the file of weights inside it")
    for suffix in ("", *SUFFIXES):
        candidate = weights_folder() / f"{text}{suffix}"
        if os.sep not in text and candidate.is_file():
            return candidate
    raise _not_found(text)


def _of_entry(entry: Entry) -> Path:
    path = place_of(entry)
    if path.is_file():
        return path
    if entry.bundled:
        raise CheckpointError(f"{entry.name}: {path} is missing from the installation", "install mugvos again")
    if entry.page:
        raise CheckpointError(f"{entry.name} is not on this machine", by_hand(entry))
    size = f" ({entry.size / 1e6:.0f} MB)" if entry.size else ""
    raise CheckpointError(f"{entry.name} is not on this machine{size}", f"fetch it: mugvos models fetch {entry.name}")


def _not_found(text: str) -> CheckpointError:
    if os.sep in text or Path(text).suffix in SUFFIXES:
        return CheckpointError(f"{text}: no such file of weights", f"check the path; names are {', '.join(CATALOGUE)}")
    near = difflib.get_close_matches(text, CATALOGUE, n=1)
    hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(CATALOGUE)}, or the path of a file"
    return CheckpointError(f"no weights are called {text!r}", hint)
