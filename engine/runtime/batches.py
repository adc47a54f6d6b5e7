"""Batches that fit into memory: begin with a size, halve it whenever the device runs out, and remember.

Under a limit (see memory.py) nothing is tried that would not fit: the first item is worked on alone while the memory of
its tensors is counted, and the size follows from that. Knows ranges of indices only; what is computed, and that its
result does not depend on the batch, is the caller's.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

from engine.runtime import memory
from engine.runtime.footprint import Footprint

T = TypeVar("T")
SCRATCH = 2  # an item takes up to so many times the memory of its tensors, with what operators use inside
_HINT = "raise --memory-limit, or use smaller frames or fewer tracks"


class FittingBatches:
    """Splits `count` items into ranges of at most `size`, a size that shrinks to what fits and stays there."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"batch size {size} is below 1")
        self.size = size
        self._each: dict[str, int] = {}  # bytes that an item takes, by kind of work

    def run(self, count: int, work: Callable[[int, int], T], kind: str = "") -> Iterator[T]:
        """Yield work(start, stop) for consecutive ranges of range(count).

        A range that runs out of memory is tried again at half the size; at size one the error is passed on. kind: of
        work, where one object serves several that differ in what an item takes. Raises MemoryLimitError where not even
        one item fits under a limit.
        """
        start = 0
        while start < count:
            if memory.room() is not None:
                if kind not in self._each:
                    yield self._alone(work, start, kind)
                    start += 1
                    continue
                self._fit(kind)
            stop = min(start + self.size, count)
            result = self._try(work, start, stop)
            if result is None:
                self.size = max(1, (stop - start) // 2)
                continue
            yield result[0]
            start = stop

    def _alone(self, work: Callable[[int, int], T], item: int, kind: str) -> T:
        """One item, and what it took."""
        memory.check_room(1, "a batch of one", _HINT)
        size, self.size = self.size, 1
        with Footprint() as used:
            result = work(item, item + 1)
        self.size, self._each[kind] = size, max(SCRATCH * used.peak, 1)
        return result

    def _fit(self, kind: str) -> None:
        """As many items as there is room for."""
        left, each = memory.room(), self._each[kind]
        memory.check_room(each, "a batch of one", _HINT)
        assert left is not None
        self.size = max(1, min(self.size, left // each))

    def _try(self, work: Callable[[int, int], T], start: int, stop: int) -> tuple[T] | None:
        """The result in a tuple, or None where memory ran out and smaller is possible."""
        try:
            return (work(start, stop),)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error) or stop - start == 1:
                raise
        # Out of the except block: the traceback held the tensors of the failed attempt until here.
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return None


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that a device or the host ran out of memory (torch's CPU allocator has no own type)."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
