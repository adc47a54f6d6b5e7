"""PerSAM on pictures: one reference, then each picture on its own (sections 3.2 and 3.3).

Three decodes a track: led by the concept, then plain ones with the last mask and its box as further prompts.
"""

from dataclasses import replace

import numpy as np
from segment_anything.modeling import MaskDecoder
from torch import Tensor

from engine.models.persam.cascade import Asked
from engine.models.persam.concept import IMAGE_VALUE, Concepts, foreground, image_features, learn
from engine.models.persam.guided import guided
from engine.models.persam.mixture import Fit, fit_all, mixed
from engine.models.persam.prior import attention_map, highest, location_prior
from engine.models.sam.asking import Asker, Question
from engine.models.sam.prompting import Embedding
from engine.types import BoolArray

FIT = Fit(1000, 1e-3)


def learn_concepts(asker: Asker, embedding: Embedding, masks: BoolArray, fit: Fit | None) -> Concepts:
    """Concepts of bool masks (N, H, W) on the reference picture. fit: of PerSAM-F's weights; None makes PerSAM's."""
    features = image_features(asker.prompter, embedding)
    cells = [foreground(asker.prompter, embedding, mask, IMAGE_VALUE) for mask in masks]
    concepts = Concepts.joined([learn(features, there, with_peak=fit is not None) for there in cells])
    if fit is None:
        return concepts
    points = highest(location_prior(embedding, features, concepts.directions), 1)
    answers = asker.ask(embedding, Question(points, np.ones(points.shape[:2], np.int64)))
    return replace(concepts, weights=fit_all(embedding, answers.logits[:, 1:], masks, fit))


def segment(asker: Asker, embedding: Embedding, concepts: Concepts) -> Tensor:
    """Logits (N, H, W) of all concepts in a picture; -inf throughout where one was not found."""
    features = image_features(asker.prompter, embedding)
    prior = location_prior(embedding, features, concepts.directions)
    asked = (
        _led(asker, embedding, concepts, prior)
        if concepts.weights is None
        else _mixed(asker, embedding, concepts.weights, prior)
    )
    return asked.again(asker, embedding).full(embedding, len(concepts))


def _led(asker: Asker, embedding: Embedding, concepts: Concepts, prior: Tensor) -> Asked:
    """Two points, the likeliest and the unlikeliest; the first decode led by attention and concept."""
    points = np.concatenate([highest(prior, 1), highest(-prior, 1)], 1)
    question = Question(points, np.tile([1, 0], (len(points), 1)))
    attention, plain = attention_map(prior, embedding.image.size), asker.prompter.sam.mask_decoder

    def decoder(start: int, stop: int) -> MaskDecoder:
        return guided(plain, attention[start:stop], concepts.means[start:stop])

    first = asker.ask(embedding, question, decoder).logits[:, 0]
    low, _ = asker.ask(embedding, question.shown(first)).best()
    return Asked(question, low, np.arange(len(prior)))


def _mixed(asker: Asker, embedding: Embedding, weights: Tensor, prior: Tensor) -> Asked:
    """One point; the first mask is the fitted mixture of three."""
    points = highest(prior, 1)
    question = Question(points, np.ones(points.shape[:2], np.int64))
    low = mixed(asker.ask(embedding, question).logits[:, 1:], weights)
    return Asked(question, low, np.arange(len(prior))).again(asker, embedding)
