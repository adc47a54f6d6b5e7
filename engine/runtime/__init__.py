"""The machine under the networks: device, precision, memory allocator, seeds, a memory limit, batches that fit."""

from engine.runtime.allocator import tune_allocator
from engine.runtime.batches import FittingBatches
from engine.runtime.device import describe_devices, resolve_device
from engine.runtime.memory import check_room, limit_memory, parse_size, resident
from engine.runtime.precision import autocast, resolve_precision
from engine.runtime.seeds import derive_seed, numpy_generator, torch_generator

__all__ = [
    "FittingBatches",
    "autocast",
    "check_room",
    "derive_seed",
    "describe_devices",
    "limit_memory",
    "numpy_generator",
    "parse_size",
    "resident",
    "resolve_device",
    "resolve_precision",
    "torch_generator",
    "tune_allocator",
]
