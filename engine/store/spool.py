"""`-` as a file: standard input kept in a temporary file, standard output written once everything is there.

HDF5 needs to seek, pipes cannot. Knows bytes only.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from engine.errors import OutputError, StoreError

STDIO = "-"
_PIECE = 1 << 20


def spool_input(stream: BinaryIO | None = None) -> Path:
    """Copy standard input (or `stream`) to a temporary file; the caller removes it. StoreError if it is empty."""
    source = stream if stream is not None else sys.stdin.buffer
    handle, name = tempfile.mkstemp(prefix="mugvos-", suffix=".in")
    path = Path(name)
    try:
        with os.fdopen(handle, "wb") as copy:
            shutil.copyfileobj(source, copy, _PIECE)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise OutputError.of(path, error) from error
    if path.stat().st_size == 0:
        path.unlink()
        raise StoreError("standard input is empty", "pipe a mask store or NDJSON into it")
    return path


def write_output(path: Path, stream: BinaryIO | None = None) -> None:
    """Copy a finished file to standard output (or `stream`). BrokenPipeError passes through."""
    target = stream if stream is not None else sys.stdout.buffer
    with path.open("rb") as source:
        shutil.copyfileobj(source, target, _PIECE)
    target.flush()


@contextmanager
def spooled_output(output: Path) -> Iterator[Path]:
    """Where to write what is meant for `output`: there, or for `-` a file that goes to standard output at the end."""
    if str(output) != STDIO:
        yield output
        return
    with tempfile.TemporaryDirectory(prefix="mugvos-") as folder:
        path = Path(folder) / "store.h5"
        yield path
        if path.exists():
            write_output(path)


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turn operating system errors of the block into OutputError naming `path`; broken pipes pass through."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError.of(path, error) from error
