"""SAM's proposals on one frame as segments that share no pixel (DEVA's automatic mode).

Proposals overlap; small ones are put before large ones, or the other way round. Where objects are followed already, SAM
is asked at points beside them only.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from engine.models.sam.automatic import ProposalSettings, propose
from engine.models.sam.crops import grid_points
from engine.models.sam.prompting import Prompter
from engine.propagation.detections import Detection, Labels, Segment
from engine.propagation.mmpm_frames import EncodedFrame
from engine.types import BoolArray, FloatArray, UInt8Array

_BACKGROUND = 0.1  # what a proposal's weighed mask has to exceed
_FREE = 0.01  # share of followed objects around a point that may be asked
_COARSE = 16


class Proposed(NamedTuple):
    """Overlapping masks (K, H, W) of a frame, and how much each is trusted (K,)."""

    masks: BoolArray
    scores: Sequence[float]


Propose = Callable[[UInt8Array, FloatArray | None], Proposed]
"""A frame and points (P, 2), x and y in shares of its width and height (None: everywhere) -> proposals."""


class ProposalDetector:
    """Proposals as a detector. points_per_side: of the grid that is asked where something is followed already.

    suppress_small: small proposals lose against large ones instead of winning; kept are those of which the share
    `overlap` is left.
    """

    def __init__(
        self, propose: Propose, points_per_side: int = 64, suppress_small: bool = False, overlap: float = 0.8
    ) -> None:
        self._propose = propose
        self._points_per_side = points_per_side
        self._suppress_small = suppress_small
        self._overlap = overlap

    def __call__(self, image: UInt8Array, frame: EncodedFrame, foreseen: Labels | None) -> Detection:
        """See engine.propagation.deva_online.Detector."""
        points = None if foreseen is None else free_points(foreseen, self._points_per_side)
        if points is not None and not len(points):
            return Detection(np.zeros(frame.inner, np.int64), ())
        proposed = self._propose(image, points)
        if not len(proposed.masks):
            return Detection(np.zeros(frame.inner, np.int64), ())
        masks = torch.from_numpy(proposed.masks).float()[None]
        small = F.interpolate(masks, frame.inner, mode="bilinear", align_corners=False)[0]
        if self._suppress_small:
            return large_first(small, proposed.scores, self._overlap)
        return small_first(small, proposed.scores)


def free_points(foreseen: Labels, points_per_side: int) -> FloatArray:
    """Points (P, 2) of a grid, shares of width and height, around which nothing is foreseen in labels (H, W)."""
    points = grid_points(points_per_side)
    taken = torch.from_numpy(foreseen > 0).float()[None, None]
    coarse = F.interpolate(taken, scale_factor=1 / _COARSE, mode="bilinear", align_corners=False, antialias=True)
    at = torch.from_numpy(points).float().view(1, 1, -1, 2) * 2 - 1
    share = F.grid_sample(coarse, at, mode="bilinear", padding_mode="zeros", align_corners=False)
    result: FloatArray = points[share.flatten().numpy() < _FREE]
    return result


def small_first(masks: torch.Tensor, scores: Sequence[float]) -> Detection:
    """Soft masks (K, H, W) made into segments; where they overlap the smaller one wins."""
    areas = masks.sum((1, 2))
    winner = _winner(masks * (2 * areas.max() - areas)[:, None, None])
    kept = [k for k in range(len(masks)) if (winner == k + 1).any()]
    table = np.zeros(len(masks) + 1, np.int64)
    table[[k + 1 for k in kept]] = range(1, len(kept) + 1)
    return Detection(table[winner], tuple(Segment(i, (), (float(scores[k]),)) for i, k in enumerate(kept, 1)))


def large_first(masks: torch.Tensor, scores: Sequence[float], overlap: float) -> Detection:
    """The same where the larger one wins; masks of which less than the share `overlap` is left are left out."""
    winner = _winner(masks * masks.sum((1, 2))[:, None, None])
    labels = np.zeros(winner.shape, np.int64)
    segments: list[Segment] = []
    for k, mask in enumerate(masks):
        own, whole = winner == k + 1, (mask > 0.5).sum().item()
        if not own.any() or own.sum() < overlap * whole:
            continue
        segments.append(Segment(len(segments) + 1, (), (float(scores[k]),)))
        labels[own & (mask >= 0.5).numpy()] = len(segments)
    return Detection(labels, tuple(segments))


def asked_of_sam(prompter: Prompter, settings: ProposalSettings) -> Propose:
    """SAM's automatic mode, at all points of its grid or at those given."""

    def ask(image: UInt8Array, points: FloatArray | None) -> Proposed:
        where = None
        if points is not None:
            where = np.zeros(image.shape[:2], np.bool_)
            at = (points * (image.shape[1], image.shape[0])).astype(np.int64)
            where[at[:, 1], at[:, 0]] = True
        found = propose(prompter, image, settings, where=where)
        masks = np.zeros((len(found), *image.shape[:2]), np.bool_)
        for mask, proposal in zip(masks, found, strict=True):
            mask[:] = proposal.mask.whole(*image.shape[:2])
        return Proposed(masks, [proposal.score for proposal in found])

    return ask


def _winner(weighed: torch.Tensor) -> Labels:
    """1 to K where one of (K, H, W) is largest, 0 where none is above the background."""
    background = torch.full_like(weighed[:1], _BACKGROUND)
    result: Labels = torch.cat([background, weighed]).argmax(0).numpy()
    return result
