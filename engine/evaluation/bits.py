"""Binary images with 64 pixels to a machine word: packing, boundary maps, growth by a disc, counting.

Knows words only. A stack of N images of H x W pixels is held as uint64 (words, rows, N): a shift across words and one
across rows are then both plain slices of long runs of memory, and several images cost little more than one. Pixel x of
a row is bit x % 64 of word x // 64. Bits beyond the last pixel of a row are always 0 in a packed stack.
"""

from collections.abc import Sequence
from math import isqrt

import numpy as np
from numpy.typing import NDArray

from engine.types import BoolArray, UInt8Array

Words = NDArray[np.uint64]

WORD = 64
BYTE = 8


def pack_rows(masks: BoolArray) -> UInt8Array:
    """bool (..., H, W) as uint8 (..., H, ceil(W / 8)), lowest bit first."""
    return np.packbits(masks, axis=-1, bitorder="little")


def occupied(packed: Sequence[UInt8Array]) -> tuple[slice, slice] | None:
    """Rows and byte columns that hold every set pixel of the stacks and one more row or byte on each side.

    The margin is what a boundary map can reach beyond its object. None if no pixel is set anywhere.
    """
    union = np.bitwise_or.reduce([np.bitwise_or.reduce(stack, axis=0) for stack in packed])
    rows, columns = np.flatnonzero(union.any(axis=1)), np.flatnonzero(union.any(axis=0))
    if not len(rows):
        return None
    height, width = union.shape
    return (
        slice(max(0, int(rows[0]) - 1), min(height, int(rows[-1]) + 2)),
        slice(max(0, int(columns[0]) - 1), min(width, int(columns[-1]) + 2)),
    )


def to_words(packed: UInt8Array) -> Words:
    """uint8 (N, H, bytes) as words (ceil(bytes / 8), H, N)."""
    count, height, size = packed.shape
    padded = np.zeros((count, height, -(-size // BYTE) * BYTE), np.uint8)
    padded[..., :size] = packed
    words = padded.view("<u8").astype(np.uint64, copy=False)
    return np.ascontiguousarray(words.transpose(2, 1, 0))


def boundary_maps(stack: Words, last_column: int | None) -> Words:
    """Boundary map of each image: a pixel that differs from its right, lower or lower-right neighbour.

    The image edge is no boundary. Beyond the last row the last row is repeated; the caller gives one row more than the
    objects have wherever the image has one. `last_column` is the image's last column counted from the first bit, None
    where it lies outside the stack.
    """
    below = np.concatenate([stack[:, 1:], stack[:, -1:]], axis=1)
    beside = (stack ^ _from_the_right(stack, 1)) | (stack ^ _from_the_right(below, 1))
    if last_column is not None:
        word, bit = divmod(last_column, WORD)
        beside[word] &= ~(np.uint64(1) << np.uint64(bit))
    beside |= stack ^ below
    return beside


def grow_by_disc(stack: Words, radius: int) -> Words:
    """Each image dilated by the closed digital disc dx² + dy² <= radius².

    Row by row: the disc is the segment |dx| <= isqrt(radius² - dy²) for each |dy| <= radius. From the outermost row to
    the middle the segments only get longer, so one running horizontal growth serves them all. Bits may spill over the
    last pixel of a row; they meet no set bit of a boundary map there.
    """
    grown, reach = stack, 0
    result = np.zeros_like(stack)
    for dy in range(radius, 0, -1):
        grown, reach = _widen(grown, reach, isqrt(radius * radius - dy * dy))
        result[:, dy:] |= grown[:, :-dy]
        result[:, :-dy] |= grown[:, dy:]
    grown, _ = _widen(grown, reach, radius)
    result |= grown
    return result


def count_bits(stack: Words) -> NDArray[np.int64]:
    """Set pixels of each image, int64 (N,)."""
    return np.bitwise_count(stack).sum(axis=(0, 1), dtype=np.int64)


def _widen(stack: Words, reach: int, target: int) -> tuple[Words, int]:
    """Grown along the rows from |dx| <= reach to |dx| <= target; a step may be as long as the run it moves."""
    while reach < target:
        step = min(target - reach, 2 * reach + 1, WORD - 1)
        stack = stack | _from_the_right(stack, step) | _from_the_left(stack, step)
        reach += step
    return stack, reach


def _from_the_right(stack: Words, step: int) -> Words:
    """The value of the pixel `step` (1..63) further right; 0 beyond the last word."""
    moved = stack >> np.uint64(step)
    moved[:-1] |= stack[1:] << np.uint64(WORD - step)
    return moved


def _from_the_left(stack: Words, step: int) -> Words:
    """The value of the pixel `step` (1..63) further left; 0 before the first."""
    moved = stack << np.uint64(step)
    moved[1:] |= stack[:-1] >> np.uint64(WORD - step)
    return moved
