"""Masks laid over an image so that overlapping tracks stay readable.

Knows arrays and track ids. Knows nothing of videos or files.

The fill: large masks lie below small ones, and every mask takes half of what lies below it. A pixel of n tracks shows
them with the shares 1/2, 1/4, ... from the smallest upwards, the largest taking what remains; together they are always
`alpha` opaque, so the image shines through a pile of tracks as well as through one.
The contours: a line in the track's full colour on the inner rim of its mask, a thin dark ring round it; all above all
fills, small masks last. Where a mask meets the border of the image there is no line.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np

from engine.errors import MaskError
from engine.rendering.colours import DARK, RGB, colour_of, tint_of
from engine.rendering.text import draw_text, text_size
from engine.types import BoolArray, UInt8Array

CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))
DASH = 6  # length of a dash, in widths of the line
SQUARE = cv2.getStructuringElement(cv2.MORPH_RECT, (3, 3))


@dataclass(frozen=True)
class _Shape:
    """One mask inside its box. `window`: rows and columns of the image; `mask`: uint8 0/1 of that window."""

    track: int
    area: int
    window: tuple[slice, slice]
    mask: UInt8Array

    @property
    def colour(self) -> RGB:
        return colour_of(self.track)


def overlay(
    image: UInt8Array,
    masks: Mapping[int, BoolArray],
    alpha: float = 0.5,
    contour: bool = True,
    labels: bool | Mapping[int, str] = False,
) -> UInt8Array:
    """A copy of `image` with the masks of all tracks on it.

    image: uint8 (H, W, 3) RGB. masks: track id -> bool (H, W); may overlap, may be empty.
    alpha: opacity of the fill in [0, 1]. labels: True writes each track's id on it, a mapping its name.
    Pixels outside masks, their dark rings (half as wide as the line, at least one pixel) and labels keep their values.
    Raises MaskError for a mask of another size.
    """
    line = line_width(image)
    shapes = _shapes(image, masks, margin=line + 1)
    result = _fill(image, shapes, alpha)
    if contour:
        _draw_contours(result, shapes, line)
    if labels is not False:
        _draw_labels(result, shapes, {} if labels is True else labels)
    return result


def line_width(image: UInt8Array) -> int:
    """Pixels of a contour line: 1 where the image's shorter side has less than 450, 2 below 810, and so on."""
    return max(1, round(min(image.shape[:2]) / 360 + 0.25))


def _shapes(image: UInt8Array, masks: Mapping[int, BoolArray], margin: int) -> list[_Shape]:
    """The masks that have pixels, largest first, equal areas by id; each cut to its box and a margin."""
    height, width = image.shape[:2]
    shapes = []
    for track, mask in masks.items():
        if mask.shape != (height, width):
            size = f"{mask.shape[-1]}x{mask.shape[0]}"
            raise MaskError(f"track {track}: its mask is {size}, the image is {width}x{height}", "use the same size")
        x, y, w, h = _box(mask)
        if w == 0:
            continue
        window = (
            slice(max(0, y - margin), min(height, y + h + margin)),
            slice(max(0, x - margin), min(width, x + w + margin)),
        )
        cut = np.ascontiguousarray(mask[window]).view(np.uint8)
        shapes.append(_Shape(track, cv2.countNonZero(cut), window, cut))
    return sorted(shapes, key=lambda shape: (-shape.area, shape.track))


def _box(mask: BoolArray) -> tuple[int, int, int, int]:
    """(x, y, width, height), zeros if empty. Decoded run lengths lie column by column and are not copied for this."""
    if mask.flags.f_contiguous:
        y, x, h, w = cv2.boundingRect(mask.T.view(np.uint8))
    else:
        x, y, w, h = cv2.boundingRect(np.ascontiguousarray(mask).view(np.uint8))
    return int(x), int(y), int(w), int(h)


def _fill(image: UInt8Array, shapes: list[_Shape], alpha: float) -> UInt8Array:
    paint = np.zeros_like(image)
    covered = np.zeros(image.shape[:2], np.uint8)
    for shape in shapes:
        region, below = paint[shape.window], covered[shape.window]
        plain = _plain(region, shape.colour)
        cv2.copyTo(cv2.addWeighted(region, 0.5, plain, 0.5, 0.0), cv2.bitwise_and(shape.mask, below), region)
        cv2.copyTo(plain, cv2.subtract(shape.mask, below), region)
        cv2.bitwise_or(below, shape.mask, below)
    mixed = cv2.addWeighted(image, 1.0 - alpha, paint, alpha, 0.0)
    return np.asarray(cv2.copyTo(mixed, covered, image.copy()), np.uint8)


def _draw_contours(image: UInt8Array, shapes: list[_Shape], line: int) -> None:
    """The dark rings just outside the masks, then the lines on their inner rims.

    Where the rims of n tracks coincide, as those of a part and its whole, the line is dashed in all their colours: the
    n-th comer takes every n-th dash.
    """
    for shape in shapes:
        ring = cv2.subtract(cv2.dilate(shape.mask, SQUARE, iterations=max(1, line // 2)), shape.mask)
        _paint(image[shape.window], ring, DARK)
    claims = np.zeros(image.shape[:2], np.uint8)
    for shape in shapes:
        rim = cv2.subtract(shape.mask, cv2.erode(shape.mask, CROSS, iterations=line))
        taken = claims[shape.window]
        cv2.add(taken, rim, taken)
        y, x = np.nonzero(rim.view(bool) & (taken > 1))
        dash = (y + shape.window[0].start + x + shape.window[1].start) // (DASH * line)
        rim[y, x] = dash % taken[y, x] == taken[y, x] - 1
        _paint(image[shape.window], rim, shape.colour)


def _paint(region: UInt8Array, where: UInt8Array, colour: RGB) -> None:
    cv2.copyTo(_plain(region, colour), where, region)


def _plain(region: UInt8Array, colour: RGB) -> UInt8Array:
    """An image of the region's size in one colour; np.full takes thirty times as long."""
    plain = np.empty(region.shape, np.uint8)
    cv2.rectangle(plain, (0, 0), (region.shape[1], region.shape[0]), colour, cv2.FILLED)
    return plain


def _draw_labels(image: UInt8Array, shapes: list[_Shape], names: Mapping[int, str]) -> None:
    """Each track's name at the most inward point of what smaller tracks leave of it, below names already there."""
    size = max(11, round(min(image.shape[:2]) / 30))
    taken = np.zeros(image.shape[:2], np.uint8)
    written = np.zeros(image.shape[:2], bool)
    for shape in reversed(shapes):
        own = cv2.subtract(shape.mask, taken[shape.window])
        x, y = _inward_point(own if own.any() else shape.mask)
        text = names.get(shape.track) or str(shape.track)
        width, height = text_size(text, size)
        left = _within(shape.window[1].start + x - width // 2, image.shape[1] - width)
        top = _within(shape.window[0].start + y - height // 2, image.shape[0] - height)
        while written[top : top + height, left : left + width].any() and top + 2 * height <= image.shape[0]:
            top += height // 2
        written[top : top + height, left : left + width] = True
        draw_text(image, text, left, top, size, ink=tint_of(shape.colour))
        cv2.bitwise_or(taken[shape.window], shape.mask, taken[shape.window])


def _within(value: int, limit: int) -> int:
    return max(0, min(value, limit))


def _inward_point(mask: UInt8Array) -> tuple[int, int]:
    """(x, y) of the pixel farthest from the mask's edge; the window's own edge counts as one."""
    distance = cv2.distanceTransform(cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT), cv2.DIST_L2, 3)
    y, x = np.unravel_index(int(distance.argmax()), distance.shape)
    return int(x) - 1, int(y) - 1
