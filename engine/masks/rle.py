"""COCO compressed run lengths of binary masks, behind one module.

The codec is rlemasklib's (bytes equal pycocotools'). Runs go down the columns; `counts` alone does not hold the size,
so every function that needs it takes height and width.
"""

import numpy as np
import rlemasklib

from engine.errors import MaskError
from engine.types import BoolArray, MaskRecord


def encode(mask: BoolArray) -> bytes:
    """Compressed counts of one mask, bool (H, W)."""
    if mask.ndim != 2:
        raise MaskError(f"a mask needs two axes, this one has shape {mask.shape}")
    return bytes(rlemasklib.encode(np.ascontiguousarray(mask), compressed=True)["counts"])


def decode(counts: bytes, height: int, width: int) -> BoolArray:
    """The mask of compressed counts, bool (height, width). Raises MaskError if the code does not fill that size."""
    _check(counts, height, width)
    decoded: BoolArray = rlemasklib.decode({"size": [height, width], "counts": counts}).astype(bool)
    return decoded


def area(counts: bytes, height: int, width: int) -> int:
    """Number of object pixels, without decoding."""
    return int(rlemasklib.area({"size": [height, width], "counts": counts}))


def box(counts: bytes, height: int, width: int) -> tuple[int, int, int, int]:
    """(x, y, width, height) of the smallest box around the object, zeros if empty; without decoding."""
    x, y, w, h = rlemasklib.to_bbox({"size": [height, width], "counts": counts})
    return int(x), int(y), int(w), int(h)


def record(frame: int, track: int, mask: BoolArray, score: float = float("nan")) -> MaskRecord:
    """The table row of a mask: run lengths, area and box of bool (H, W)."""
    counts = encode(mask)
    height, width = mask.shape
    return MaskRecord(
        frame=frame,
        track=track,
        counts=counts,
        area=area(counts, height, width),
        box=box(counts, height, width),
        score=score,
    )


def is_valid(counts: bytes, height: int, width: int) -> bool:
    """Whether the code is well formed and its runs sum to height x width. Never allocates by what the code claims."""
    total, at, end = 0, 0, len(counts)
    runs: list[int] = []
    while at < end:
        value, shift = 0, 0
        while True:
            if at >= end or shift > 60:
                return False
            symbol = counts[at] - 48
            at += 1
            if not 0 <= symbol < 64:
                return False
            value |= (symbol & 0x1F) << shift
            shift += 5
            if not symbol & 0x20:
                if symbol & 0x10:
                    value |= -1 << shift
                break
        if len(runs) > 2:
            value += runs[-2]
        if value < 0:
            return False
        runs.append(value)
        total += value
        if total > height * width:
            return False
    return total == height * width


def _check(counts: bytes, height: int, width: int) -> None:
    if not is_valid(counts, height, width):
        raise MaskError(
            f"run-length code does not describe a mask of {width}x{height}",
            "the file is damaged or its size is wrong; write it again from its source",
        )
