"""A video that comes through a pipe: standard input, a named pipe, a process substitution.

Containers are read by seeking and every pass starts anew, so a pipe is copied to a temporary file first; a redirected
file (`mugvos ... - < clip.mp4`) is read where it lies. Knows nothing of formats.
"""

import os
import shutil
import stat
import sys
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from engine.errors import VideoError
from engine.video.container import ContainerReader

_Copy = tempfile._TemporaryFileWrapper
_keepers: "list[list[_Copy[bytes]]]" = []
"""Of each `stdin_again` that is open, the copy of standard input, if there is one yet."""


@contextmanager
def stdin_again() -> Iterator[None]:
    """Inside, '-' may be opened as often as one likes: a pipe is copied at the first time and kept until the end."""
    copies: list[_Copy[bytes]] = []
    _keepers.append(copies)
    try:
        yield
    finally:
        _keepers.remove(copies)
        for copy in copies:
            copy.close()


def read_stdin() -> ContainerReader:
    """The video on standard input. Raises VideoError for a terminal, for no data, and for what is no video."""
    stream = standard_input()
    direct = reopenable(stream)
    if direct is not None:
        return ContainerReader(direct, "-", "stdin")
    if not _keepers:
        return read_pipe(stream, "-", "stdin")
    copies = _keepers[-1]
    if not copies:
        copies.append(_copied(stream, "-"))
    return ContainerReader(Path(copies[0].name), "-", "stdin")


def standard_input() -> BinaryIO:
    """Standard input as bytes. Raises VideoError for a terminal."""
    if sys.stdin.isatty():
        raise VideoError("-: standard input is a terminal", "pipe a video into it: mugvos ... - < clip.mp4")
    return sys.stdin.buffer


def read_pipe(stream: BinaryIO, source: str, name: str) -> ContainerReader:
    """The video that `stream` yields, copied to a temporary file that lives as long as the reader is open."""
    copy = _copied(stream, source)
    try:
        return _SpooledReader(copy, source, name)
    except BaseException:
        copy.close()
        raise


def _copied(stream: BinaryIO, source: str) -> "_Copy[bytes]":
    copy = tempfile.NamedTemporaryFile(prefix="mugvos-", suffix=".video")  # noqa: SIM115 (outlives this function)
    try:
        shutil.copyfileobj(stream, copy, 1 << 20)
        copy.flush()
        return copy
    except OSError as error:
        copy.close()
        hint = "free some space there, or set TMPDIR to a larger folder"
        raise VideoError(f"{source}: cannot be copied to {tempfile.gettempdir()} ({error.strerror})", hint) from error
    except BaseException:
        copy.close()
        raise


class _SpooledReader(ContainerReader):
    """A reader that owns the temporary file it reads."""

    def __init__(self, copy: "_Copy[bytes]", source: str, name: str) -> None:
        super().__init__(Path(copy.name), source, name)
        self._release = weakref.finalize(self, copy.close)

    def close(self) -> None:
        self._release()


def reopenable(stream: BinaryIO) -> Path | None:
    """A path under which a redirected regular file can be opened again; None for pipes and where there is no /proc."""
    try:
        descriptor = stream.fileno()
        regular = stat.S_ISREG(os.fstat(descriptor).st_mode) and stream.tell() == 0
    except OSError:
        return None
    path = Path(f"/proc/self/fd/{descriptor}")
    return path if regular and path.exists() else None
