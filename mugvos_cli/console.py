"""What the command line says: messages and progress on standard error, results on standard output.

Knows streams, verbosity and exit statuses. Knows nothing of commands, and of the engine only its errors. Rich is
imported when a progress bar is really drawn.
"""

import errno
import io
import json
import math
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TextIO

from engine.errors import MugvosError

DONE, PARTLY, UNUSABLE, BUG, BY_SIGNAL = 0, 1, 2, 70, 128
"""Exit statuses. 70 is EX_SOFTWARE of sysexits.h, so that a bug is never mistaken for "done in part". The number of the
signal that interrupted is added to the last, as shells do: 130 for Ctrl-C, 143 for SIGTERM."""

_SECONDS_BETWEEN_LINES = 10.0
_OUT_OF_MEMORY = ("OutOfMemoryError", "ArrayMemoryError", "MemoryError")


@dataclass
class Settings:
    """What the shared options -q, -v and --debug say. One process is one command, so there is one of these.

    signal: the one that was heard last.
    """

    quiet: bool = False
    verbosity: int = 0
    debug: bool = False
    signal: int = signal.SIGINT


settings = Settings()


def reset() -> None:
    """Back to what holds before any option is read; `--debug` may come from the environment."""
    settings.quiet, settings.verbosity, settings.signal = False, 0, signal.SIGINT
    settings.debug = os.environ.get("MUGVOS_DEBUG", "0").lower() not in ("", "0", "false", "no")


class ProgressCallback(Protocol):
    """What the engine calls: `done` of `total` units, `total` where it became known or changed."""

    def __call__(self, done: int, total: int | None = None) -> None: ...


def info(message: str) -> None:
    """A message for people, on standard error; `-q` silences it."""
    if not settings.quiet:
        _say(message)


def detail(message: str, level: int = 1) -> None:
    """A message shown with -v (level 1) or -vv (level 2)."""
    if settings.verbosity >= level and not settings.quiet:
        _say(message)


def warn(message: str) -> None:
    """Something the user should know although the work goes on; shown with `-q` too."""
    _say(f"{_painted('mugvos: warning:', 33)} {message}")


def error(message: str) -> None:
    """The one line that says what went wrong."""
    _say(f"{_painted('mugvos: error:', 31)} {message}")


def print_any_name() -> None:
    """Names of files that are no text in the terminal's encoding are shown with escapes, in JSON as \\udce9."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def result(text: str) -> None:
    """A result, on standard output."""
    sys.stdout.write(text if text.endswith("\n") else f"{text}\n")
    sys.stdout.flush()


def emit_json(document: Any) -> None:
    """One JSON document on standard output. Numbers that are not finite become null, arrays become lists."""
    result(as_json(document))


def as_json(document: Any) -> str:
    """The text of `emit_json`."""
    return json.dumps(_plain(document), indent=2, ensure_ascii=False)


def counted(number: int, what: str) -> str:
    """ "1 clip", "2 clips"."""
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def size(number: float) -> str:
    """A number of bytes for people: "8 kB", "375.0 MB", "2.6 GB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6)):
        if number >= scale:
            return f"{number / scale:.1f} {unit}"
    return f"{number / 1e3:.0f} kB"


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Aligned columns on standard output, numbers to the right, two spaces between; the last column is not padded."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    numeric = [bool(rows) and all(isinstance(row[i], int | float) for row in rows) for i in range(len(columns))]
    for line in [list(columns), *cells]:
        parts = (
            cell.rjust(w) if right else cell.ljust(w) for cell, w, right in zip(line, widths, numeric, strict=True)
        )
        result("  ".join(parts).rstrip())


@contextmanager
def progress(label: str, total: int | None = None, unit: str = "") -> Iterator[ProgressCallback]:
    """A progress display on standard error; yields the callback for the engine.

    A bar on a terminal, a plain line every ten seconds otherwise, nothing with `-q`. Unit "bytes" is shown in MB.
    """
    if settings.quiet:
        yield lambda done, total=None: None
    elif _is_terminal(sys.stderr):
        with _bar(label, total, unit) as update:
            yield update
    else:
        yield _Lines(label, total, unit)


class RunProgress(Protocol):
    """Two counts at once: the items of a run, and the steps of the item at hand."""

    def begin(self, done: int, name: str) -> None:
        """An item begins; `done` before it are finished."""

    def advance(self, done: int, total: int | None = None) -> None:
        """Steps of the item at hand."""


@contextmanager
def run_progress(label: str, total: int) -> Iterator[RunProgress]:
    """A bar for the run and one for its item at hand; plain lines of both where nobody watches, nothing with `-q`."""
    if settings.quiet or not _is_terminal(sys.stderr):
        yield _RunLines(total)
        return
    with _bars(label, total, "") as bars:
        yield _RunBars(bars, total)


def status_of(fault: BaseException) -> int:
    """Say in one line what went wrong and return the exit status; `--debug` adds the traceback."""
    if settings.debug:
        traceback.print_exception(fault, file=sys.stderr)
    if isinstance(fault, KeyboardInterrupt):
        error(str(fault) or "interrupted; no output is left half-written")
        return BY_SIGNAL + settings.signal
    if isinstance(fault, BrokenPipeError):
        close_output()
        return PARTLY
    if isinstance(fault, MugvosError):
        error(str(fault))
        return fault.exit_status
    message = _known(fault)
    if message is not None:
        error(message)
        return UNUSABLE
    cause = " ".join(f"{type(fault).__name__}: {fault}".split())
    error(f"this is a bug in mugvos: {cause}: please report it with the output of the same command and --debug")
    return BUG


def close_output() -> None:
    """Nobody reads standard output any more: send the rest nowhere, so that closing it at exit fails no more."""
    try:
        sys.stdout.flush()
    except BrokenPipeError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _known(fault: BaseException) -> str | None:
    """The line for faults that are the machine's or the user's rather than ours; None for others."""
    if type(fault).__name__ in _OUT_OF_MEMORY:
        return "out of memory: use smaller frames or fewer tracks at once, another --device, or --precision bf16"
    if isinstance(fault, OSError) and fault.errno in _OS_FAULTS:
        what = f"{fault.filename}: " if fault.filename is not None else ""
        return f"{what}{(fault.strerror or 'failed').lower()}: {_OS_FAULTS[fault.errno]}"
    return None


_OS_FAULTS = {
    errno.ENOSPC: "free some space or write elsewhere with -o; earlier outputs are untouched",
    errno.EDQUOT: "free some space or write elsewhere with -o; earlier outputs are untouched",
    errno.EACCES: "check the permissions or choose another path",
    errno.EPERM: "check the permissions or choose another path",
    errno.EROFS: "choose a path on a file system that can be written",
    errno.ENOENT: "check the path",
    errno.ENOTDIR: "check the path; one of its parts is a file",
    errno.EISDIR: "name a file, not a folder",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.EIO: "the disk or network drive failed; try another path",
}


class _Lines:
    """Progress where nobody watches: a line every ten seconds, and one at the end of what took that long."""

    def __init__(
        self, label: str, total: int | None, unit: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.label, self.total, self.unit, self.clock = label, total, unit, clock
        self.said, self.lines = clock(), 0

    def __call__(self, done: int, total: int | None = None) -> None:
        self.total = self.total if total is None else total
        finished = self.total is not None and done >= self.total
        if (finished and self.lines) or self.clock() - self.said >= _SECONDS_BETWEEN_LINES:
            self.said, self.lines = self.clock(), self.lines + 1
            _say(f"{self.label}: {self._counted(done)}" + (f"/{self._counted(self.total)}" if self.total else ""))

    def _counted(self, number: int) -> str:
        return size(number) if self.unit == "bytes" else str(number)


@contextmanager
def _bar(label: str, total: int | None, unit: str) -> Iterator[ProgressCallback]:
    with _bars(label, total, unit) as bars:

        def update(done: int, total: int | None = None) -> None:
            if total is not None:
                bars.update(bars.task_ids[0], total=total)
            bars.update(bars.task_ids[0], completed=done)

        yield update


@contextmanager
def _bars(label: str, total: int | None, unit: str) -> Iterator[Any]:
    """Rich's display with one bar."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    count = DownloadColumn() if unit == "bytes" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), count, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bars:
        bars.add_task(label, total=total)
        yield bars


class _RunBars:
    """A run's bar above the one of its item."""

    def __init__(self, bars: Any, total: int) -> None:
        self._bars, self._total = bars, total
        self._run = bars.task_ids[0]
        self._item = bars.add_task("", total=None)

    def begin(self, done: int, name: str) -> None:
        self._bars.update(self._run, completed=done)
        self._bars.reset(self._item, total=None, description=name)

    def advance(self, done: int, total: int | None = None) -> None:
        self._bars.update(self._item, completed=done, total=total)


class _RunLines:
    """A line every ten seconds on the item at hand, with its place in the run, however short items are."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._lines = _Lines("", None)

    def begin(self, done: int, name: str) -> None:
        self._lines.label, self._lines.total, self._lines.lines = f"{name} ({done + 1} of {self._total})", None, 0

    def advance(self, done: int, total: int | None = None) -> None:
        if not settings.quiet:
            self._lines(done, total)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _painted(text: str, colour: int) -> str:
    return f"\x1b[{colour}m{text}\x1b[0m" if _is_terminal(sys.stderr) and not os.environ.get("NO_COLOR") else text


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _plain(value: Any) -> Any:
    """`value` with only what JSON has; numpy's scalars and arrays are known by their `tolist`."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    return value if value is None or isinstance(value, str | bool | int | float) else str(value)
