"""Where the time of a run goes: spans on every thread, kept as a Chrome trace and summed up in a table.

Functions are watched by putting a timed one in their place for as long as the profile lasts, so nothing is left behind
in the program and nothing is paid without one. Knows clocks, threads and the trace format; what is worth watching is
known by those who use it. Format: Trace Event Format, complete events ("X"), opened by chrome://tracing and Perfetto.
"""

import functools
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self, TextIO, TypeVar

from engine.errors import OutputError

T = TypeVar("T")
REST = "everything else"


class Row(NamedTuple):
    """A line of the table. seconds: inside spans of this name, those of spans within them left out."""

    name: str
    thread: str
    calls: int
    seconds: float
    share: float


class Profile:
    """Spans of a run, written to the trace file `path` as they end; use it as a context manager.

    The file appears whole when the context is left, after an error too. settle: waits for work that was handed to a
    device, so that its time is counted where it belongs; called around every span. clock: seconds.
    Raises OutputError where the file cannot be written.
    """

    def __init__(
        self, path: Path, settle: Callable[[], object] | None = None, clock: Callable[[], float] = time.perf_counter
    ) -> None:
        self._path = path
        self._temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        self._settle, self._clock = settle, clock
        self._restore: list[tuple[Any, str, Any]] = []
        self._lock = threading.Lock()
        self._open_spans = threading.local()
        self._sums: dict[tuple[str, int], list[float]] = {}
        self._threads: dict[int, str] = {}
        self._main = threading.get_ident()
        self._begun, self.seconds = clock(), 0.0
        self._file: TextIO | None = None

    def __enter__(self) -> Self:
        try:
            self._file = self._temporary.open("w", encoding="utf-8")
            self._file.write('{"displayTimeUnit":"ms","traceEvents":[\n')
        except OSError as error:
            raise OutputError.of(self._path, error) from error
        self._begun = self._clock()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for owner, name, original in reversed(self._restore):
            setattr(owner, name, original)
        self.seconds = self._clock() - self._begun
        assert self._file is not None
        try:
            with self._lock, self._file as file:
                names = [self._named(thread, name) for thread, name in self._threads.items()]
                file.write(",\n".join([*names, self._event("run", 0.0, self.seconds, self._main)]) + "\n]}\n")
            self._temporary.replace(self._path)
        except OSError as failure:
            self._temporary.unlink(missing_ok=True)
            raise OutputError.of(self._path, failure) from failure

    @contextmanager
    def span(self, name: str) -> Iterator[None]:
        """The time of the block, under this name."""
        inside: list[float] = self._open_spans.__dict__.setdefault("inside", [])
        inside.append(0.0)
        if self._settle is not None:
            self._settle()
        begun = self._clock()
        try:
            yield
        finally:
            if self._settle is not None:
                self._settle()
            took = self._clock() - begun
            of_others = inside.pop()
            if inside:
                inside[-1] += took
            self._note(name, begun - self._begun, took, took - of_others)

    def watch(self, owner: Any, attribute: str, name: str) -> None:
        """Time every call of a function of a class or module until the profile ends; nothing if it has none."""
        original = owner.__dict__.get(attribute)
        if original is None or not callable(original):
            return

        @functools.wraps(original)
        def timed(*arguments: Any, **more: Any) -> Any:
            with self.span(name):
                return original(*arguments, **more)

        self._restore.append((owner, attribute, original))
        setattr(owner, attribute, timed)

    def each(self, items: Iterable[T], name: str) -> Iterator[T]:
        """The same items; the time that each of them takes to come."""
        iterator = iter(items)
        while True:
            with self.span(name):
                try:
                    item = next(iterator)
                except StopIteration:
                    return
            yield item

    def table(self) -> list[Row]:
        """All names by the time spent in them: first the thread that began the profile, which adds up to the whole
        run, then those beside it."""
        with self._lock:
            rows = [self._row(name, thread, *sums) for (name, thread), sums in self._sums.items()]
        own = [row for row in rows if not row.thread]
        rest = max(self.seconds - sum(row.seconds for row in own), 0.0)
        rows.append(Row(REST, "", 1, rest, rest / self.seconds if self.seconds else 0.0))
        return sorted(rows, key=lambda row: (bool(row.thread), -row.seconds))

    def _row(self, name: str, thread: int, calls: float, seconds: float) -> Row:
        beside = "" if thread == self._main else self._threads[thread]
        return Row(name, beside, int(calls), seconds, seconds / self.seconds if self.seconds else 0.0)

    def _note(self, name: str, begun: float, took: float, own: float) -> None:
        thread = threading.get_ident()
        with self._lock:
            sums = self._sums.setdefault((name, thread), [0, 0.0])
            sums[0] += 1
            sums[1] += own
            self._threads.setdefault(thread, threading.current_thread().name)
            if self._file is not None and not self._file.closed:
                self._file.write(self._event(name, begun, took, thread) + ",\n")

    def _event(self, name: str, begun: float, took: float, thread: int) -> str:
        """A complete event; times in microseconds."""
        times = {"ts": round(begun * 1e6, 1), "dur": round(took * 1e6, 1)}
        return json.dumps({"name": name, "ph": "X", **times, "pid": os.getpid(), "tid": thread})

    def _named(self, thread: int, name: str) -> str:
        of = {"pid": os.getpid(), "tid": thread, "args": {"name": name}}
        return json.dumps({"name": "thread_name", "ph": "M", **of})
