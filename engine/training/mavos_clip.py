"""A batch of clips through MAVOS with gradients: the first frame is the reference, all others are predicted.

Knows labels as numbers 0..10; knows nothing of where clips come from or what is made of the scores.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.mavos.config import IDENTITIES
from engine.models.mavos.network import MAVOS, Features, suppressed

GAP = 2
"""Frames between merges into the long-term memory, in training."""


@dataclass(frozen=True)
class ClipRules:
    """own_labels: memory is fed with what was predicted, not with the truth. fixed_bank: identities are not trained.

    order (B, 11), channel 0 first: which object each identity stands for; None leaves them in order.
    """

    own_labels: bool = False
    fixed_bank: bool = False
    order: Tensor | None = None


def clip_scores(model: MAVOS, images: Tensor, labels: Tensor, objects: Tensor, rules: ClipRules) -> list[Tensor]:
    """Scores (B, 11, H, W) of every frame, those of the first from matching it with itself.

    images (B, T, 3, H, W) normalised, sides that fit; labels (B, T, H, W) in 0..10 or 255; objects (B): how many there
    are in each clip. Channels of identities that a clip does not use hold -1e10.
    """
    frames = _encoded(model, images)
    identity = _identity(model, labels[:, 0], rules)
    first = model.reference(frames[0], identity)
    short = long = model.remembered(first.seen, identity)
    scores = [_scores(model, frames[0], first.output, objects, rules, images.shape[-2:])]
    for t in range(1, len(frames)):
        found = model.match(frames[t], long, short)
        scores.append(_scores(model, frames[t], found.output, objects, rules, images.shape[-2:]))
        if t + 1 < len(frames):
            label = scores[-1].detach().argmax(1) if rules.own_labels else labels[:, t]
            short = model.remembered(found.seen, _identity(model, label, rules))
            long = model.merge(short, long, frames[t].size) if t % GAP == 0 else long
    return scores


def _encoded(model: MAVOS, images: Tensor) -> list[Features]:
    batch, count = images.shape[:2]
    whole = model.encode(images.flatten(0, 1))
    maps = [plane.unflatten(0, (batch, count)) for plane in whole.maps]
    projected = whole.projected.unflatten(0, (batch, count))
    return [Features(tuple(plane[:, t] for plane in maps), projected[:, t]) for t in range(count)]


def _identity(model: MAVOS, label: Tensor, rules: ClipRules) -> Tensor:
    number = torch.arange(IDENTITIES + 1, device=label.device).view(1, -1, 1, 1)
    planes = (label[:, None] == number).float()
    if rules.order is not None:
        planes = planes.gather(1, rules.order[:, :, None, None].expand_as(planes))
    if rules.fixed_bank:
        with torch.no_grad():
            bank = model.patch_wise_id_bank(planes)
        return model.id_norm(bank.flatten(2).transpose(1, 2))
    return model.identity(planes)


def _scores(
    model: MAVOS, frame: Features, output: Tensor, objects: Tensor, rules: ClipRules, size: torch.Size
) -> Tensor:
    scores = model.decode(frame, output)
    if rules.order is not None:
        scores = scores.gather(1, rules.order.argsort(1)[:, :, None, None].expand_as(scores))
    corners = model.config.align_corners
    return F.interpolate(suppressed(scores, objects), size=tuple(size), mode="bilinear", align_corners=corners)
