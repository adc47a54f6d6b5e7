"""Runs of `mugvos` in forked children of a process that has imported everything, so that a kill costs no start-up.

A child may be killed from outside after a time, or kill itself at its n-th change of a file, which is a moment that
comes again. Knows processes and files; knows nothing of what the commands do. The process that forks must not have
computed anything with torch: threads do not survive a fork.
"""

import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
DEADLINE_S = 120.0
"""A run that takes longer hangs."""


@dataclass
class Child:
    """A running command. Its streams are files in `logs`."""

    process: int
    logs: Path
    began: float = field(default_factory=time.monotonic)
    status: int | None = None

    @property
    def err(self) -> str:
        """Standard error so far."""
        return (self.logs / "err").read_text("utf-8", errors="replace")

    @property
    def out(self) -> str:
        """Standard output so far."""
        return (self.logs / "out").read_text("utf-8", errors="replace")

    def ended(self) -> bool:
        """Whether it has ended; `status` is then its exit status, negative for a signal."""
        if self.status is None:
            process, code = os.waitpid(self.process, os.WNOHANG)
            if process:
                self.status = os.waitstatus_to_exitcode(code)
        return self.status is not None

    def wait(self, seconds: float = DEADLINE_S) -> int | None:
        """The exit status; None if it still runs after so many seconds."""
        until = time.monotonic() + seconds
        while not self.ended() and time.monotonic() < until:
            time.sleep(0.002)
        return self.status

    def end(self, number: int = signal.SIGKILL) -> None:
        """Send a signal to it and all that it started."""
        if self.ended():
            return
        try:
            os.killpg(self.process, number)
        except ProcessLookupError:  # so young that it leads no group yet
            os.kill(self.process, number)


def fork(arguments: list[str], folder: Path, logs: Path, before: Callable[[], None] = lambda: None) -> Child:
    """Run `mugvos ARGUMENTS` in `folder`. before: called in the child."""
    logs.mkdir(parents=True, exist_ok=True)
    for name in ("out", "err"):
        (logs / name).write_bytes(b"")
    process = os.fork()
    if process:
        return Child(process, logs)
    code = 71
    try:
        os.setsid()
        _redirect(logs)
        os.chdir(folder)
        before()
        code = _main(arguments)
    except BaseException as error:
        os.write(2, f"{type(error).__name__}: {error}\n".encode())
    finally:
        os._exit(code)


def run(arguments: list[str], folder: Path, logs: Path, before: Callable[[], None] = lambda: None) -> Child:
    """As `fork`, until it ends. Raises TimeoutError for one that hangs."""
    child = fork(arguments, folder, logs, before)
    if child.wait() is None:
        child.end()
        raise TimeoutError(f"{arguments}: still running after {DEADLINE_S} s")
    return child


def killing_itself(folder: Path, at: int, count: Path) -> Callable[[], None]:
    """What a child does before it begins: kill itself just before its `at`-th change of a file below `folder`.

    How many changes there were is written to `count` all the while, so that a run that is not killed tells how many
    moments there are; -1 never kills.
    """
    inside = str(folder)

    def begin() -> None:
        handle, seen, lock = os.open(count, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 0, threading.Lock()

        def hook(event: str, given: tuple[Any, ...]) -> None:
            nonlocal seen
            if not _is_change(event, given) or not _is_inside(given, inside):
                return
            with lock:
                if seen == at:
                    os.killpg(0, signal.SIGKILL)
                seen += 1
                os.pwrite(handle, b"%d" % seen, 0)

        sys.addaudithook(hook)

    return begin


def _is_change(event: str, given: tuple[Any, ...]) -> bool:
    if event in CHANGES:
        return True
    writes = os.O_WRONLY | os.O_RDWR | os.O_CREAT
    return event == "open" and isinstance(given[0], str | bytes | os.PathLike) and bool((given[2] or 0) & writes)


def _is_inside(given: tuple[Any, ...], folder: str) -> bool:
    if not given or not isinstance(given[0], str | bytes | os.PathLike):
        return _by_handle(given)
    place = os.path.abspath(os.fsdecode(given[0]))  # noqa: PTH100 (a link is changed, not what it points to)
    return place.startswith(folder)


def _by_handle(given: tuple[Any, ...]) -> bool:
    """Changes of open files are told by their handle; they count wherever they are."""
    return bool(given) and isinstance(given[0], int)


def _redirect(logs: Path) -> None:
    for number, name in ((0, os.devnull), (1, logs / "out"), (2, logs / "err")):
        handle = os.open(name, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_APPEND)
        os.dup2(handle, number)
        os.close(handle)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False)  # noqa: SIM115


def _main(arguments: list[str]) -> int:
    from mugvos_cli.main import program

    try:
        program().main(arguments)
    except SystemExit as end:
        sys.stdout.flush()
        return int(end.code or 0)
    return 0
