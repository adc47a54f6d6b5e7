"""Which arithmetic a network runs in. Knows torch's autocast; knows nothing of models."""

from contextlib import AbstractContextManager, nullcontext

import torch

from engine.errors import UsageError
from engine.runtime import onednn

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def resolve_precision(name: str, device: torch.device, on_cpu: bool = False) -> torch.dtype:
    """ "auto" is bf16 on CUDA devices that have it, else fp32. on_cpu: on CPUs that multiply bf16 natively too.

    Raises UsageError for other names than auto, fp32, bf16, fp16, and for fp16 on a CPU.
    """
    if name == "auto":
        return torch.bfloat16 if _has_bfloat16(device, on_cpu) else torch.float32
    if name not in _DTYPES:
        raise UsageError(f"{name!r} is no precision", f"use auto, {', '.join(_DTYPES)}")
    if name == "fp16" and device.type == "cpu":
        raise UsageError("fp16 needs a GPU", "use --precision fp32 or bf16 on a CPU")
    return _DTYPES[name]


def _has_bfloat16(device: torch.device, on_cpu: bool) -> bool:
    if device.type == "cpu":
        return on_cpu and onednn.has_bfloat16()
    return device.type == "cuda" and torch.cuda.is_bf16_supported()


def autocast(device: torch.device, dtype: torch.dtype) -> AbstractContextManager[object]:
    """Run in `dtype` where that is safe; nothing happens for float32, so results there are exact."""
    return nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype=dtype)
