"""MMPM in training: deep updates by a coin, bootstrapping by the step (docs/train.md)."""

from typing import Any

import torch
from torch import Tensor

from engine.models.mmpm.losses import kept_fraction
from engine.models.mmpm.network import MMPM
from engine.training.settings import TrainSettings
from engine.training.step import training_step
from engine.training.task import Outcome


class MMPMTask:
    """Batches are images (B, T, 3, S, S) in [0, 1] and masks (B, T, S, S) in {0, 1} of the target track."""

    def __init__(self, model: MMPM, settings: TrainSettings) -> None:
        self.model = model
        self.settings = settings

    def step(self, batch: tuple[Tensor, ...], generator: torch.Generator, step: int) -> Outcome:
        """Propagate the first mask of every clip and judge the later frames."""
        images, masks = batch
        kept = kept_fraction(step, self.settings.hard_from, self.settings.hard_to)
        result = training_step(self.model, images, masks, self._deep_flags(images.shape[1], generator), kept)
        return Outcome(result.loss, result.iou, {"cross-entropy": result.cross_entropy, "dice": result.dice})

    def description(self) -> dict[str, Any]:
        """Kind and sizes."""
        return {"model": "mmpm", "config": self.model.config.as_dict()}

    def _deep_flags(self, frames: int, generator: torch.Generator) -> list[bool]:
        """Frame 0 always, later ones by a coin."""
        coins = torch.rand(frames - 1, generator=generator, device=generator.device)
        return [True, *(coins < self.settings.deep_probability).tolist()]
