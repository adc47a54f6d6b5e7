"""Trackers around XMem and DEVA, from a file of weights or from none.

Knows networks and what a user may choose. Without a file the weights are random, as the caller's generator has it.
"""

from dataclasses import replace
from pathlib import Path

import torch

from engine.memory.long_term import LongTermOptions
from engine.models.deva.config import CONFIGS as DEVA_CONFIGS
from engine.models.deva.loading import load_deva
from engine.models.deva.network import DEVA
from engine.models.xmem.config import CONFIGS as XMEM_CONFIGS
from engine.models.xmem.loading import load_xmem
from engine.models.xmem.network import XMem
from engine.propagation.deva import DEVATracker
from engine.propagation.deva_detecting import DetectingTracker
from engine.propagation.deva_frames import DEVAFrames
from engine.propagation.options import MMPMOptions, refuse_meaningless
from engine.propagation.xmem import XMemTracker
from engine.propagation.xmem_frames import XMemFrames

XMEM_MODELS = tuple(XMEM_CONFIGS)
DEVA_MODELS = tuple(DEVA_CONFIGS)
_MEANT = ("interval", "memory_frames", "exclusive", "chunk", "top_k", "seed", "short_side", "compile", "graphs")
DEVA_TERMS = "DEVA's published weights are for non-commercial use (CC BY-NC-SA 4.0)"


def long_term(options: MMPMOptions, memory_frames: int, top_k: int) -> LongTermOptions:
    """XMem's options; deep updates happen at every memory frame there, whatever `deep_update` says."""
    most = max(options.memory_frames or memory_frames, 3)
    return LongTermOptions(options.top_k or top_k, most, max(most // 2, 2))


def make_xmem(
    model: str | None, weights: Path | None, device: torch.device, precision: torch.dtype, options: MMPMOptions
) -> tuple[XMemTracker, str]:
    """A tracker, and the name of its model, which is told from the file where none is given."""
    refuse_meaningless(options, model or "xmem", *_MEANT)
    network = XMem(XMEM_CONFIGS[str(model)]) if weights is None else load_xmem(weights, model or "xmem")
    config = network.config
    frames = XMemFrames(network, device, precision, options.chunk, options.exclusive)
    frames.short_side = options.short_side or config.short_side
    memory = long_term(options, config.memory_frames, config.top_k)
    return XMemTracker(frames, memory, options.interval or config.interval), config.name


def make_deva(
    weights: Path | None, device: torch.device, precision: torch.dtype, options: MMPMOptions
) -> tuple[DEVATracker, str]:
    """A tracker of given masks, and the name of its model."""
    frames, memory, interval = _deva(weights, device, precision, options)
    return DEVATracker(frames, memory, interval), "deva"


def make_detecting(
    weights: Path | None,
    device: torch.device,
    precision: torch.dtype,
    options: MMPMOptions,
    most_missed: int,
    most_objects: int,
) -> DetectingTracker:
    """A tracker that finds its objects, which always exclude each other."""
    frames, memory, interval = _deva(weights, device, precision, replace(options, exclusive=True))
    frames.antialias = False  # as published for this mode
    return DetectingTracker(frames, memory, interval, most_missed, most_objects)


def _deva(
    weights: Path | None, device: torch.device, precision: torch.dtype, options: MMPMOptions
) -> tuple[DEVAFrames, LongTermOptions, int]:
    refuse_meaningless(options, "deva", *_MEANT)
    network = DEVA(DEVA_CONFIGS["deva"]) if weights is None else load_deva(weights)
    config = network.config
    frames = DEVAFrames(network, device, precision, options.chunk, options.exclusive)
    frames.short_side = options.short_side or config.short_side
    return frames, long_term(options, config.memory_frames, config.top_k), options.interval or config.interval
