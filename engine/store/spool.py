"""`-` as a file: standard input kept in a temporary file, standard output written once everything is there.

HDF5 needs to seek, pipes cannot. Knows bytes only.
"""

import errno
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
        raise output_error(path, error) from error
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


def output_error(path: Path | str, error: OSError) -> OutputError:
    """The one line for an operating system error met while writing `path`."""
    reasons = {
        errno.ENOSPC: ("no space left on the disk", "free some space and run the same command again"),
        errno.EDQUOT: ("the disk quota is used up", "free some space and run the same command again"),
        errno.EFBIG: ("the file would be larger than the system allows", "raise the limit or write elsewhere"),
        errno.EACCES: ("no permission to write there", "choose another output"),
        errno.EPERM: ("no permission to write there", "choose another output"),
        errno.EROFS: ("the file system is read-only", "choose another output"),
        errno.ENOTDIR: ("a part of its path is a file", "choose another output"),
        errno.EISDIR: ("it is a folder", "name a file"),
    }
    reason, hint = reasons.get(error.errno or 0, (error.strerror or str(error), "choose another output"))
    return OutputError(f"{path}: cannot be written, {reason}", hint)


@contextmanager
def writing(path: Path | str) -> Iterator[None]:
    """Turn operating system errors of the block into OutputError naming `path`; broken pipes pass through."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise output_error(path, error) from error
