"""MAVOS in training, as published (docs/mavos.md, "Training").

Losses on every frame, the first one's own prediction counting less and less. In the first half of a run memory is fed
with the truth, in the second with what was predicted, and the identity bank rests.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.mavos.config import IDENTITIES
from engine.models.mavos.losses import sample_loss
from engine.models.mavos.network import MAVOS
from engine.models.mavos.preprocess import normalised
from engine.models.mmpm.losses import kept_fraction
from engine.training.label_clips import labels_of, overlap, pasted
from engine.training.mavos_clip import ClipRules, clip_scores
from engine.training.settings import TrainSettings
from engine.training.task import Outcome

MERGED_SHARE = 0.3
SMALLEST_MERGED = 100


class MAVOSTask:
    """Batches: images (B, T, 3, S, S) in [0, 1]; masks in {0, 1}, (B, T, S, S) of one track or (B, T, n, S, S)."""

    draws_per_clip = True

    def __init__(self, model: MAVOS, settings: TrainSettings) -> None:
        self.model = model
        self.settings = settings
        self.rate_shares = {"encoder.": 0.1}

    def step(self, batch: tuple[Tensor, ...], generator: torch.Generator, step: int) -> Outcome:
        """Propagate the first labels of every clip and judge all frames."""
        images, masks = batch
        images, labels = self._fitted(*self._merged(images, masks, generator))
        late = 2 * step >= self.settings.steps
        objects = labels[:, 0].flatten(1).amax(1).clamp(min=1)
        labels = torch.where(labels <= objects.view(-1, 1, 1, 1), labels, 0)
        rules = ClipRules(late, late, shuffled(len(images), generator))
        with torch.random.fork_rng():
            # What is dropped out follows from the run's own randomness, so that a resumed run drops the same.
            torch.manual_seed(int(torch.randint(1 << 62, (), generator=generator, device=generator.device)))
            scores = clip_scores(self.model, normalised(images), labels, objects, rules)
        kept = kept_fraction(step, self.settings.hard_from, self.settings.hard_to)
        losses = frame_losses(scores, labels, objects, kept)
        own = max(1 - step / self.settings.steps, 0.0)
        loss = total_loss(losses, own)
        return Outcome(loss, overlap(scores[1:], labels[:, 1:]), {"first frame": losses[0].mean().item()})

    def description(self) -> dict[str, Any]:
        """Kind and sizes."""
        return {"model": "mavos", "config": self.model.config.as_dict()}

    def decays(self, name: str, parameter: nn.Parameter) -> bool:
        """No decay for biases, norms outside the encoder, the last scores and position tables."""
        plain = name.endswith("bias") or name.startswith("decoder.conv_out") or "relative_position_bias_table" in name
        return not plain and (name.startswith("encoder.") or parameter.ndim > 1)

    def _merged(self, images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Labels; of some clips the neighbour's objects are pasted on top, as far as there are identities for them."""
        labels = labels_of(masks, SMALLEST_MERGED if masks.ndim == 5 else 0)
        chance = torch.rand(len(images), generator=generator, device=generator.device)
        chosen = (chance < MERGED_SHARE) & (len(images) > 1)
        return pasted(images, labels, chosen, IDENTITIES) if bool(chosen.any()) else (images, labels)

    def _fitted(self, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        """Clips of S pixels at S + 1 where corners are aligned."""
        if not self.model.config.align_corners:
            return images, labels
        side = images.shape[-1] + 1
        large = F.interpolate(images.flatten(0, 1), size=(side, side), mode="bilinear", align_corners=True)
        nearest = F.interpolate(labels.flatten(0, 1)[:, None].float(), size=(side, side))[:, 0].long()
        return large.unflatten(0, images.shape[:2]), nearest.unflatten(0, labels.shape[:2])


def shuffled(clips: int, generator: torch.Generator) -> Tensor:
    """(B, 11): a random order of the ten identities of each clip; the background keeps its place."""
    draw = torch.rand(clips, IDENTITIES, generator=generator, device=generator.device)
    return torch.cat([torch.zeros_like(draw[:, :1], dtype=torch.long), draw.argsort(1) + 1], 1)


def frame_losses(scores: list[Tensor], labels: Tensor, objects: Tensor, kept: float) -> Tensor:
    """(T, B): the loss of each frame of each clip, on the channels that the clip uses."""
    return torch.stack(
        [
            torch.stack(
                [
                    sample_loss(sample[: 1 + count], label, kept)
                    for sample, label, count in zip(found, labels[:, t], objects.tolist(), strict=True)
                ]
            )
            for t, found in enumerate(scores)
        ]
    )


def total_loss(losses: Tensor, own: float) -> Tensor:
    """Mean over the predicted frames (T, B), plus `own` times that of the reference frame's own prediction."""
    return losses[1:].mean() + own * losses[0].mean()
