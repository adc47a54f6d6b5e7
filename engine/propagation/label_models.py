"""MAVOS and BMVOS made into trackers: options that mean something to them, weights or random ones."""

from collections.abc import Callable
from pathlib import Path

import torch

from engine.models.bmvos.loading import MODEL as BMVOS_MODEL
from engine.models.bmvos.loading import load_bmvos
from engine.models.bmvos.network import BMVOS
from engine.models.mavos.config import CONFIGS as MAVOS_CONFIGS
from engine.models.mavos.loading import load_mavos
from engine.models.mavos.network import MAVOS
from engine.propagation.bmvos import BMVOSTracker
from engine.propagation.bmvos_frames import BMVOSFrames
from engine.propagation.mavos import MAVOSTracker
from engine.propagation.mavos_frames import MAVOSFrames
from engine.propagation.options import MMPMOptions, refuse_meaningless

BMVOS_TERMS = "the published weights of BMVOS are for non-commercial research only"


def make_mavos(
    model: str | None,
    weights: Path | None,
    device: torch.device,
    precision: torch.dtype,
    options: MMPMOptions,
    on_note: Callable[[str], None] = lambda note: None,
) -> tuple[MAVOSTracker, str]:
    """A tracker and the name of its model. on_note: told, in words, what somebody should know of the run."""
    refuse_meaningless(options, model or "MAVOS", "interval", "exclusive", "chunk", "seed", "compile", "graphs")
    network = MAVOS(MAVOS_CONFIGS[str(model)]) if weights is None else load_mavos(weights, model)
    frames = MAVOSFrames(network, device, precision, options.exclusive)
    interval = options.interval or network.config.interval
    return MAVOSTracker(frames, interval, options.chunk, on_note), network.config.name


def make_bmvos(
    weights: Path | None, device: torch.device, precision: torch.dtype, options: MMPMOptions
) -> tuple[BMVOSTracker, str]:
    """A tracker and the name of its model."""
    refuse_meaningless(options, BMVOS_MODEL, "exclusive", "chunk", "seed", "compile", "graphs")
    network = BMVOS() if weights is None else load_bmvos(weights)
    frames = BMVOSFrames(network, device, precision, options.exclusive)
    return BMVOSTracker(frames, options.chunk), BMVOS_MODEL
