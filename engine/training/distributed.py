"""The processes of one run that torchrun started, and what they have to agree on.

Every process draws the same global batch from the same seed and takes its own rows of it, so that n processes with
batch B do what one process with batch n B does. Knows torch.distributed; knows nothing of models but their batch
normalisation, whose statistics must be those of the global batch for that to be true.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn

from engine.errors import MugvosError, UsageError

PATIENCE = timedelta(minutes=30)
_LOST = ("gloo", "NCCL", "Connection closed", "Connection reset", "Broken pipe", "Timed out", "TCPStore")


@dataclass(frozen=True)
class Group:
    """This process among `size`; rank 0 writes files. One process alone needs no communication."""

    rank: int = 0
    size: int = 1

    @property
    def writes(self) -> bool:
        """Whether files are this process's business."""
        return self.rank == 0

    def rows(self, whole: Tensor) -> Tensor:
        """This process's share of a global batch, (size * B, ...) -> (B, ...)."""
        if self.size == 1:
            return whole
        each = len(whole) // self.size
        return whole[self.rank * each : (self.rank + 1) * each]

    def total(self, values: Sequence[float], device: torch.device) -> list[float]:
        """Sums over all processes."""
        if self.size == 1:
            return list(values)
        sums = torch.tensor(values, dtype=torch.float64, device="cpu" if device.type == "cpu" else device)
        dist.all_reduce(sums)
        result: list[float] = sums.tolist()
        return result

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether it is so in any process."""
        return self.total([float(flag)], device)[0] > 0


ALONE = Group()


def launched() -> bool:
    """Whether torchrun started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def own_device(name: str) -> str:
    """Of several processes on one machine each takes its own CUDA card, unless a card is named."""
    if launched() and name in ("auto", "cuda") and torch.cuda.is_available():
        return f"cuda:{os.environ.get('LOCAL_RANK', '0')}"
    return name


@contextmanager
def joined(device: torch.device) -> Iterator[Group]:
    """The group that torchrun's environment describes, or `ALONE`; left again at the end.

    A process that ends early is told as MugvosError by all others. Raises UsageError for an environment that makes no
    sense.
    """
    if not launched():
        yield ALONE
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    except (ValueError, RuntimeError) as error:
        first = str(error).splitlines()[0]
        raise UsageError(f"the processes did not find each other ({first})", "start them with torchrun") from error
    try:
        yield Group(dist.get_rank(), dist.get_world_size())
    except RuntimeError as error:
        if not any(sign in str(error) for sign in _LOST):
            raise
        raise MugvosError(
            "another process of this run has ended", "look at its message; the same command goes on from the checkpoint"
        ) from error
    finally:
        dist.destroy_process_group()


class _Sum(torch.autograd.Function):
    """Sum over processes, in both directions: what each contributes to all, it answers for in all."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        total = x.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Tensor:
        total = grads[0].clone()
        dist.all_reduce(total)
        return total


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with the statistics of all processes' equal shares; state as `nn.BatchNorm2d`.

    torch's SyncBatchNorm runs on GPUs only. This one needs nothing but sums, so it runs over gloo as well. Mean and
    variance are summed one after the other: the variance about the true mean loses no digits.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training:
            return super().forward(input)
        processes = dist.get_world_size()
        x = input.float()
        mean = _Sum.apply(x.mean((0, 2, 3))) / processes
        centred = x - mean[:, None, None]
        variance = _Sum.apply(centred.square().mean((0, 2, 3))) / processes
        self._follow(mean.detach(), variance.detach(), x.numel() // x.shape[1] * processes)
        scale = torch.rsqrt(variance + self.eps) * self.weight
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(input.dtype)

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor, count: int) -> None:
        assert self.running_mean is not None and self.running_var is not None
        assert self.num_batches_tracked is not None and self.momentum is not None
        self.num_batches_tracked += 1
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance * (count / max(count - 1, 1)), self.momentum)


def share_statistics(model: nn.Module) -> None:
    """Turn every batch normalisation inside `model` into `SharedBatchNorm2d`, parameters and buffers kept."""
    for name, child in model.named_children():
        if type(child) is nn.BatchNorm2d:
            shared = SharedBatchNorm2d(child.num_features, child.eps, child.momentum)
            shared.weight, shared.bias = child.weight, child.bias
            shared._buffers.update(child._buffers)
            shared.train(child.training)
            setattr(model, name, shared)
        else:
            share_statistics(child)
