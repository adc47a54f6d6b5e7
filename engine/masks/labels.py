"""What the values of a mask image mean: 0/255, 0/1, boolean, palette and label maps, and what is no mask at all.

Knows arrays and the kind of picture they came from. Knows nothing of files; see engine.store.formats.png for those.
"""

from typing import Literal

import numpy as np

from engine.errors import MaskError
from engine.types import BoolArray

PixelKind = Literal["binary", "grey", "palette"]
MAX_LABELS = 255
_SOLID_SHARE = 0.1  # a label region with less of its pixels away from any edge is thin
_RAMP_SHARE = 0.5  # of the pixels of thin labels, between a darker and a brighter neighbour


def split_labels(values: np.ndarray, kind: PixelKind, name: str, binarize: bool = False) -> dict[int, BoolArray]:
    """The objects of one mask image: label -> bool (H, W), labels ascending, background (0) left out.

    values: integer (H, W) as stored in the file, palette indices kept. kind: what the file was. `binarize` takes any
    value above half of the range as one object, labelled 1.
    Raises MaskError for an empty mask and for smoothed edges (many grey values that hug an edge).
    """
    if values.ndim != 2:
        raise MaskError(f"{name}: has {values.ndim} axes", "export a single-channel mask (grey or palette PNG)")
    if kind == "grey" and binarize:
        values = (values > int(values.max()) // 2).astype(np.uint8)
    labels = [int(v) for v in np.unique(values) if v != 0]
    if not labels:
        raise MaskError(f"{name}: the mask is empty", "paint the object with any non-zero value")
    if kind == "grey" and looks_smoothed(values, labels):
        raise MaskError(
            f"{name}: {len(labels) + 1} grey values, it looks anti-aliased or compressed",
            "export it without smoothing (PNG, nearest), or pass --binarize to cut it at half",
        )
    if len(labels) > MAX_LABELS:
        raise MaskError(
            f"{name}: {len(labels)} different labels, at most {MAX_LABELS} are read from one mask",
            "split it into several masks and pass --mask several times",
        )
    return {label: values == label for label in labels}


def looks_smoothed(values: np.ndarray, labels: list[int]) -> bool:
    """Whether grey values come from smoothing or compressing an edge rather than from labelling objects.

    Labels of objects are regions with an inside, or specks in the midst of one other value. Values from smoothing are
    thin and lie on a slope: most of their pixels have a darker and a brighter neighbour. Two such values are enough
    where the values are spread as greys are, three where they count up as labels do.
    """
    if len(labels) < 3:
        return False
    low, high = _lowest_around(values), -_lowest_around(-values.astype(np.int64))
    _, ranks = np.unique(values, return_inverse=True)
    ranks = ranks.reshape(values.shape)
    pixels = np.bincount(ranks.ravel())
    solid = np.bincount(ranks[low == high], minlength=len(pixels))
    thin = solid < _SOLID_SHARE * pixels
    thin[ranks[values == 0][:1]] = False
    thin[-1] = False
    on_thin = thin[ranks]
    slope = on_thin & (low < values) & (values < high)
    enough = 2 if max(labels) > 4 * len(labels) else 3
    return int(thin.sum()) >= enough and int(slope.sum()) > _RAMP_SHARE * int(on_thin.sum())


def _lowest_around(values: np.ndarray) -> np.ndarray:
    """The minimum over each pixel and its eight neighbours; the border is repeated outwards."""
    padded = np.pad(values, 1, mode="edge")
    rows = np.minimum(np.minimum(padded[:-2], padded[1:-1]), padded[2:])
    lowest: np.ndarray = np.minimum(np.minimum(rows[:, :-2], rows[:, 1:-1]), rows[:, 2:])
    return lowest
