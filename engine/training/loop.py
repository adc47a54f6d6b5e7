"""The training loop: steps, weight average, checkpoints that a killed run goes on from, in one process or several."""

import math
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from engine.errors import MugvosError
from engine.runtime.precision import autocast, resolve_precision
from engine.store.spool import writing
from engine.training import checkpoint as checkpoints
from engine.training.average import WeightAverage
from engine.training.distributed import ALONE, Group, share_statistics
from engine.training.optimisation import Optimisation
from engine.training.settings import TrainSettings
from engine.training.task import Outcome, Task


class ClipSource(Protocol):
    """Where clips come from. `generator` is all its randomness, so that a resumed run draws the next batch."""

    generator: torch.Generator

    def batch(self, clips: int) -> tuple[Tensor, ...]:
        """`clips` clips or pictures, in the form that the task takes."""
        ...


@runtime_checkable
class Positioned(Protocol):
    """A source that counts its batches, because it prepares some ahead; `position` is that of the next one given."""

    @property
    def position(self) -> Any: ...
    @position.setter
    def position(self, position: Any) -> None: ...


@dataclass(frozen=True)
class Progress:
    """What a step reports: its number (from 1), smoothed loss and region similarity, its own loss, the learning rate.

    validation: J of the averaged weights on the validation clips, where this step was followed by one.
    speed: clips (or pictures) a second; left: seconds to the end. Both depend on the machine and are not compared.
    """

    step: int
    loss: float
    iou: float
    rate: float
    batch_loss: float = 0.0
    validation: float | None = None
    speed: float = field(default=0.0, compare=False)
    left: float = field(default=0.0, compare=False)


class Trainer:
    """One run. `checkpoint` is the file that holds everything needed to go on."""

    def __init__(
        self,
        task: Task,
        clips: ClipSource,
        settings: TrainSettings,
        checkpoint: Path,
        group: Group = ALONE,
        inputs: dict[str, Any] | None = None,
        validate: Callable[[dict[str, Tensor]], float] | None = None,
    ) -> None:
        """inputs: what the run is made from besides its settings, compared on resuming. validate: averaged weights ->
        J; called in every process."""
        self.task = task
        self.model = task.model
        if group.size > 1:
            share_statistics(self.model)
        train_mode(self.model)
        self.clips = clips
        self.settings = settings
        self.checkpoint = checkpoint
        self.group = group
        self.device = clips.generator.device
        self.step = 0
        self.average = WeightAverage(self.model, settings.ema)
        self.optimisation = Optimisation(
            self.model, settings, self.device, getattr(task, "rate_shares", None), getattr(task, "decays", None)
        )
        self._validate = validate
        self._others = {"processes": group.size, "inputs": inputs or {}}
        self._smooth = {"loss": 0.0, "iou": 0.0}
        self._clock = _Clock(settings.batch * settings.accumulate * group.size)
        self._dtype = resolve_precision(settings.precision, self.device)
        self._stepper: nn.Module = _Stepper(task)
        if group.size > 1:
            self._stepper = _synchronised(self._stepper)

    def run(self, on_step: Callable[[Progress], None] | None = None) -> None:
        """Train to the end, saving a checkpoint now and then. Raises MugvosError where the loss is not finite."""
        while self.step < self.settings.steps:
            progress = self._advance()
            if on_step is not None:
                on_step(progress)
            if self.step % self.settings.checkpoint_every == 0 or self.step == self.settings.steps:
                self.save()

    def _advance(self) -> Progress:
        rate = self.optimisation.begin(self.step)
        parts = [self._micro_step(part) for part in range(self.settings.accumulate)]
        self.optimisation.finish()
        self.average.update(self.model)
        self.step += 1
        loss, iou = (sum(part[i] for part in parts) / len(parts) for i in (0, 1))
        blend = max(0.02, 1 / self.step)
        for name, value in (("loss", loss), ("iou", iou)):
            self._smooth[name] += blend * (value - self._smooth[name])
        speed, left = self._clock.tick(self.settings.steps - self.step)
        validation = self._validation()
        return Progress(self.step, self._smooth["loss"], self._smooth["iou"], rate, loss, validation, speed, left)

    def _micro_step(self, part: int) -> tuple[float, float]:
        """Draw a batch and add its gradient; loss and similarity over all processes."""
        whole = self.clips.batch(self.settings.batch * self.group.size)
        batch = tuple(self.group.rows(tensor) for tensor in whole)
        last = part == self.settings.accumulate - 1
        if isinstance(self._stepper, DistributedDataParallel):
            self._stepper.require_backward_grad_sync = last
        with autocast(self.device, self._dtype):
            loss, iou = self._stepper(batch, self._coins(), self.step)
        here = loss.item()
        bad, *sums = self.group.total([float(not math.isfinite(here)), here, iou], self.device)
        if bad:
            self._stop(math.isfinite(here), batch)
        self.optimisation.add(loss)
        return sums[0] / self.group.size, sums[1] / self.group.size

    def _coins(self) -> torch.Generator:
        """The task's randomness: that of the clips. Draws that are made for each clip differ between processes."""
        if self.group.size == 1 or not self.task.draws_per_clip:
            return self.clips.generator
        seed = torch.randint(1 << 62, (), generator=self.clips.generator, device=self.device)
        return torch.Generator(self.device).manual_seed(int(seed) + self.group.rank)

    def _stop(self, innocent: bool, batch: tuple[Tensor, ...]) -> None:
        if innocent:
            raise MugvosError(f"the loss of another process is not finite at step {self.step}", "look at its message")
        process = f".rank{self.group.rank}" if self.group.rank else ""
        where = self.checkpoint.with_suffix(f"{process}.bad-batch.pt")
        with writing(where):
            checkpoints.save({"images": batch[0], "masks": batch[1], "step": self.step}, where)
        raise MugvosError(
            f"the loss is not finite at step {self.step}",
            f"the batch is saved in {where}; start anew with a lower --lr and --overwrite",
        )

    def _validation(self) -> float | None:
        every = self.settings.validate_every
        if self._validate is None or not every or (self.step % every and self.step < self.settings.steps):
            return None
        score = self._validate(self.average.state)
        self._clock.restart()
        return score

    def save(self) -> None:
        """Write the checkpoint whole or not at all; the first process does it for all."""
        if not self.group.writes:
            return
        state = {
            **self._others,
            **self.optimisation.state(),
            "settings": self.settings.as_dict(),
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average.state,
            "updates": self.average.updates,
            "generator": self.clips.generator.get_state(),
            "position": self.clips.position if isinstance(self.clips, Positioned) else None,
            "smooth": self._smooth,
        }
        checkpoints.write(self.checkpoint, state)

    def resume(self) -> bool:
        """Go on from the checkpoint if there is one. Raises CheckpointError if it belongs to another run."""
        if not self.checkpoint.exists():
            return False
        state = checkpoints.read(self.checkpoint, self.settings, self._others)
        self.step, self._smooth = state["step"], state["smooth"]
        self.model.load_state_dict(state["model"])
        self.average.load(state["average"], state["updates"])
        self.optimisation.load_state(state)
        self.clips.generator.set_state(state["generator"])
        if isinstance(self.clips, Positioned) and state.get("position") is not None:
            self.clips.position = state["position"]
        return True


def train_mode(model: nn.Module) -> None:
    """Training mode for the parts that are trained; a frozen part keeps the statistics that it has."""
    model.train()
    for part in model.children():
        parameters = list(part.parameters())
        part.train(not parameters or any(p.requires_grad for p in parameters))


class _Stepper(nn.Module):
    """A task's step as a module's forward pass, which is what gradients are synchronised around."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.model = task.model
        self._step: Callable[..., Outcome] = task.step

    def forward(self, batch: tuple[Tensor, ...], generator: torch.Generator, step: int) -> tuple[Tensor, float]:
        outcome = self._step(batch, generator, step)
        return outcome.loss, outcome.iou


def _synchronised(stepper: nn.Module) -> DistributedDataParallel:
    """Gradients are averaged over the processes; buffers agree by themselves. Parts may rest in some steps."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # newer torch calls `broadcast_buffers` something else
        return DistributedDataParallel(stepper, broadcast_buffers=False, find_unused_parameters=True)


class _Clock:
    """Seconds a step, smoothed."""

    def __init__(self, clips: int) -> None:
        self._clips = clips
        self._seconds = 0.0
        self._last = time.monotonic()

    def restart(self) -> None:
        """What has passed since the last step was something else."""
        self._last = time.monotonic()

    def tick(self, steps_left: int) -> tuple[float, float]:
        """A step is done: clips a second, seconds to the end."""
        now = time.monotonic()
        passed, self._last = now - self._last, now
        self._seconds = passed if not self._seconds else self._seconds + 0.1 * (passed - self._seconds)
        return self._clips / max(self._seconds, 1e-9), self._seconds * steps_left
