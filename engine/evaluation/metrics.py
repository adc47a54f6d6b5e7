"""Region similarity J and boundary accuracy F of binary masks, as the DAVIS benchmark defines them.

Knows arrays. Knows nothing of files, videos or object identities. J is Jaccard's index; F matches boundaries within
0.8 % of the image diagonal (Perazzi et al., "A Benchmark Dataset and Evaluation Methodology for Video Object
Segmentation", CVPR 2016, section 5.1). Counts are whole numbers, so the scores equal the reference tool's to the last
bit.
"""

from dataclasses import dataclass
from math import ceil, sqrt

import numpy as np
from numpy.typing import NDArray

from engine.errors import EvaluationError
from engine.evaluation.bits import BYTE, boundary_maps, count_bits, grow_by_disc, occupied, pack_rows, to_words
from engine.types import BoolArray, UInt8Array

BOUNDARY_SHARE = 0.008

Counts = NDArray[np.int64]
Scores = NDArray[np.float64]


@dataclass(frozen=True)
class PixelCounts:
    """What J and F are made of, each int64 (N,): one number a mask pair.

    `area_truth` are pixels of the true mask, `shared_truth` those that it shares with the true mask of the pair before
    (the first with itself; None where pairs have no order).
    """

    intersection: Counts
    union: Counts
    boundary_predicted: Counts
    boundary_truth: Counts
    matched_predicted: Counts
    matched_truth: Counts
    area_truth: Counts
    shared_truth: Counts | None = None

    def region(self) -> Scores:
        """J in [0, 1], float64 (N,): intersection over union, 1 where both masks are empty."""
        return np.divide(self.intersection, self.union, out=np.ones(self.union.shape), where=self.union > 0)

    def boundary(self) -> Scores:
        """F in [0, 1], float64 (N,): harmonic mean of boundary precision and recall.

        An empty boundary is perfectly precise (or fully recalled) by itself: F is 1 where both are empty and 0 where
        one is. A mask that fills the image has an empty boundary.
        """
        precision = _share(self.matched_predicted, self.boundary_predicted, empty=self.boundary_predicted == 0)
        recall = _share(self.matched_truth, self.boundary_truth, empty=self.boundary_truth == 0)
        precision[(self.boundary_truth == 0) & (self.boundary_predicted > 0)] = 0
        recall[(self.boundary_predicted == 0) & (self.boundary_truth > 0)] = 0
        total = precision + recall
        return np.divide((2 * precision) * recall, total, out=np.zeros(total.shape), where=total > 0)


def boundary_tolerance(height: int, width: int) -> int:
    """Distance in pixels within which two boundary pixels match: 0.8 % of the image diagonal, rounded up."""
    return ceil(BOUNDARY_SHARE * sqrt(height * height + width * width))


def count_pixels(predicted: BoolArray, truth: BoolArray, void: BoolArray | None = None) -> PixelCounts:
    """Count everything that J and F need, for N mask pairs at once.

    predicted, truth: bool (N, H, W). void: bool (N, H, W), pixels taken out of both sides before anything else.
    Raises EvaluationError if the shapes differ.
    """
    if predicted.shape != truth.shape or predicted.ndim != 3:
        raise EvaluationError(f"predicted masks of shape {predicted.shape}, true masks of shape {truth.shape}")
    if void is not None:
        predicted, truth = predicted & ~void, truth & ~void
    return count_packed(pack_rows(predicted), pack_rows(truth), truth.shape[2])


def count_packed(predicted: UInt8Array, truth: UInt8Array, width: int) -> PixelCounts:
    """As `count_pixels`, of masks packed by `pack_rows`: uint8 (N, H, ceil(width / 8))."""
    count, height, _ = truth.shape
    window = occupied([predicted, truth])
    if window is None:
        return PixelCounts(*np.zeros((8, count), np.int64))
    rows, columns = window
    both = to_words(np.concatenate([predicted[:, rows, columns], truth[:, rows, columns]]))
    last_column = width - 1 - columns.start * BYTE if columns.stop * BYTE >= width else None
    edges = boundary_maps(both, last_column)
    near = grow_by_disc(edges, boundary_tolerance(height, width))
    P, G = both[..., :count], both[..., count:]
    total, matched = count_bits(edges), count_bits(edges & np.roll(near, count, axis=-1))
    area = count_bits(G)
    return PixelCounts(
        count_bits(P & G),
        count_bits(P | G),
        total[:count],
        total[count:],
        matched[:count],
        matched[count:],
        area,
        np.concatenate([area[:1], count_bits(G[..., 1:] & G[..., :-1])]),
    )


def score_masks(predicted: BoolArray, truth: BoolArray, void: BoolArray | None = None) -> tuple[Scores, Scores]:
    """J and F of N mask pairs, each float64 (N,) in [0, 1]. Arguments as for `count_pixels`."""
    counts = count_pixels(predicted, truth, void)
    return counts.region(), counts.boundary()


def _share(part: Counts, whole: Counts, empty: BoolArray) -> Scores:
    return np.divide(part, whole, out=np.ones(whole.shape), where=~empty)
