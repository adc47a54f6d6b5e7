"""Work shared out over this process and others beside it; results come in the order of the items.

Fresh interpreters are started, not copies of this one: open HDF5 files and the threads of a progress bar do not survive
being copied. They talk through pipes and load nothing but what the work needs, so that one is ready in a third of a
second, during which this process already works. Knows pickles and pipes; knows nothing of masks.
"""

import contextlib
import os
import pickle
import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from threading import Lock, Thread
from types import TracebackType
from typing import Any, BinaryIO, Self, cast

from engine.errors import MugvosError

Work = Callable[[Any], Any]

_BOOT = """import pickle, sys
sys.path[:] = pickle.load(sys.stdin.buffer)
import engine.evaluation.pool
from engine.evaluation.processes import serve
serve()"""
_ITEMS_AHEAD = 2


@dataclass(frozen=True)
class _Failed:
    """Stands for the result of an item whose work raised an error."""

    error: MugvosError


class _Lost:
    """Stands for the result of an item whose process ended without an answer."""


class Processes:
    """Some processes beside this one, started at once and ended with the block.

    count: how many; 0 leaves all work to this process.
    """

    def __init__(self, count: int) -> None:
        self._others = [_Other() for _ in range(count)]

    def map(self, items: Sequence[Any], work: Work, make: Callable[[], Work]) -> Iterator[Any]:
        """The results of all items, in order. work: does an item here; make: makes what does one elsewhere.

        `make`, items and results travel as pickles, so functions are those of modules. The error of the first item that
        raised one is raised in its turn. What a process that ended too early leaves behind is done here.
        """
        tasks = _Tasks(items)
        arrived: queue.SimpleQueue[tuple[int, Any]] = queue.SimpleQueue()
        for other in self._others:
            other.start(pickle.dumps(sys.path) + pickle.dumps(make), tasks, arrived)
        done: dict[int, Any] = {}
        for wanted in range(len(items)):
            while wanted not in done:
                at = tasks.take() if arrived.empty() else None
                number, result = arrived.get() if at is None else (at, _Lost())
                done[number] = _attempt(work, items[number]) if isinstance(result, _Lost) else result
            result = done.pop(wanted)
            if isinstance(result, _Failed):
                raise result.error
            yield result

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for other in self._others:
            other.end()


class _Tasks:
    """Items that nobody has taken yet."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.items = items
        self._taken, self._lock = 0, Lock()

    def take(self, left: int = 0) -> int | None:
        """The number of the next item; None where no more than `left` are there."""
        with self._lock:
            if len(self.items) - self._taken <= left:
                return None
            self._taken += 1
            return self._taken - 1


class _Other:
    """One process beside this one, and the thread that hands it items and mostly waits."""

    def __init__(self) -> None:
        command = [sys.executable, "-P", "-c", _BOOT]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._questions = cast(BinaryIO, self._process.stdin)
        self._answers = cast(BinaryIO, self._process.stdout)
        self._thread: Thread | None = None

    def start(self, beginning: bytes, tasks: _Tasks, arrived: "queue.SimpleQueue[tuple[int, Any]]") -> None:
        """Hand out items and collect their results until none is left."""
        self._thread = Thread(target=self._drive, args=(beginning, tasks, arrived), daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the process, whatever it is doing."""
        self._process.kill()
        self._process.wait()
        if self._thread is not None:
            self._thread.join()
        for pipe in (self._questions, self._answers):
            with contextlib.suppress(OSError):
                pipe.close()

    def _drive(self, beginning: bytes, tasks: _Tasks, arrived: "queue.SimpleQueue[tuple[int, Any]]") -> None:
        """While many items are left, the process has its next one before it asks for it."""
        waiting: list[int] = []
        try:
            self._questions.write(beginning)
            while True:
                while len(waiting) < _ITEMS_AHEAD and (at := tasks.take(8 if waiting else 0)) is not None:
                    waiting.append(at)
                    pickle.dump(tasks.items[at], self._questions)
                if not waiting:
                    return
                self._questions.flush()
                answer = pickle.load(self._answers)
                arrived.put((waiting.pop(0), answer))
        except (OSError, EOFError, pickle.UnpicklingError):
            for at in waiting:
                arrived.put((at, _Lost()))


def serve() -> None:
    """What a process beside the first does until its input ends. An interrupt is the first one's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    with contextlib.suppress(EOFError, BrokenPipeError):
        work = _attempt(lambda make: make(), pickle.load(sys.stdin.buffer))
        while True:
            item = pickle.load(sys.stdin.buffer)
            pickle.dump(work if isinstance(work, _Failed) else _attempt(work, item), answers)
            answers.flush()


def _attempt(work: Work, item: Any) -> Any:
    """The result, or the error of a fault that the user can mend; any other ends the process with its traceback."""
    try:
        return work(item)
    except MugvosError as error:
        return _Failed(error)
