"""Which points of a mask are tracked: in its middle parts, at corners of the picture inside it, or anywhere in it.

A sampler takes a mask, its picture, a number and a generator, and gives exactly so many points, x and y in pixels.
"""

from collections.abc import Callable
from dataclasses import dataclass
from zlib import crc32

import cv2
import numpy as np

from engine.models.sampt.medoids import k_medoids
from engine.types import BoolArray, FloatArray, UInt8Array

Sampler = Callable[[BoolArray, UInt8Array, int, np.random.Generator], FloatArray]

_MOST_PIXELS, _MOST_BESIDE_CORNERS = 1800, 2000
_EROSIONS = (0.06, 0.02, 0.01)  # sides of the square, as shares of the diagonal of the mask's box
_ENOUGH = 10  # pixels that have to be left


def medoids(
    mask: BoolArray, image: UInt8Array, count: int, rng: np.random.Generator, most: int = _MOST_PIXELS
) -> FloatArray:
    """The k-medoids of at most `most` of the mask's pixels."""
    pixels = rng.permutation(_pixels(mask))[:most]
    if len(pixels) <= count:
        return _xy(_filled(pixels, count))
    return _xy(pixels[k_medoids(pixels, count)])


def corners(mask: BoolArray, image: UInt8Array, count: int, rng: np.random.Generator) -> FloatArray:
    """Corners of the picture (Shi and Tomasi) well inside the mask, then medoids where these are too few."""
    inner = eroded(mask)
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    found = cv2.goodFeaturesToTrack(
        grey,
        count,
        qualityLevel=0.001,
        minDistance=_diagonal(inner) / count,
        mask=inner.astype(np.uint8),
        blockSize=3,
        gradientSize=3,
    )
    given = np.zeros((0, 2)) if found is None else found[:, 0].astype(np.float64)
    missing = count - len(given)
    return np.concatenate([given, medoids(mask, image, missing, rng, _MOST_BESIDE_CORNERS)]) if missing else given


def anywhere(mask: BoolArray, image: UInt8Array, count: int, rng: np.random.Generator) -> FloatArray:
    """Pixels drawn without replacement."""
    return _xy(_filled(rng.permutation(_pixels(mask)), count))


def mixed(mask: BoolArray, image: UInt8Array, count: int, rng: np.random.Generator) -> FloatArray:
    """A quarter medoids, a third corners, the rest anywhere."""
    parts = ((medoids, count // 4), (corners, count // 3), (anywhere, count - count // 4 - count // 3))
    return np.concatenate([sampler(mask, image, n, rng) for sampler, n in parts if n])


SAMPLERS: dict[str, Sampler] = {"kmedoids": medoids, "shi-tomasi": corners, "random": anywhere, "mixed": mixed}


@dataclass(frozen=True)
class PointChoice:
    """How the points of a mask are chosen, with the published defaults: on the object and beside it."""

    positive: Sampler = medoids
    negative: Sampler = mixed
    seed: int = 72

    def __call__(self, mask: BoolArray, image: UInt8Array, positives: int, negatives: int) -> FloatArray:
        """(P, 2), object first; zeros where the mask is empty. They follow from the seed and the mask alone."""
        if not mask.any():
            return np.zeros((positives + negatives, 2))
        rng = np.random.default_rng([self.seed, crc32(np.packbits(mask).tobytes())])
        inside = self.positive(mask, image, positives, rng)
        if negatives == 0:
            return inside
        return np.concatenate([inside, self.negative(~mask, image, negatives, rng)])


def eroded(mask: BoolArray) -> BoolArray:
    """The mask without its rim, as wide as leaves enough of it; else the mask."""
    for share in _EROSIONS:
        side = int(share * _diagonal(mask))
        inner = cv2.erode(mask.astype(np.uint8), np.ones((side, side), np.uint8)) > 0 if side else mask
        if np.count_nonzero(inner) >= _ENOUGH:
            return inner
    return mask


def _diagonal(mask: BoolArray) -> float:
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return float(np.hypot(rows[-1] - rows[0], columns[-1] - columns[0])) if len(rows) else 0.0


def _pixels(mask: BoolArray) -> FloatArray:
    """(n, 2) row and column, row by row; one pixel at the corner where the mask is empty."""
    pixels = np.argwhere(mask).astype(np.float64)
    return pixels if len(pixels) else np.zeros((1, 2))


def _filled(pixels: FloatArray, count: int) -> FloatArray:
    """`count` of the pixels, repeated where they are fewer."""
    return np.resize(pixels, (count, 2)) if len(pixels) < count else pixels[:count]


def _xy(pixels: FloatArray) -> FloatArray:
    return pixels[:, ::-1].copy()
