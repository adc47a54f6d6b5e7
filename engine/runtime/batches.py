"""Batches that fit into memory: begin with a size, halve it whenever the device runs out, and remember.

Knows ranges of indices only; what is computed, and that its result does not depend on the batch, is the caller's.
"""

from collections.abc import Callable, Iterator
from typing import TypeVar

import torch

T = TypeVar("T")


class FittingBatches:
    """Splits `count` items into ranges of at most `size`, a size that shrinks to what fits and stays there."""

    def __init__(self, size: int) -> None:
        if size < 1:
            raise ValueError(f"batch size {size} is below 1")
        self.size = size

    def run(self, count: int, work: Callable[[int, int], T]) -> Iterator[T]:
        """Yield work(start, stop) for consecutive ranges of range(count).

        A range that runs out of memory is tried again at half the size; at size one the error is passed on.
        """
        start = 0
        while start < count:
            stop = min(start + self.size, count)
            result = self._try(work, start, stop)
            if result is None:
                self.size = max(1, (stop - start) // 2)
                continue
            yield result[0]
            start = stop

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
