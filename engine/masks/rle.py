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
MAX_SYMBOLS = 7  # of 5 bits, the last for the sign: differences up to 2^34, above any mask; sums stay inside 64 bits


def encode(mask: BoolArray) -> bytes:
    """Compressed counts of one mask, bool (H, W)."""
    if mask.ndim != 2:
        raise MaskError(f"a mask needs two axes, this one has shape {mask.shape}")
    return bytes(rlemasklib.encode(np.ascontiguousarray(mask), compressed=True)["counts"])


def decode(counts: bytes, height: int, width: int) -> BoolArray:
    """The mask of compressed counts, bool (height, width). Raises MaskError if the code does not fill that size."""
    check(counts, height, width)
    return decode_checked(counts, height, width)


def decode_checked(counts: bytes, height: int, width: int) -> BoolArray:
    """The mask of compressed counts that `is_valid` has found good; unchecked code may crash the process."""
    decoded: BoolArray = rlemasklib.decode(_pack(counts, height, width)).view(np.bool_)
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
    return _record(frame, track, encode(mask), height, width, score)


def record_of_counts(
    frame: int, track: int, counts: bytes, height: int, width: int, score: float = float("nan")
) -> MaskRecord:
    """The table row of a mask that is run lengths already; MaskError if they do not fill height x width."""
    check(counts, height, width)
    return _record(frame, track, counts, height, width, score)


def _record(frame: int, track: int, counts: bytes, height: int, width: int, score: float) -> MaskRecord:
    """The same of counts that are known to be good."""
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
    """Plain run lengths of compressed counts, first run background; None where the code is malformed."""
    read = _read(counts)
    return None if read is None else _summed(read[0], np.array([len(read[0])]))


def is_valid(counts: bytes, height: int, width: int) -> bool:
    """Whether the code is well formed and its runs sum to height x width. Allocates by its length only."""
    return all_valid(counts, np.array([len(counts)]), height, width)


def all_valid(codes: bytes, lengths: NDArray[np.int64], height: int, width: int) -> bool:
    """Whether each of several codes, one behind the other, is valid. lengths: bytes of each, at least one code."""
    return checked_runs(codes, lengths, height, width) is not None


def checked_runs(
    codes: bytes, lengths: NDArray[np.int64], height: int, width: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Run lengths of all codes and how many each has; None unless every code fills height x width."""
    read = _read(codes)
    if read is None or int(lengths.min()) <= 0 or int(lengths.sum()) != len(codes):
        return None
    values, ends = read
    last = np.cumsum(lengths) - 1
    at = np.searchsorted(ends, last)
    pixels = height * width
    if not (ends[at] == last).all() or int(np.abs(values).max()) > pixels:
        return None
    numbers = np.diff(at, prepend=-1)
    summed = _summed(values, numbers)
    totals = np.add.reduceat(summed, np.cumsum(numbers) - numbers)
    return (summed, numbers) if bool((summed >= 0).all()) and bool((totals == pixels).all()) else None


def check(counts: bytes, height: int, width: int) -> None:
    """Raise MaskError unless the code describes a mask of this size."""
    if not is_valid(counts, height, width):
        raise MaskError(
            f"run-length code does not describe a mask of {width}x{height}",
            "the file is damaged or its size is wrong; write it again from its source",
        )


def _read(codes: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """The numbers as they are written, and where each one's last byte is; None where the code is malformed."""
    if not codes:
        return None
    symbols = np.frombuffer(codes, np.uint8) - np.uint8(SYMBOL_BASE)
    ends = np.flatnonzero((symbols & 0x20) == 0)
    if int(symbols.max()) > 63 or len(ends) == 0 or ends[-1] != len(symbols) - 1:
        return None
    lengths = np.diff(ends, prepend=-1)
    longest = int(lengths.max())
    if longest > MAX_SYMBOLS:
        return None
    starts = ends - lengths + 1
    values = (symbols[starts] & 0x1F).astype(np.int64)
    for place in range(1, longest):
        longer = np.flatnonzero(lengths > place)
        values[longer] += (symbols[starts[longer] + place] & 0x1F).astype(np.int64) << (5 * place)
    negative = np.flatnonzero(symbols[ends] & 0x10)
    values[negative] -= np.int64(1) << (5 * lengths[negative])
    return values, ends


def _summed(values: NDArray[np.int64], numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Run lengths of the numbers of several codes. numbers: how many each code has.

    From its fourth number on a code holds the difference to the run two before, so its odd runs, and its even runs
    without the first, are cumulative sums of their own.
    """
    first = np.cumsum(numbers) - numbers
    place = np.arange(len(values)) - np.repeat(first, numbers)
    odd = (place & 1).astype(bool)
    of_odd = np.cumsum(np.where(odd, values, 0))
    of_even = np.cumsum(np.where(~odd & (place > 0), values, 0))
    found = np.where(odd, of_odd - np.repeat(of_odd[first], numbers), of_even - np.repeat(of_even[first], numbers))
    found[first] = values[first]
    return found


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
