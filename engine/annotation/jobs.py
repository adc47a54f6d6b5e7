"""Work that takes longer than a page waits: one thread, one job after the other, each with its progress.

Knows jobs and callables. A job's errors are kept with it; none ends the thread.
"""

import itertools
import queue
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from engine.annotation.carrying import StoppedError
from engine.errors import MugvosError

_KEPT = 50


@dataclass
class Job:
    """done of total steps. error: the one line of what went wrong. about: what it is, for the page."""

    id: int
    total: int
    about: Mapping[str, Any]
    state: Literal["waiting", "running", "done", "failed", "stopped"] = "waiting"
    done: int = 0
    error: str = ""
    stop: threading.Event = field(default_factory=threading.Event)

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        values = {key: getattr(self, key) for key in ("id", "state", "done", "total", "error")}
        return {**values, **self.about}

    def step(self, done: int) -> bool:
        """Note progress; False where somebody asked to stop."""
        self.done = done
        return not self.stop.is_set()


class Jobs:
    """A queue of jobs. `most` may wait at once."""

    def __init__(self, most: int = 20) -> None:
        self._most = most
        self._queue: queue.Queue[tuple[Job, Callable[[Job], None]] | None] = queue.Queue()
        self._numbers = itertools.count(1)
        self._jobs: dict[int, Job] = {}
        self._thread = threading.Thread(target=self._work, name="annotation jobs", daemon=True)
        self._thread.start()

    def begin(self, total: int, about: Mapping[str, Any], work: Callable[[Job], None]) -> Job:
        """Queue work. Raises MugvosError where too much waits already."""
        if sum(job.state == "waiting" for job in self._jobs.values()) >= self._most:
            raise MugvosError(f"{self._most} jobs are waiting already", "wait for some of them")
        job = Job(next(self._numbers), total, dict(about))
        self._jobs[job.id] = job
        while len(self._jobs) > _KEPT:
            self._jobs.pop(next(iter(self._jobs)))
        self._queue.put((job, work))
        return job

    def stop(self, number: int) -> None:
        """Ask a job to stop; one that nobody knows is stopped already."""
        job = self._jobs.get(number)
        if job is not None:
            job.stop.set()

    def plain(self) -> list[dict[str, Any]]:
        """All jobs that are remembered."""
        return [job.plain() for job in list(self._jobs.values())]

    def close(self) -> None:
        """Stop everything and end the thread."""
        for job in list(self._jobs.values()):
            job.stop.set()
        self._queue.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._queue.get()) is not None:
            job, work = item
            if job.stop.is_set():
                job.state = "stopped"
                continue
            job.state = "running"
            try:
                work(job)
                job.state = "done"
            except StoppedError:
                job.state = "stopped"
            except MugvosError as error:
                job.error, job.state = str(error), "failed"
            except Exception as error:  # a bug in a model must not end the thread, nor be hidden
                job.error, job.state = f"{type(error).__name__}: {error}", "failed"
