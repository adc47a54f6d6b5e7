"""Which device computes. Knows torch's devices; knows nothing of models."""

import re

import torch

from engine.errors import UsageError

_CPU_HINT = "use --device cpu, or install a torch build for this machine's accelerator"


def resolve_device(name: str = "auto") -> torch.device:
    """ "auto" takes CUDA, else MPS, else the CPU. "cuda" is the current CUDA device, "cuda:N" the N-th.

    Raises UsageError for other names and for devices that this machine does not have.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "mps" if _has_mps() else "cpu")
    if not re.fullmatch(r"cpu|mps|cuda(:\d+)?", name):
        raise UsageError(f"{name!r} is no device", "use auto, cpu, cuda, cuda:N or mps")
    device = torch.device(name)
    if device.type == "cuda":
        _check_cuda(device)
    if device.type == "mps" and not _has_mps():
        raise UsageError("no MPS device on this machine", _CPU_HINT)
    return device


def describe_devices() -> list[tuple[str, str]]:
    """(name, description) of every device that `resolve_device` accepts here."""
    found = [("cpu", f"{torch.get_num_threads()} threads, {torch.backends.cpu.get_cpu_capability()}")]
    for index in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(index)
        found.append((f"cuda:{index}", f"{card.name}, {card.total_memory / 2**30:.0f} GiB"))
    if _has_mps():
        found.append(("mps", "Apple GPU"))
    return found


def _has_mps() -> bool:
    return torch.backends.mps.is_available()


def _check_cuda(device: torch.device) -> None:
    if not torch.cuda.is_available():
        raise UsageError("no CUDA device on this machine", _CPU_HINT)
    count = torch.cuda.device_count()
    if device.index is not None and device.index >= count:
        raise UsageError(f"no device {device}: this machine has {count}", f"use cuda:0 to cuda:{count - 1}, or auto")
