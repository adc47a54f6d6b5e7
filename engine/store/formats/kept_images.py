"""Label images kept as runs of equal values: what was decoded to see which ids occur need not be decoded again.

Knows arrays. Memory is bounded: a label image is a few thousand runs, and what does not fit is not kept.
"""

import numpy as np
from numpy.typing import NDArray

from engine.types import UInt8Array

MOST_BYTES = 24 << 20


class KeptImages:
    """Images uint8 (height, width) by number, at most 24 MiB of runs in all."""

    def __init__(self, height: int, width: int) -> None:
        self._shape = (height, width)
        self._runs: dict[int, tuple[NDArray[np.uint32], UInt8Array]] = {}
        self._bytes = 0

    def put(self, number: int, image: UInt8Array) -> None:
        """Keep an image if there is room."""
        flat = image.reshape(-1)
        ends = np.append(np.flatnonzero(flat[1:] != flat[:-1]) + 1, flat.size).astype(np.uint32)
        size = 5 * len(ends)
        if number in self._runs or self._bytes + size > MOST_BYTES:
            return
        self._runs[number] = (ends, flat[ends - 1])
        self._bytes += size

    def labels(self, number: int) -> set[int] | None:
        """The values of an image that is kept."""
        return {int(value) for value in np.unique(self._runs[number][1])} if number in self._runs else None

    def get(self, number: int) -> UInt8Array | None:
        """The image as it was, None where it was not kept."""
        if number not in self._runs:
            return None
        ends, values = self._runs[number]
        return np.repeat(values, np.diff(ends, prepend=0)).reshape(self._shape)
