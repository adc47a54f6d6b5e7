"""What follows the model, on a thread of its own: masks become runs and are stored while the next frame is worked on.

Knows pieces of work and their order. Encoding and writing let other threads run.
"""

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self


class Behind:
    """Does pieces of work in the order they were given, at most `depth` of them waiting; use it as a context manager.

    Leaving it waits for all; after an error only for the piece under way, the others are dropped.
    """

    def __init__(self, depth: int = 1) -> None:
        self._depth = depth
        self._waiting: deque[Future[None]] = deque()
        self._thread = ThreadPoolExecutor(1, initializer=_named)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.wait()
        finally:
            self._thread.shutdown(cancel_futures=True)

    def do(self, work: Callable[[], None]) -> None:
        """Put `work` last. Waits for room; raises what an earlier piece raised."""
        while len(self._waiting) > self._depth or (self._waiting and self._waiting[0].done()):
            self._waiting.popleft().result()
        self._waiting.append(self._thread.submit(work))

    def wait(self) -> None:
        """Until nothing is waiting. Raises what a piece raised."""
        while self._waiting:
            self._waiting.popleft().result()


def _named() -> None:
    threading.current_thread().name = "masks behind"
