"""Where an automatic mask generator asks: a regular grid of points, on the picture and on overlapping crops of it."""

import math
from dataclasses import dataclass
from itertools import product

import numpy as np

from engine.types import FloatArray


@dataclass(frozen=True)
class Crop:
    """Columns x0..x1-1 and rows y0..y1-1 of a picture; layer 0 is the picture."""

    x0: int
    y0: int
    x1: int
    y1: int
    layer: int

    @property
    def area(self) -> int:
        """In pixels."""
        return (self.x1 - self.x0) * (self.y1 - self.y0)

    def cuts(self, box: tuple[int, int, int, int], height: int, width: int, near: float) -> bool:
        """Whether a mask's box (x0, y0, x1, y1) ends near a border of the crop that is not one of the picture."""
        mine, whole = (self.x0, self.y0, self.x1, self.y1), (0, 0, width, height)
        return any(abs(b - m) <= near and abs(b - w) > near for b, m, w in zip(box, mine, whole, strict=True))


def grid_points(count: int) -> FloatArray:
    """(count^2, 2) x, y in (0, 1): the centres of count x count equal fields, row by row."""
    line = np.linspace(1 / (2 * count), 1 - 1 / (2 * count), count)
    points: FloatArray = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    return points


def crops_of(height: int, width: int, layers: int, overlap: float) -> list[Crop]:
    """The picture, then layer i in 2^i x 2^i crops. overlap: of two in layer 1, as a share of the shorter side."""
    crops = [Crop(0, 0, width, height, 0)]
    for layer in range(1, layers + 1):
        side = 2**layer
        shared = int(overlap * min(height, width) * (2 / side))
        w, h = (math.ceil((shared * (side - 1) + length) / side) for length in (width, height))
        for column, row in product(range(side), range(side)):
            x, y = (w - shared) * column, (h - shared) * row
            crops.append(Crop(x, y, min(x + w, width), min(y + h, height), layer))
    return crops
