"""The machine under the networks: device, precision, memory allocator, seeds, batches that fit."""

from engine.runtime.allocator import tune_allocator
from engine.runtime.batches import FittingBatches
from engine.runtime.device import describe_devices, resolve_device
from engine.runtime.precision import autocast, resolve_precision
from engine.runtime.seeds import derive_seed, numpy_generator, torch_generator

__all__ = [
    "FittingBatches",
    "autocast",
    "derive_seed",
    "describe_devices",
    "numpy_generator",
    "resolve_device",
    "resolve_precision",
    "torch_generator",
    "tune_allocator",
]
