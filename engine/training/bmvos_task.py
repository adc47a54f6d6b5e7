"""BMVOS in training, as published (docs/bmvos.md, "Training"): cross-entropy through the whole clip.

One object a clip. What is fed back is the network's own soft mask, and gradients flow through it.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.bmvos.loading import MODEL
from engine.models.bmvos.matching import bijective, read, similarity
from engine.models.bmvos.network import BMVOS, Encoded, pooled
from engine.training.label_clips import attached, overlap
from engine.training.settings import TrainSettings
from engine.training.task import Outcome

ATTACHED_SHARE = 0.2


class BMVOSTask:
    """Batches: images (B, T, 3, S, S) in [0, 1]; masks (B, T, S, S) in {0, 1}."""

    draws_per_clip = True

    def __init__(self, model: BMVOS, settings: TrainSettings) -> None:
        self.model = model
        self.settings = settings

    def step(self, batch: tuple[Tensor, ...], generator: torch.Generator, step: int) -> Outcome:
        """Propagate the first mask of every clip and judge the later frames."""
        images, masks = batch
        draw = torch.rand((), generator=generator, device=generator.device)
        if len(images) > 1 and draw < ATTACHED_SHARE:
            images, masks = attached(images, masks)
        scores = clip_scores(self.model, images, masks[:, 0])
        return Outcome(clip_loss(scores, masks), overlap(scores, masks[:, 1:].long()), {})

    def description(self) -> dict[str, Any]:
        """Kind; there is one size."""
        return {"model": MODEL, "config": {"name": MODEL}}


def clip_scores(model: BMVOS, images: Tensor, first: Tensor) -> list[Tensor]:
    """Scores (B, 2, S, S) of frames 1.. from images (B, T, 3, S, S) and the first masks (B, S, S)."""
    frames = _encoded(model, images)
    history = first[:, None].expand(-1, 3, -1, -1)
    first_planes = last_planes = pooled(first)
    scores = []
    for t in range(1, len(frames)):
        key = frames[t].key
        local = bijective(similarity(frames[t - 1].key, key))
        matching = torch.cat([read(similarity(frames[0].key, key), first_planes), read(local, last_planes)], 1)
        scores.append(model.scores(frames[t], matching, history).float())
        foreground = scores[-1].softmax(1)[:, 1]
        last_planes = pooled(foreground)
        history = torch.cat([foreground[:, None], history[:, :2]], 1)
    return scores


def clip_loss(scores: list[Tensor], masks: Tensor) -> Tensor:
    """Cross-entropy, the mean over all pixels of all frames but the first.

    Clips whose first mask is empty or covers everything teach nothing and are left out.
    """
    share = masks[:, 0].flatten(1).mean(1)
    usable = (share > 0) & (share < 1)
    losses = [F.cross_entropy(found[usable], masks[usable, t].long()) for t, found in enumerate(scores, 1)]
    return torch.stack(losses).mean() if bool(usable.any()) else scores[0].sum() * 0


def _encoded(model: BMVOS, images: Tensor) -> list[Encoded]:
    batch, count = images.shape[:2]
    whole = model.encode(images.flatten(0, 1))
    key = whole.key.unflatten(0, (batch, count))
    shared = [plane.unflatten(0, (batch, count)) for plane in whole.shared]
    return [Encoded(key[:, t], [plane[:, t] for plane in shared], whole.size) for t in range(count)]
