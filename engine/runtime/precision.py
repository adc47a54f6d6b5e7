"""Which arithmetic a network runs in. Knows torch's autocast; knows nothing of models."""

from contextlib import AbstractContextManager, nullcontext

import torch

from engine.errors import UsageError

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(name: str, device: torch.device) -> torch.dtype:
    """ "auto" is bf16 on CUDA devices that have it, else fp32.

    Raises UsageError for other names than auto, fp32, bf16, fp16, and for fp16 on a CPU.
    """
    if name == "auto":
        return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
    if name not in _DTYPES:
        raise UsageError(f"{name!r} is no precision", f"use auto, {', '.join(_DTYPES)}")
    if name == "fp16" and device.type == "cpu":
        raise UsageError("fp16 needs a GPU", "use --precision fp32 or bf16 on a CPU")
    return _DTYPES[name]


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Run in `dtype` where that is safe; nothing happens for float32, so results there are exact."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)
