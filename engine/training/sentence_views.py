"""How a clip with a sentence is shown in training: mirrored, cropped, resized, in other colours.

The published recipe, scaled to the size that is trained at. Knows arrays and random numbers.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from engine.models.mmpm.preprocess import resize_labels
from engine.models.sgmg.preprocess import SMALLEST_SIDE, picture_size, resized
from engine.types import BoolArray, UInt8Array

SIDES = (288, 320, 352, 392, 416, 448, 480, 512)
BEFORE_CROP = (400, 500, 600)
CROP = (384, 600)
LONGEST = 640
MIDDLE = 384
"""The size that the published sides are meant for; others scale them."""

_UNBOUNDED = 1 << 30
_OTHER = {"left": "right", "right": "left"}


class View(NamedTuple):
    """images: uint8 (T, h, w, 3); masks: bool (T, h, w)."""

    images: UInt8Array
    masks: BoolArray
    sentence: str


def plain_view(images: Sequence[UInt8Array], masks: BoolArray, sentence: str, size: int) -> View:
    """Only resized: the short side is `size`."""
    return _resized(View(np.stack(images), masks, sentence), size, _scaled(LONGEST, size))


def varied_view(
    images: Sequence[UInt8Array], masks: BoolArray, sentence: str, size: int, rng: np.random.Generator
) -> View:
    """The published augmentation around a short side of `size` pixels."""
    view = View(np.stack(images), masks, sentence)
    if rng.random() < 0.5:
        view = _mirrored(view)
    if rng.random() < 0.5:
        view = _resized(view, _scaled(int(rng.choice(BEFORE_CROP)), size), _UNBOUNDED)
        view = _cropped(view, size, rng)
    view = _resized(view, _scaled(int(rng.choice(SIDES)), size), _scaled(LONGEST, size))
    return view._replace(images=_other_colours(view.images, rng))


def _scaled(side: int, size: int) -> int:
    """Never smaller than the network takes."""
    return max(round(side * size / MIDDLE), SMALLEST_SIDE)


def _mirrored(view: View) -> View:
    """What was on the left is on the right, in the sentence as well."""
    said = re.sub(r"\b(left|right)\b", lambda word: _OTHER[word[0]], view.sentence)
    return View(np.ascontiguousarray(view.images[:, :, ::-1]), np.ascontiguousarray(view.masks[:, :, ::-1]), said)


def _cropped(view: View, size: int, rng: np.random.Generator) -> View:
    """A random window of the same place in all frames."""
    height, width = view.masks.shape[1:]
    low, high = (_scaled(side, size) for side in CROP)
    h, w = (int(rng.integers(min(low, side), min(high, side) + 1)) for side in (height, width))
    top, left = int(rng.integers(height - h + 1)), int(rng.integers(width - w + 1))
    return View(
        np.ascontiguousarray(view.images[:, top : top + h, left : left + w]),
        np.ascontiguousarray(view.masks[:, top : top + h, left : left + w]),
        view.sentence,
    )


def _resized(view: View, short: int, longest: int) -> View:
    """Both sides at least what the network takes, even where that bends a very long picture."""
    height, width = picture_size(view.masks.shape[1], view.masks.shape[2], short, longest)
    size = max(height, SMALLEST_SIDE), max(width, SMALLEST_SIDE)
    images = np.stack([resized(image, size) for image in view.images])
    return View(images, np.stack([resize_labels(mask, size) for mask in view.masks]), view.sentence)


def _other_colours(images: UInt8Array, rng: np.random.Generator) -> UInt8Array:
    """Brightness by up to 32, contrast and saturation by up to a fifth, each in half of the clips; channels change
    places in a fifth of them."""
    values = images.astype(np.float32)
    if rng.random() < 0.5:
        values += rng.uniform(-32, 32)
    if rng.random() < 0.5:
        values *= rng.uniform(0.8, 1.2)
    if rng.random() < 0.5:
        grey = values.mean(-1, keepdims=True)
        values = grey + (values - grey) * rng.uniform(0.8, 1.2)
    if rng.random() < 0.2:
        values = values[..., rng.permutation(3)]
    return np.clip(values, 0, 255).astype(np.uint8)
