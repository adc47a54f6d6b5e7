"""PerSAM through a video, as its authors evaluate on DAVIS: each frame asked with points, the last box and its centre.

Against the form for pictures: no guided attention, no concept among the tokens, no background point.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from engine.models.persam.cascade import Asked
from engine.models.persam.concept import VIDEO_VALUE, Concepts, foreground, image_features, learn
from engine.models.persam.mixture import Fit, fit_all, mixed
from engine.models.persam.prior import highest, location_prior
from engine.models.sam.asking import Asker, Question
from engine.models.sam.boxes import centres, tight_boxes, widened
from engine.models.sam.prompting import Embedding
from engine.types import BoolArray, FloatArray

FIT = Fit(800, 4e-4)
MARGIN = 10  # pixels between a mask's box and the one that is asked
_POINTS, _POINTS_FITTED = 2, 1


@dataclass(frozen=True)
class Largest:
    """Which of three masks PerSAM takes for the largest. modulo: areas counted in eight bits, as the published script
    counts them (any mask may win); otherwise the true areas, which it meant."""

    modulo: bool = False

    def choose(self, masks: Tensor) -> Tensor:
        """Indices (N,) from bool masks (N, 3, H, W)."""
        areas = masks.flatten(2).sum(2)
        return (areas % 256 if self.modulo else areas).argmax(1)


def learn_concepts(asker: Asker, embedding: Embedding, masks: BoolArray, fit: Fit | None) -> Concepts:
    """Concepts of bool masks (N, H, W) on their frame. fit: of PerSAM-F's weights; None makes PerSAM's."""
    features = image_features(asker.prompter, embedding)
    cells = [foreground(asker.prompter, embedding, mask, VIDEO_VALUE) for mask in masks]
    concepts = Concepts.joined([learn(features, there, with_peak=True) for there in cells])
    if fit is None:
        return concepts
    prior = location_prior(embedding, features, concepts.directions)
    boxes = asked_boxes(masks)[0]
    answers = asker.ask(embedding, replace(_points(prior, boxes, _POINTS_FITTED), boxes=boxes))
    return replace(concepts, weights=fit_all(embedding, answers.logits[:, 1:], masks, fit))


def asked_boxes(masks: BoolArray) -> tuple[FloatArray, BoolArray]:
    """The boxes to ask with after bool masks (N, H, W), (N, 4), and which of them have any pixel."""
    boxes, found = tight_boxes(torch.from_numpy(np.ascontiguousarray(masks)))
    return widened(boxes, MARGIN, (masks.shape[1], masks.shape[2])), found


def segment(
    asker: Asker, embedding: Embedding, concepts: Concepts, boxes: FloatArray, largest: Largest | None = None
) -> Tensor:
    """Logits (N, H, W) of all concepts in a frame; -inf throughout where one was not found.

    boxes: (N, 4), of each track's last mask that had any pixel, widened.
    """
    prior = location_prior(embedding, image_features(asker.prompter, embedding), concepts.directions)
    fitted = concepts.weights is not None
    points = _points(prior, boxes, _POINTS_FITTED if fitted else _POINTS)
    answers = asker.ask(embedding, replace(points, boxes=boxes))
    three, rows = answers.logits[:, 1:], np.arange(len(prior))
    if concepts.weights is not None:
        low = mixed(three, concepts.weights)
        asked = Asked(points, low, rows).again(asker, embedding, _or_best(embedding, low, answers.best()[0]))
    else:
        masks = embedding.upsampler.full(three) > asker.prompter.threshold
        chosen = (largest or Largest()).choose(masks)
        low = three[torch.arange(len(three), device=three.device), chosen]
        asked = Asked(points, asker.ask(embedding, points.shown(low)).best()[0], rows)
    return asked.again(asker, embedding).full(embedding, len(concepts))


def _points(prior: Tensor, boxes: FloatArray, count: int) -> Question:
    """The likeliest pixels and the box's centre, all of them object."""
    points = np.concatenate([highest(prior, count), centres(boxes)[:, None]], 1)
    return Question(points, np.ones(points.shape[:2], np.int64))


def _or_best(embedding: Embedding, low: Tensor, best: Tensor) -> Tensor:
    """The logits whose boxes are asked next: the mixture, or the most trusted mask where that is empty."""
    empty = torch.as_tensor(embedding.upsampler.extents(low, 0.0)[:, 1] < 0, device=low.device)
    return torch.where(empty[:, None, None], best, low)
