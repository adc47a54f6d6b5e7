"""Several workers at once: who gets which clip, and what happens when a worker is lost.

Knows workers by their number and by what they tell. Whether they are processes of this machine (processes.py) or
actors on a cluster (actors.py) is the crew's business.

A clip is made exactly once: its store gets its name when it is whole, and before a clip of a lost worker is given to
another one it is looked whether the store is there.
"""

import math
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from types import TracebackType
from typing import Any, Protocol, Self

from engine.errors import Interrupted, MugvosError, StoreError
from engine.generation.executors.work import Job, Outcome
from engine.generation.watch import Watch
from engine.store import manifest

ATTEMPTS = 3
_SECONDS = 0.5
_LONG = 60.0


@dataclass(frozen=True)
class Event:
    """What a worker tells. notes: things worth knowing that are no errors."""

    worker: int
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ready(Event):
    """It is set up. parameters: of its maker."""

    parameters: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Done(Event):
    """Its job came to an end. reason: see Outcome."""

    reason: str | None


class Stopped(Event):
    """It stopped in the middle of its job, as asked."""


@dataclass(frozen=True, kw_only=True)
class Broken(Event):
    """It met what every other one would meet too."""

    error: MugvosError


@dataclass(frozen=True, kw_only=True)
class Lost(Event):
    """It is gone. how: what is known of that."""

    how: str


class Crew(Protocol):
    """Workers. `size`: how many are wanted at once."""

    @property
    def size(self) -> int: ...

    def hire(self) -> int:
        """Begin to set up one more; its number. It will tell that it is ready."""
        ...

    def give(self, worker: int, job: Job) -> None:
        """Let a worker that is ready begin."""
        ...

    def wait(self, seconds: float) -> list[Event]:
        """What was told meanwhile; waits for the first of it, at most so long."""
        ...

    def stop(self) -> None:
        """Ask all to stop behind the frame at hand."""
        ...

    def close(self) -> None:
        """End all, whatever they do."""
        ...


class CrewExecutor:
    """Work by a crew (an Executor). on_note: told of things worth knowing that are no errors."""

    def __init__(self, crew: Crew, on_note: Callable[[str], None] = lambda note: None) -> None:
        self._crew, self._on_note = crew, on_note
        self._parameters: Mapping[str, Any] | None = None
        self._hired: set[int] = set()
        self._idle: deque[int] = deque()
        self._busy: dict[int, Job] = {}
        self._deaths: Counter[str] = Counter()
        self._stillborn = 0

    def begin(self) -> Mapping[str, Any]:
        """Set up the first worker; the parameters of all."""
        due = time.monotonic() + _LONG
        while self._parameters is None:
            self._hire(1)
            for event in self._crew.wait(_SECONDS):
                list(self._take(event, _Left(iter(()))))
            if time.monotonic() > due:
                self._on_note("no worker has begun yet; is anything free for it?")
                due = math.inf
        return self._parameters

    def run(self, jobs: Iterator[Job], count: int, watch: Watch) -> Iterator[Outcome]:
        """Do the jobs, with workers as they are free. Behind the last one all workers go home."""
        left, stopping = _Left(jobs), False
        while left or self._busy:
            if not stopping and watch.should_stop():
                stopping = True
                self._crew.stop()
            if not stopping:
                self._hire(min(self._crew.size, count))
                self._hand_out(left, watch)
            elif not self._busy:
                raise Interrupted
            for event in self._crew.wait(_SECONDS):
                yield from self._take(event, left)
        self._crew.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._crew.close()

    def _hire(self, wanted: int) -> None:
        while len(self._hired) < wanted:
            self._hired.add(self._crew.hire())

    def _hand_out(self, left: "_Left", watch: Watch) -> None:
        while self._idle and left:
            worker, job = self._idle.popleft(), left.take()
            self._busy[worker] = job
            watch.on_begin(job.task.name)
            self._crew.give(worker, job)

    def _take(self, event: Event, left: "_Left") -> Iterator[Outcome]:
        for note in event.notes:
            self._on_note(note)
        match event:
            case Ready():
                self._check(event.parameters)
                self._stillborn = 0
                self._idle.append(event.worker)
            case Done():
                self._idle.append(event.worker)
                yield Outcome(self._busy.pop(event.worker), event.reason)
            case Stopped():
                self._busy.pop(event.worker)
            case Broken():
                raise event.error
            case Lost():
                yield from self._lost(event, left)

    def _check(self, parameters: Mapping[str, Any]) -> None:
        """Workers on machines with other weights or another processor would make other masks."""
        if self._parameters is None:
            self._parameters = parameters
        changed = manifest.differing(dict(self._parameters), dict(parameters))
        if changed:
            raise StoreError(
                f"two workers would make clips in different ways: {', '.join(changed)}",
                "install the same mugvos and weights on every machine, and name --precision",
            )

    def _lost(self, event: Lost, left: "_Left") -> Iterator[Outcome]:
        self._hired.discard(event.worker)
        job = self._busy.pop(event.worker, None)
        if job is None:
            self._lost_without_work(event)
        elif job.done():
            yield Outcome(job)
        elif self._deaths[job.task.name] + 1 < ATTEMPTS:
            self._deaths[job.task.name] += 1
            self._on_note(f"{job.task.name}: its worker was lost ({event.how}); it is begun again")
            left.again(job)
        else:
            reason = f"{ATTEMPTS} workers were lost over it, the last one: {event.how}"
            job.fail(reason)
            yield Outcome(job, reason)

    def _lost_without_work(self, event: Lost) -> None:
        if event.worker in self._idle:
            self._idle.remove(event.worker)
            return
        self._stillborn += 1
        if self._stillborn >= ATTEMPTS + self._crew.size:
            raise StoreError(
                f"workers are lost before they begin ({event.how})", "if memory is short, pass fewer --workers"
            )


class _Left:
    """Jobs that nobody has: those of lost workers first. True while there are any; looks one ahead for that."""

    def __init__(self, jobs: Iterator[Job]) -> None:
        self._jobs = jobs
        self._first: deque[Job] = deque()

    def __bool__(self) -> bool:
        if not self._first:
            self._first.extend(islice(self._jobs, 1))
        return bool(self._first)

    def take(self) -> Job:
        """The next one."""
        return self._first.popleft() if self._first else next(self._jobs)

    def again(self, job: Job) -> None:
        """Put one back, to be taken next."""
        self._first.appendleft(job)
