"""From the decoder's small logits to masks of the picture's size, where and as far as they are needed.

SAM upsamples twice, to the square input, whose padding is cut off, then to the picture, each time bilinearly. Both
steps are linear and work on rows and columns apart, so they are two fixed matrices: up = A_h @ logits @ A_w^T, each row
of which reads at most three neighbouring cells. That makes two things cheap: the part around an object alone, and
knowing from the small logits which pixels are certainly in or out.
"""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from engine.masks.boxed import BoxedMask
from engine.models.sam.preprocess import Geometry
from engine.types import BoolArray

IntArray = NDArray[np.signedinteger]


class Axis:
    """One axis of the upsampling: `matrix` (pixels, cells) and who reads whom."""

    def __init__(self, cells: int, side: int, resized: int, original: int) -> None:
        units = torch.eye(cells)[None]
        square = F.interpolate(units, size=side, mode="linear", align_corners=False)[..., :resized]
        full = F.interpolate(square, size=original, mode="linear", align_corners=False)[0].T.contiguous()
        used = full.numpy() != 0
        self.matrix = full
        self.first: IntArray = used.argmax(1)
        self.last: IntArray = cells - 1 - used[:, ::-1].argmax(1)
        self.cells = int(self.last.max()) + 1
        """Cells that the picture reads; those behind them are padding."""
        self.bounds = self._bounds()
        self._on: dict[torch.device, Tensor] = {full.device: full}

    def matrix_on(self, device: torch.device) -> Tensor:
        """(pixels, cells) on a device, copied there once."""
        if device not in self._on:
            self._on[device] = self.matrix.to(device)
        return self._on[device]

    def pixels_of(self, first: int, last: int) -> tuple[int, int]:
        """The range of pixels that read any of the cells first..last."""
        start = int(np.searchsorted(self.last, first, "left"))
        stop = int(np.searchsorted(self.first, last, "right"))
        return start, stop

    def cells_of(self, start: int, stop: int) -> tuple[int, int]:
        """The range of cells that the pixels start..stop-1 read."""
        return int(self.first[start]), int(self.last[stop - 1]) + 1

    def _bounds(self) -> IntArray:
        """Where the pixels of each cell begin. A pixel belongs to a cell that is the neighbour of all that it reads."""
        middle = (self.first + self.last) // 2
        return np.searchsorted(middle, np.arange(self.cells + 1), "left")


class Upsampler:
    """Both axes of one picture size."""

    def __init__(self, low: tuple[int, int], geometry: Geometry) -> None:
        """low: (rows, columns) of the decoder's logits."""
        self.size = geometry.original
        self.rows = Axis(low[0], geometry.side, geometry.resized[0], geometry.original[0])
        self.columns = Axis(low[1], geometry.side, geometry.resized[1], geometry.original[1])

    def full(self, logits: Tensor) -> Tensor:
        """(..., rows, columns) -> (..., H, W) float32."""
        rows, columns = (axis.matrix_on(logits.device) for axis in (self.rows, self.columns))
        return rows @ logits.float() @ columns.T

    def extents(self, logits: Tensor, threshold: float) -> IntArray:
        """For each of (N, rows, columns) the first and last cell above the threshold: (N, 4) top, bottom, left, right.

        Cells of the padding do not count. Bottom is -1 where there is none.
        """
        above = logits[:, : self.rows.cells, : self.columns.cells] > threshold
        return np.concatenate([_extent(above.any(2)), _extent(above.any(1))], 1)

    def window(self, extent: IntArray) -> tuple[slice, slice]:
        """The rows and columns of the picture that an object with this extent of cells can reach."""
        rows = self.rows.pixels_of(int(extent[0]), int(extent[1]))
        columns = self.columns.pixels_of(int(extent[2]), int(extent[3]))
        return slice(*rows), slice(*columns)

    def part(self, logits: Tensor, window: tuple[slice, slice]) -> Tensor:
        """(..., rows, columns) -> the pixels of one window of the picture, (..., h, w) float32."""
        (top, bottom), (left, right) = ((part.start, part.stop) for part in window)
        r, c = self.rows.cells_of(top, bottom), self.columns.cells_of(left, right)
        rows = self.rows.matrix_on(logits.device)[top:bottom, slice(*r)]
        columns = self.columns.matrix_on(logits.device)[left:right, slice(*c)]
        return rows @ logits[..., slice(*r), slice(*c)].float() @ columns.T

    def boxed(self, logits: Tensor, threshold: float, extent: IntArray | None = None) -> BoxedMask:
        """The mask of one (rows, columns) of logits; `extent` where it is known already."""
        if extent is None:
            extent = self.extents(logits[None], threshold)[0]
        if extent[1] < 0:
            return BoxedMask.of(np.zeros((0, 0), np.bool_))
        window = self.window(extent)
        above = (self.part(logits, window) > threshold).cpu().numpy()
        return BoxedMask.of(above, window[0].start, window[1].start)

    def pixels_in_cells(self, mask: BoolArray, top: int = 0, left: int = 0) -> IntArray:
        """How many pixels of a mask, bool (h, w) at (top, left) of the picture, lie in each cell: (rows, columns)."""
        rows = _counts(mask.astype(np.int32), np.clip(self.rows.bounds - top, 0, mask.shape[0]))
        return _counts(rows.T, np.clip(self.columns.bounds - left, 0, mask.shape[1])).T


@lru_cache(maxsize=8)
def upsampler(low: tuple[int, int], geometry: Geometry) -> Upsampler:
    """The matrices of a picture size, made once."""
    return Upsampler(low, geometry)


def _extent(line: Tensor) -> IntArray:
    """First and last true place of each row of (N, n); (n, -1) where there is none."""
    found = line.cpu().numpy()
    some = found.any(1)
    first = np.where(some, found.argmax(1), found.shape[1])
    last = np.where(some, found.shape[1] - 1 - found[:, ::-1].argmax(1), -1)
    return np.stack([first, last], 1)


def _counts(values: NDArray[np.int32], bounds: IntArray) -> NDArray[np.int32]:
    """Sums of the rows between neighbouring bounds: (n, m) -> (len(bounds) - 1, m)."""
    sums = np.zeros((len(values) + 1, values.shape[1]), np.int32)
    np.cumsum(values, axis=0, out=sums[1:])
    return sums[bounds[1:]] - sums[bounds[:-1]]
