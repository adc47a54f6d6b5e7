"""What the training loop trains: a model, and how a batch becomes a loss."""

from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn


class Outcome(NamedTuple):
    """`loss` to differentiate; mean region similarity (IoU, 0..1) of the batch; parts of the loss as plain numbers."""

    loss: Tensor
    iou: float
    parts: dict[str, float]


class Task(Protocol):
    """One kind of model in training.

    draws_per_clip: whether `step` draws something for each clip, rather than once for all of them.
    """

    draws_per_clip: bool

    @property
    def model(self) -> nn.Module:
        """What is trained and saved."""
        ...

    def step(self, batch: tuple[Tensor, ...], generator: torch.Generator, step: int) -> Outcome:
        """The outcome of a batch at step number `step` (from 0). All randomness comes from `generator`."""
        ...

    def description(self) -> dict[str, Any]:
        """What travels with the weights: {"model": kind, "config": its sizes}."""
        ...
