"""Whether a disk has room for what is about to be written, asked before hours of writing. Knows sizes of files."""

import shutil
from collections.abc import Iterable
from pathlib import Path

from engine.errors import OutputError

_SPARE = 4 << 20  # headers, and what is claimed ahead


def check_room(output: Path, inputs: Iterable[Path]) -> None:
    """Raise OutputError if the inputs, copied as they are, do not fit beside the output.

    An output that is to be replaced stays until the new one is whole, so its room does not count.
    """
    needed = sum(path.stat().st_size for path in inputs if path.is_file()) + _SPARE
    folder = next(folder for folder in output.absolute().parents if folder.is_dir())
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise OutputError(
            f"{output}: about {_size(needed)} are needed, {_size(free)} are free",
            "free some space, or write to another disk",
        )


def _size(number: int) -> str:
    return f"{number / 1e9:.1f} GB" if number >= 1e9 else f"{number / 1e6:.1f} MB"
