"""The training loop: steps, schedule, weight average, checkpoints that a killed run goes on from."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from engine.errors import CheckpointError, MugvosError
from engine.store import atomic
from engine.store.spool import writing
from engine.training.average import WeightAverage
from engine.training.settings import TrainSettings
from engine.training.task import Outcome, Task


class ClipSource(Protocol):
    """Where clips come from. `generator` is all its randomness, so that a resumed run draws the next batch."""

    generator: torch.Generator

    def batch(self, clips: int) -> tuple[Tensor, ...]:
        """`clips` clips or pictures, in the form that the task takes."""
        ...


@dataclass(frozen=True)
class Progress:
    """What a step reports: its number (from 1), smoothed loss and region similarity, the learning rate."""

    step: int
    loss: float
    iou: float
    rate: float


class Trainer:
    """One run. `checkpoint` is the file that holds everything needed to go on."""

    def __init__(self, task: Task, clips: ClipSource, settings: TrainSettings, checkpoint: Path) -> None:
        self.task = task
        self.model = model = task.model.train()
        self.clips = clips
        self.settings = settings
        self.checkpoint = checkpoint
        self.average = WeightAverage(model, settings.ema)
        self.optimizer = torch.optim.AdamW(
            [p for p in model.parameters() if p.requires_grad],
            settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self.step = 0
        self._smooth = {"loss": 0.0, "iou": 0.0}

    def run(self, on_step: Callable[[Progress], None] | None = None) -> None:
        """Train to the end, saving a checkpoint now and then. Raises MugvosError where the loss is not finite."""
        while self.step < self.settings.steps:
            progress = self._advance()
            if on_step is not None:
                on_step(progress)
            if self.step % self.settings.checkpoint_every == 0 or self.step == self.settings.steps:
                self.save()

    def _advance(self) -> Progress:
        settings = self.settings
        rate = learning_rate(self.step, settings)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        batch = self.clips.batch(settings.batch)
        result = self.task.step(batch, self.clips.generator, self.step)
        self._apply(result, batch)
        self.average.update(self.model)
        self.step += 1
        blend = max(0.02, 1 / self.step)
        for name, value in (("loss", result.loss.item()), ("iou", result.iou)):
            self._smooth[name] += blend * (value - self._smooth[name])
        return Progress(self.step, self._smooth["loss"], self._smooth["iou"], rate)

    def _apply(self, result: Outcome, batch: tuple[Tensor, ...]) -> None:
        if not math.isfinite(result.loss.item()):
            where = self.checkpoint.with_suffix(".bad-batch.pt")
            torch.save({"images": batch[0], "masks": batch[1], "step": self.step}, where)
            raise MugvosError(
                f"the loss is not finite at step {self.step}",
                f"the batch is saved in {where}; start anew with a lower --lr and --overwrite",
            )
        self.optimizer.zero_grad(set_to_none=True)
        result.loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
        self.optimizer.step()

    def save(self) -> None:
        """Write the checkpoint whole or not at all."""
        state = {
            "settings": self.settings.as_dict(),
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.state,
            "updates": self.average.updates,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.clips.generator.get_state(),
            "smooth": self._smooth,
        }
        temporary = atomic.temporary_beside(self.checkpoint)
        try:
            with writing(self.checkpoint):
                torch.save(state, temporary)
            atomic.publish(temporary, self.checkpoint)
        finally:
            atomic.remove(temporary)

    def resume(self) -> bool:
        """Go on from the checkpoint if there is one. Raises CheckpointError if it belongs to another run."""
        if not self.checkpoint.exists():
            return False
        state = _read_checkpoint(self.checkpoint)
        changed = _differences(state["settings"], self.settings.as_dict())
        if changed:
            raise CheckpointError(
                f"{self.checkpoint}: an unfinished run with other settings ({changed})",
                "give the same options to go on, or --overwrite to start anew",
            )
        self.step, self._smooth = state["step"], state["smooth"]
        self.model.load_state_dict(state["model"])
        self.average.load(state["average"], state["updates"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.clips.generator.set_state(state["generator"])
        return True


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Linear warm-up, then half a cosine down to the final rate."""
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    done = (step - settings.warmup) / max(settings.steps - settings.warmup, 1)
    span = settings.learning_rate - settings.final_rate
    return settings.final_rate + span * (1 + math.cos(math.pi * done)) / 2


def _read_checkpoint(path: Path) -> dict[str, Any]:
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
        TrainSettings.from_dict(state["settings"])
    except Exception as error:
        raise CheckpointError(f"{path}: a damaged training checkpoint", "--overwrite starts the run anew") from error
    return state


def _differences(saved: dict[str, Any], wanted: dict[str, Any], within: str = "") -> str:
    """What differs, each as `name: VALUE there, VALUE here`; names of nested settings are `clips.size`."""
    found = []
    for name, value in wanted.items():
        there = saved.get(name)
        if isinstance(value, dict) and isinstance(there, dict):
            found.append(_differences(there, value, f"{within}{name}."))
        elif there != value:
            found.append(f"{within}{name}: {there} there, {value} here")
    return ", ".join(filter(None, found))
