"""From a loss to changed weights: AdamW, the rate of each step, gradients scaled, bounded and summed over micro-steps.

Knows parameters and losses. Knows nothing of batches, files or what the loss means.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from engine.training.settings import TrainSettings


class Optimisation:
    """The optimizer of one model, on one device."""

    def __init__(
        self,
        model: nn.Module,
        settings: TrainSettings,
        device: torch.device,
        shares: Mapping[str, float] | None = None,
        decays: Callable[[str, nn.Parameter], bool] | None = None,
    ) -> None:
        """shares: of the learning rate, by how names of parameters begin; 1 for all others. decays: whether the
        parameter of a name decays; all do by default."""
        self.settings = settings
        groups = _groups(model, shares or {}, decays or (lambda name, parameter: True))
        for group in groups:
            group["weight_decay"] = settings.weight_decay if group.pop("decays") else 0.0
        self.parameters = [parameter for group in groups for parameter in group["params"]]
        self.optimizer = torch.optim.AdamW(groups, settings.learning_rate, weight_decay=settings.weight_decay)
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")

    def begin(self, step: int) -> float:
        """Forget old gradients and set the rate of a step (from 0), which is returned."""
        rate = learning_rate(step, self.settings)
        for group in self.optimizer.param_groups:
            least = self.settings.final_rate if self.settings.schedule == "poly" else 0.0
            group["lr"] = least + (rate - least) * group.get("share", 1.0)
        self.optimizer.zero_grad(set_to_none=True)
        return rate

    def add(self, loss: Tensor) -> None:
        """The gradient of one micro-step's loss; a step's gradient is the mean over its micro-steps."""
        self.scaler.scale(loss / self.settings.accumulate).backward()

    def finish(self) -> None:
        """Change the weights. With fp16 a step whose gradients overflowed is left out, and the scale halved."""
        self.scaler.unscale_(self.optimizer)
        if self.settings.clip_norm > 0:
            torch.nn.utils.clip_grad_norm_(self.parameters, self.settings.clip_norm)
        self.scaler.step(self.optimizer)
        self.scaler.update()

    def state(self) -> dict[str, Any]:
        """Plain values and tensors."""
        return {"optimizer": self.optimizer.state_dict(), "scaler": self.scaler.state_dict()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; older ones have no scaler."""
        self.optimizer.load_state_dict(state["optimizer"])
        if state.get("scaler"):
            self.scaler.load_state_dict(state["scaler"])


def _groups(
    model: nn.Module, shares: Mapping[str, float], decays: Callable[[str, nn.Parameter], bool]
) -> list[dict[str, Any]]:
    """What is trained, by its share of the learning rate and by whether it decays."""
    alike: dict[tuple[float, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            share = next((share for beginning, share in shares.items() if name.startswith(beginning)), 1.0)
            alike.setdefault((share, decays(name, parameter)), []).append(parameter)
    return [{"params": group, "share": share, "decays": decay} for (share, decay), group in alike.items()]


def learning_rate(step: int, settings: TrainSettings) -> float:
    """Linear warm-up, then what the schedule says (see TrainSettings)."""
    if settings.schedule == "poly":
        return _polynomial(step, settings)
    if step < settings.warmup:
        return settings.learning_rate * (step + 1) / settings.warmup
    if settings.schedule == "constant":
        return settings.learning_rate
    if settings.schedule == "steps":
        return float(settings.learning_rate * 0.1 ** sum(step >= milestone for milestone in settings.milestones))
    done = (step - settings.warmup) / max(settings.steps - settings.warmup, 1)
    span = settings.learning_rate - settings.final_rate
    return settings.final_rate + span * (1 + math.cos(math.pi * done)) / 2


def _polynomial(step: int, settings: TrainSettings) -> float:
    """Up from the least rate in a line, and down to it again with power 0.9."""
    least, span = settings.final_rate, settings.learning_rate - settings.final_rate
    if step < settings.warmup:
        return least + span * step / settings.warmup
    left = 1 - (step - settings.warmup) / max(settings.steps - settings.warmup, 1)
    return float(least + span * left**0.9)
