"""Masks rid of small holes and specks, as segment-anything's automatic mask generator rids them.

Knows one mask and the size of its picture.
"""

import math

from segment_anything.utils.amg import remove_small_regions

from engine.masks.boxed import BoxedMask


def without_small_regions(mask: BoxedMask, size: tuple[int, int], least: float) -> BoxedMask:
    """Holes of less than `least` pixels are filled, then specks below that removed; where all are, the largest stays.

    Regions hang together by sides and corners. size: (H, W) of the picture. A mask that is not changed is returned
    itself.
    """
    top, bottom, left, right = _window(mask, size, least)
    part = mask.whole(*size)[top:bottom, left:right]
    part, filled = remove_small_regions(part, least, "holes")
    part, dropped = remove_small_regions(part, least, "islands")
    return BoxedMask.of(part, top, left) if filled or dropped else mask


def _window(mask: BoxedMask, size: tuple[int, int], least: float) -> tuple[int, int, int, int]:
    """Rows and columns in which the background of a mask falls into regions as it does on the whole picture.

    What leaves the window has a margin of the mask's box on that side: as deep as long, so no less than `least`.
    """
    height, width = size
    reach = math.ceil(math.sqrt(least))
    if min(size) < reach:
        return 0, height, 0, width
    rows = max(mask.top - reach, 0), min(mask.bottom + reach, height)
    return *rows, max(mask.left - reach, 0), min(mask.right + reach, width)
