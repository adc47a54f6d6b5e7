"""From the values of single frames to the numbers of a table: mean, recall, decay, means over a set.

Knows lists of numbers. Definitions of Perazzi et al., CVPR 2016, section 5.2, with the frame indices of the DAVIS 2017
tool in wide integers: that tool holds them in 8 bits, so its decay is wrong from 256 frames on.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

RECALL_THRESHOLD = 0.5
QUARTERS = 4


@dataclass(frozen=True)
class Statistics:
    """One measure of one track over its judged frames. `mean` and `recall` in [0, 1], `decay` in [-1, 1]."""

    mean: float
    recall: float
    decay: float


def summarise(values: ArrayLike) -> Statistics:
    """Mean, recall and decay of the values of one track in time order, at least one.

    A NaN is left out of means and counts as a miss for recall.
    """
    x = np.asarray(values, np.float64)
    return Statistics(mean=mean(x), recall=float(np.mean(x > RECALL_THRESHOLD)), decay=decay(x))


def mean(values: ArrayLike) -> float:
    """Plain mean without the NaN; NaN if nothing is left."""
    x = np.asarray(values, np.float64)
    x = x[~np.isnan(x)]
    return float(x.mean()) if len(x) else float("nan")


def decay(values: ArrayLike) -> float:
    """Mean of the first quarter of the frames minus mean of the last; neighbouring quarters share a frame."""
    x = np.asarray(values, np.float64)
    edges = [round(1 + i * (len(x) - 1) / QUARTERS + 1e-10) - 1 for i in range(QUARTERS + 1)]
    return mean(x[: edges[1] + 1]) - mean(x[edges[-2] :])


def stability(values: ArrayLike) -> float:
    """V of LVOS (Hong et al., ICCV 2023): square root of the variance, which the tool rounds to four decimals first."""
    x = np.asarray(values, np.float64)
    return float(np.sqrt(np.round(np.var(x), 4))) if len(x) else float("nan")
