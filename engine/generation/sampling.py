"""Point prompts inside a mask: pixels drawn at random, or the centres of clusters of its pixels.

Every draw has a generator of its own, made from the seed and from what it is for, so that nothing else that was drawn
before, and no order of work, changes it.
"""

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.masks.boxed import BoxedMask
from engine.runtime.seeds import numpy_generator
from engine.types import FloatArray

Method = Literal["random", "kmeans"]
_KMEANS_STEPS = 300
_KMEANS_TOLERANCE = 1e-4


class Sampler(Protocol):
    """Gives the prompts of one track in one round."""

    def __call__(self, mask: BoxedMask, frame: int, track: int, round: int) -> FloatArray:
        """(prompts, points, 2) x, y in pixels of the frame. One prompt where drawing again would give the same."""
        ...


@dataclass(frozen=True)
class PointSampler:
    """Draws `prompts` times `points` points. clip: its name, so that every clip has draws of its own."""

    seed: int
    clip: str
    points: int = 5
    prompts: int = 5
    method: Method = "random"

    def __call__(self, mask: BoxedMask, frame: int, track: int, round: int) -> FloatArray:
        """See Sampler."""
        pixels = pixels_of(mask)
        if len(pixels) <= self.points:
            return pixels[None].astype(np.float64)
        if self.method == "kmeans":
            return cluster_centres(pixels, self.points)[None]
        generator = numpy_generator(self.seed, self.clip, frame, track, round)
        chosen = [generator.choice(len(pixels), self.points, replace=False) for _ in range(self.prompts)]
        drawn: FloatArray = pixels[np.stack(chosen)].astype(np.float64)
        return drawn


def pixels_of(mask: BoxedMask) -> NDArray[np.int64]:
    """The pixels of a mask, row by row: (n, 2) x, y."""
    y, x = np.nonzero(mask.crop)
    return np.stack([x + mask.left, y + mask.top], 1).astype(np.int64)


def cluster_centres(pixels: NDArray[np.int64], count: int) -> FloatArray:
    """Centres of `count` clusters of (n, 2) pixels: Lloyd's algorithm from starts that keep away from each other.

    Always the same for the same pixels (k-means++, Arthur and Vassilvitskii 2007, with a fixed generator).
    """
    generator = np.random.default_rng(0)
    points = pixels.astype(np.float64)
    centres = _spread_starts(points, count, generator)
    tolerance = _KMEANS_TOLERANCE * float(points.var(0).mean())
    for _ in range(_KMEANS_STEPS):
        nearest = _squared_distances(points, centres).argmin(1)
        weights = np.bincount(nearest, minlength=count)
        sums = np.stack([np.bincount(nearest, points[:, axis], count) for axis in (0, 1)], 1)
        moved = np.where(weights[:, None] > 0, sums / np.maximum(weights, 1)[:, None], centres)
        shift = float(((moved - centres) ** 2).sum())
        centres = moved
        if shift <= tolerance:
            break
    found: FloatArray = centres
    return found


def _spread_starts(points: FloatArray, count: int, generator: np.random.Generator) -> FloatArray:
    """Each start is the best of a few, drawn with the squared distance to the nearest start so far as weight."""
    tries = 2 + int(np.log(count))
    centres = points[[generator.integers(len(points))]]
    nearest = _squared_distances(points, centres)[:, 0]
    while len(centres) < count:
        drawn = generator.choice(len(points), tries, p=nearest / nearest.sum())
        left = np.minimum(nearest[:, None], _squared_distances(points, points[drawn]))
        best = int(left.sum(0).argmin())
        centres = np.concatenate([centres, points[[drawn[best]]]])
        nearest = left[:, best]
    return centres


def _squared_distances(points: FloatArray, centres: FloatArray) -> FloatArray:
    distances: FloatArray = ((points[:, None] - centres[None]) ** 2).sum(2)
    return distances
