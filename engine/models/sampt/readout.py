"""From points of a frame to masks: SAM asked with what is visible, then again and again with its own answer.

All tracks of a frame go through each stage together, those with equal numbers of points in one batch: further points of
no label would change the masks.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from engine.models.sam.asking import Asker, Question
from engine.models.sam.boxes import tight_boxes
from engine.models.sam.prompting import Embedding
from engine.models.sampt.tracks import VISIBLE
from engine.types import FloatArray

_FEWEST_PIXELS = 2  # of a mask that is asked about again


@dataclass(frozen=True)
class ReadOut:
    """How masks are read, with the published defaults.

    positives, negatives: points on the object and beside it. refinements: rounds of asking again. iou_threshold:
    predicted IoU below which a mask is given up. others: whether the other tracks' visible points are background
    points. raw_boxes: boxes go to the network in pixels of the picture, as published, which is right only where its
    longer side is the network's.
    """

    positives: int = 16
    negatives: int = 1
    refinements: int = 12
    iou_threshold: float = 0.7
    others: bool = True
    raw_boxes: bool = False


@dataclass(frozen=True)
class Prompt:
    """The points of one track in one frame: xy (n, 2), labels (n,)."""

    xy: FloatArray
    labels: np.ndarray

    def only_object(self) -> "Prompt":
        """Its points on the object."""
        chosen = self.labels == 1
        return Prompt(self.xy[chosen], self.labels[chosen])


def read_out(
    asker: Asker, embedding: Embedding, xy: FloatArray, codes: FloatArray, how: ReadOut
) -> tuple[Tensor, FloatArray]:
    """Logits (N, H, W) of N tracks and their predicted IoU (N,), from points xy (N, P, 2) and codes (N, P).

    Where no point is visible the logits are -inf and the IoU is NaN; where a mask is given up they are -inf.
    """
    prompts = prompts_of(xy, codes, how)
    asked = np.array([n for n, prompt in enumerate(prompts) if len(prompt.xy)], np.intp)
    logits = torch.full((len(prompts), *embedding.geometry.original), -torch.inf, device=asker.device)
    scores = np.full(len(prompts), np.nan)
    if len(asked):
        low, found = _decoded(asker, embedding, [prompts[n] for n in asked], how)
        scores[asked] = found.cpu().numpy()
        trusted = (found >= how.iou_threshold).cpu().numpy()
        logits[asked[trusted]] = embedding.upsampler.full(low[trusted])
    return logits, scores


def prompts_of(xy: FloatArray, codes: FloatArray, how: ReadOut) -> list[Prompt]:
    """The visible points of each track, then, where `others`, the visible object points of all other tracks."""
    seen, label = codes == VISIBLE, (np.arange(xy.shape[1]) < how.positives).astype(np.int64)
    prompts = []
    for n in range(len(xy)):
        points, labels = [xy[n][seen[n]]], [label[seen[n]]]
        for other in range(len(xy)) if how.others else ():
            if other != n:
                theirs = xy[other][seen[other] & (label == 1)]
                points.append(theirs)
                labels.append(np.zeros(len(theirs), np.int64))
        prompts.append(Prompt(np.concatenate(points), np.concatenate(labels)))
    return prompts


def _decoded(asker: Asker, embedding: Embedding, prompts: Sequence[Prompt], how: ReadOut) -> tuple[Tensor, Tensor]:
    """Low-resolution logits (M, rows, columns) and predicted IoU (M,)."""
    if how.negatives == 0:
        low, scores = _ask(asker, embedding, prompts)
    else:
        low, _ = _ask(asker, embedding, [prompt.only_object() for prompt in prompts])
        low, scores = _ask(asker, embedding, prompts, low)
    open_rows = np.arange(len(prompts))
    for _ in range(how.refinements):
        masks = embedding.upsampler.full(low[open_rows]) > asker.prompter.threshold
        large = (masks.flatten(1).sum(1) >= _FEWEST_PIXELS).cpu().numpy()
        if not large.any():
            break
        boxes = tight_boxes(masks)[0][large]
        if how.raw_boxes:
            (height, width), (h, w) = embedding.geometry.original, embedding.geometry.resized
            boxes = boxes / np.array([w / width, h / height] * 2)
        open_rows = open_rows[large]
        low[open_rows], scores[open_rows] = _ask(
            asker, embedding, [prompts[row] for row in open_rows.tolist()], low[open_rows], boxes
        )
    return low, scores


def _ask(
    asker: Asker,
    embedding: Embedding,
    prompts: Sequence[Prompt],
    masks: Tensor | None = None,
    boxes: FloatArray | None = None,
) -> tuple[Tensor, Tensor]:
    """The single masks (M, rows, columns) of all prompts and their predicted IoU (M,), batched by number of points."""
    counts = np.array([len(prompt.xy) for prompt in prompts])
    rows, columns = (4 * length for length in embedding.image.size)
    low = torch.empty(len(prompts), rows, columns, device=asker.device)
    scores = torch.empty(len(prompts), device=asker.device)
    for count in np.unique(counts):
        chosen = np.flatnonzero(counts == count)
        question = Question(
            np.stack([prompts[row].xy for row in chosen.tolist()]),
            np.stack([prompts[row].labels for row in chosen.tolist()]),
            None if boxes is None else boxes[chosen],
            None if masks is None else masks[chosen],
        )
        answers = asker.ask(embedding, question)
        low[chosen], scores[chosen] = answers.logits[:, 0], answers.scores[:, 0]
    return low, scores
