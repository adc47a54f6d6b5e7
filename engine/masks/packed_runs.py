"""Run-length codes straight to bits, eight pixels a byte, without a mask of bytes between.

What evaluation counts are bits, and unpacking a code into pixels to pack them again costs several times as much.
"""

import numpy as np
from numpy.typing import NDArray

from engine.masks.rle import checked_runs

Words = NDArray[np.uint64]

_NONE, _ALL = np.uint64(0), np.uint64(2**64 - 1)


def packed_columns(codes: bytes, lengths: NDArray[np.int64], height: int, width: int) -> NDArray[np.uint8] | None:
    """Masks of several codes as bits, column by column: uint8 (codes, width, ceil(height / 8)), lowest bit first.

    None where a code is not valid. Every run's end flips all bits behind it, 64 of them at a time.
    """
    checked = checked_runs(codes, lengths, height, width)
    if checked is None:
        return None
    runs, numbers = checked
    first = np.cumsum(numbers) - numbers
    code = np.repeat(np.arange(len(numbers)), numbers)
    column, row = np.divmod(np.cumsum(runs) - code * height * width, height)  # where each run ends and the next begins
    low, high = _touched_columns(column, numbers, width)
    column_bytes = -(-height // 8)
    words = -(-(high - low) * column_bytes // 8) + 1  # one to spare, where a code ends and all is set to 0 again
    bit = (column - low) * (8 * column_bytes) + row
    within = column < high
    word = code * words + np.where(within, bit >> 6, words - 1)
    flips = np.where(within, _ALL << (bit & 63).astype(np.uint64), _NONE)
    after = np.where(within & ((np.arange(len(code)) - first[code]) % 2 == 0), _ALL, _NONE)
    bits = _flipped(word, flips, after, len(numbers) * words)
    packed = bits.reshape(len(numbers), words).view(np.uint8)[:, : (high - low) * column_bytes]
    masks = np.zeros((len(numbers), width, column_bytes), np.uint8)
    masks[:, low:high] = packed.reshape(len(numbers), high - low, column_bytes)
    masks[:, low:high, -1] &= np.uint8(0xFF >> -height % 8)
    return masks


def _touched_columns(column: NDArray[np.int64], numbers: NDArray[np.int64], width: int) -> tuple[int, int]:
    """The first column with an object and the one behind the last, over all codes. column: where each run ends."""
    ends_in_object = bool((numbers % 2 == 0).any())
    within = column[column < width]
    low = int(within.min(initial=width - 1))
    return low, width if ends_in_object else int(within.max(initial=low)) + 1


def _flipped(word: NDArray[np.int64], flips: Words, after: Words, size: int) -> Words:
    """Little-endian words (size,) whose bits flip at ascending places.

    flips: what each place does to its own word. after: what holds in the words behind it, up to the next place's.
    """
    first = np.flatnonzero(np.diff(word, prepend=-1))
    place = word[first]
    behind = after[np.append(first[1:], len(word)) - 1]
    carried = np.repeat(np.append(_NONE, behind), np.diff(place, prepend=-1, append=size - 1))
    bits = np.zeros(size, "<u8")
    bits[place] = np.bitwise_xor.reduceat(flips, first)
    return bits ^ carried
