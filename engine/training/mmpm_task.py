"""MMPM in training: deep updates by a coin, bootstrapping by the step (docs/train.md)."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.mmpm.losses import kept_fraction
from engine.models.mmpm.network import MMPM
from engine.training.settings import TrainSettings
from engine.training.step import training_step
from engine.training.task import Outcome


class MMPMTask:
    """Batches: images (B, T, 3, S, S) in [0, 1]; masks in {0, 1}, (B, T, S, S) of one track or (B, T, n, S, S)."""

    draws_per_clip = False

    def __init__(self, model: MMPM, settings: TrainSettings) -> None:
        self.model = model
        self.settings = settings

    def step(self, batch: tuple[Tensor, ...], generator: torch.Generator, step: int) -> Outcome:
        """Propagate the first masks of every clip and judge the later frames."""
        images, masks = self._fitted(*batch)
        kept = kept_fraction(step, self.settings.hard_from, self.settings.hard_to)
        result = training_step(self.model, images, masks, self._deep_flags(images.shape[1], generator), kept)
        return Outcome(result.loss, result.iou, {"cross-entropy": result.cross_entropy, "dice": result.dice})

    def description(self) -> dict[str, Any]:
        """Kind and sizes."""
        return {"model": "mmpm", "config": self.model.config.as_dict()}

    def _fitted(self, images: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """Clips at the side that the network is built for, if it is built for one."""
        side = self.model.config.image_side
        if not self.model.config.square or images.shape[-1] == side:
            return images, masks
        scaled = F.interpolate(images.flatten(0, 1), size=(side, side), mode="bilinear", align_corners=False)
        nearest = F.interpolate(masks.flatten(0, 1).reshape(-1, 1, *masks.shape[-2:]), size=(side, side))
        return scaled.unflatten(0, images.shape[:2]), nearest.reshape(*masks.shape[:-2], side, side)

    def _deep_flags(self, frames: int, generator: torch.Generator) -> list[bool]:
        """Frame 0 always, later ones by a coin."""
        coins = torch.rand(frames - 1, generator=generator, device=generator.device)
        return [True, *(coins < self.settings.deep_probability).tolist()]
