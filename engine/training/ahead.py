"""Batches prepared ahead in background threads, given out in order.

Each batch follows from its number alone, so it does not matter which thread made it when, and a run that goes on at
batch k gets batch k. Knows threads; knows nothing of what a batch is.
"""

import os
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Batch = TypeVar("Batch")
MOST = 8


class Ahead(Generic[Batch]):
    """Calls `work(number, clips)` for the next few numbers in the background. Errors come out of `take`."""

    def __init__(self, work: Callable[[int, int], Batch], threads: int | None = None) -> None:
        """threads: also how many batches are held at most; by default half of the processors, 2 to 8."""
        self._work = work
        self._threads = threads or min(MOST, max(2, (os.cpu_count() or 2) // 2))
        self._pool: ThreadPoolExecutor | None = None
        self._queue: deque[Future[Batch]] = deque()
        self._clips = 0
        self._position = 0

    @property
    def position(self) -> int:
        """The number of the batch that `take` gives next."""
        return self._position

    @position.setter
    def position(self, position: int) -> None:
        self._forget()
        self._position = position

    def take(self, clips: int) -> Batch:
        """The next batch, of `clips` clips; waits for it if need be."""
        if clips != self._clips:
            self._forget()
            self._clips = clips
        self._pool = self._pool or ThreadPoolExecutor(self._threads, thread_name_prefix="clips")
        while len(self._queue) < self._threads:
            number = self._position + len(self._queue)
            self._queue.append(self._pool.submit(self._work, number, clips))
        batch = self._queue.popleft().result()
        self._position += 1
        return batch

    def _forget(self) -> None:
        for future in self._queue:
            future.cancel()
        self._queue.clear()
