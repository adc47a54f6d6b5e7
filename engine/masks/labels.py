"""What the values of a mask image mean: 0/255, 0/1, boolean, palette and label maps, and what is no mask at all.

Knows arrays and the kind of picture they came from. Knows nothing of files; see engine.store.formats.png for those.
"""

from typing import Literal

import numpy as np

from engine.errors import MaskError
from engine.types import BoolArray

PixelKind = Literal["binary", "grey", "palette"]
MAX_LABELS = 255
SMOOTH_RUN = 24


def split_labels(values: np.ndarray, kind: PixelKind, name: str, binarize: bool = False) -> dict[int, BoolArray]:
    """The objects of one mask image: label -> bool (H, W), labels ascending, background (0) left out.

    values: integer (H, W) as stored in the file, palette indices kept. kind: what the file was. `binarize` takes any
    value above half of the range as one object, labelled 1.
    Raises MaskError for an empty mask and for smoothed edges (many grey values that hug an edge).
    """
    if values.ndim != 2:
        raise MaskError(f"{name}: has {values.ndim} axes", "export a single-channel mask (grey or palette PNG)")
    if kind == "grey" and binarize:
        values = (values > (int(values.max()) // 2)).astype(np.uint8)
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
    """Whether grey values come from smoothing an edge rather than from labelling objects.

    Smoothing gives many values, most of them on few pixels, between a dominating 0 and one dominating object value.
    Label maps have few values or solid regions: a label's pixels have neighbours of the same label.
    """
    if len(labels) < 3:
        return False
    same_right = values[:, 1:] == values[:, :-1]
    same_down = values[1:] == values[:-1]
    paired = np.zeros(values.shape, bool)
    paired[:, 1:] |= same_right
    paired[:, :-1] |= same_right
    paired[1:] |= same_down
    paired[:-1] |= same_down
    brightest = max(labels)
    between = (values != 0) & (values != brightest)
    count = int(between.sum())
    lonely = int((between & ~paired).sum())
    return len(labels) > SMOOTH_RUN or (count > 0 and lonely > 0.3 * count)
