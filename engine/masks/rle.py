"""COCO compressed run lengths of binary masks, behind one module.

The codec is rlemasklib's (bytes equal pycocotools'). Runs go down the columns; `counts` alone does not hold the size,
so every function that needs it takes height and width. Codes that come from files are checked here before the codec
sees them: it trusts its input.
"""

from collections.abc import Sequence

import numpy as np
import rlemasklib
from numpy.typing import NDArray

from engine.errors import MaskError
from engine.types import BoolArray, MaskRecord

SYMBOL_BASE = 48
MAX_SYMBOLS = 10  # 5 bits each: runs up to 2^49, far above any mask, and sums stay inside 64 bits
_NO_RUNS: NDArray[np.int64] = np.zeros(0, np.int64)


def encode(mask: BoolArray) -> bytes:
    """Compressed counts of one mask, bool (H, W)."""
    if mask.ndim != 2:
        raise MaskError(f"a mask needs two axes, this one has shape {mask.shape}")
    return bytes(rlemasklib.encode(np.ascontiguousarray(mask), compressed=True)["counts"])


def decode(counts: bytes, height: int, width: int) -> BoolArray:
    """The mask of compressed counts, bool (height, width). Raises MaskError if the code does not fill that size."""
    check(counts, height, width)
    decoded: BoolArray = rlemasklib.decode(_pack(counts, height, width)).astype(bool)
    return decoded


def area(counts: bytes, height: int, width: int) -> int:
    """Number of object pixels, without decoding."""
    return int(rlemasklib.area(_pack(counts, height, width)))


def box(counts: bytes, height: int, width: int) -> tuple[int, int, int, int]:
    """(x, y, width, height) of the smallest box around the object, zeros if empty; without decoding."""
    x, y, w, h = rlemasklib.to_bbox(_pack(counts, height, width))
    return int(x), int(y), int(w), int(h)


def record(frame: int, track: int, mask: BoolArray, score: float = float("nan")) -> MaskRecord:
    """The table row of a mask: run lengths, area and box of bool (H, W)."""
    height, width = mask.shape
    return record_of_counts(frame, track, encode(mask), height, width, score)


def record_of_counts(
    frame: int, track: int, counts: bytes, height: int, width: int, score: float = float("nan")
) -> MaskRecord:
    """The table row of a mask that is run lengths already; MaskError if they do not fill height x width."""
    check(counts, height, width)
    return MaskRecord(
        frame=frame,
        track=track,
        counts=counts,
        area=area(counts, height, width),
        box=box(counts, height, width),
        score=score,
    )


def iou(first: bytes, second: bytes, height: int, width: int) -> float:
    """Intersection over union of two masks of one size, in [0, 1]; 1 if both are empty. Without decoding."""
    both = rlemasklib.intersection([_pack(first, height, width), _pack(second, height, width)])
    overlap = int(rlemasklib.area(both))
    union = area(first, height, width) + area(second, height, width) - overlap
    return overlap / union if union else 1.0


def overlap(first: bytes, second: bytes, height: int, width: int) -> int:
    """Number of pixels that two masks share. Without decoding."""
    both = rlemasklib.intersection([_pack(first, height, width), _pack(second, height, width)])
    return int(rlemasklib.area(both))


def merge(codes: Sequence[bytes], height: int, width: int) -> bytes:
    """Compressed counts of the union of masks of one size; of no masks: the empty mask."""
    if not codes:
        return empty(height, width)
    return bytes(rlemasklib.union([_pack(counts, height, width) for counts in codes])["counts"])


def empty(height: int, width: int) -> bytes:
    """Compressed counts of the mask without object pixels."""
    return from_runs([height * width])


def from_runs(runs: Sequence[int]) -> bytes:
    """Compressed counts of plain run lengths (COCO's uncompressed form), first run background."""
    pieces = bytearray()
    for index, run in enumerate(runs):
        value = int(run) - (int(runs[index - 2]) if index > 2 else 0)
        _append_symbols(pieces, value)
    return bytes(pieces)


def from_polygon(points: Sequence[float], height: int, width: int) -> bytes:
    """Compressed counts of the polygon (x0, y0, x1, y1, ...), rasterised as COCO's tools do."""
    filled = rlemasklib.from_polygon(np.asarray(points, np.float64), imshape=[height, width])
    return bytes(filled["counts"])


def runs(counts: bytes) -> NDArray[np.int64] | None:
    """Plain run lengths of compressed counts, first run background; None where the code is malformed.

    From the fourth run on the code holds the difference to the run two before, so the odd and the even runs are
    cumulative sums of their own.
    """
    values = _values(counts)
    if values is None:
        return None
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def is_valid(counts: bytes, height: int, width: int) -> bool:
    """Whether the code is well formed and its runs sum to height x width. Allocates by its length only."""
    pixels = height * width
    values = _values(counts)
    if values is None or (len(values) and int(np.abs(values).max()) > pixels):
        return False
    lengths = runs(counts)
    return lengths is not None and bool((lengths >= 0).all()) and int(lengths.sum()) == pixels


def check(counts: bytes, height: int, width: int) -> None:
    """Raise MaskError unless the code describes a mask of this size."""
    if not is_valid(counts, height, width):
        raise MaskError(
            f"run-length code does not describe a mask of {width}x{height}",
            "the file is damaged or its size is wrong; write it again from its source",
        )


def _values(counts: bytes) -> NDArray[np.int64] | None:
    """The numbers of the code as they are written (differences from the fourth on); None where it is malformed."""
    if not counts:
        return _NO_RUNS.copy()
    symbols = np.frombuffer(counts, np.uint8).astype(np.int64) - SYMBOL_BASE
    if int(symbols.min()) < 0 or int(symbols.max()) > 63:
        return None
    ends = np.flatnonzero((symbols & 0x20) == 0)
    if len(ends) == 0 or ends[-1] != len(symbols) - 1:
        return None
    starts = np.concatenate(([0], ends[:-1] + 1))
    lengths = ends - starts + 1
    if int(lengths.max()) > MAX_SYMBOLS:
        return None
    shifts = 5 * (np.arange(len(symbols)) - np.repeat(starts, lengths))
    values = np.add.reduceat((symbols & 0x1F) << shifts, starts)
    negative = (symbols[ends] & 0x10) != 0
    return values - (negative.astype(np.int64) << (5 * lengths))


def _append_symbols(pieces: bytearray, value: int) -> None:
    while True:
        symbol = value & 0x1F
        value >>= 5
        done = value == (-1 if symbol & 0x10 else 0)
        pieces.append((symbol if done else symbol | 0x20) + SYMBOL_BASE)
        if done:
            return


def _pack(counts: bytes, height: int, width: int) -> dict[str, object]:
    return {"size": [height, width], "counts": counts}
