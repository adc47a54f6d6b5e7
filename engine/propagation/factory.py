"""From the name of a model to a tracker that is ready to start.

Knows models and weights by name. Random weights are used only when asked for, and the result says so.
"""

from pathlib import Path
from typing import NamedTuple

import torch

from engine.memory.decisions import Decisions
from engine.memory.long_term import LongTermOptions
from engine.models.mmpm.config import CONFIGS
from engine.models.mmpm.loading import load_mmpm
from engine.models.mmpm.network import MMPM
from engine.models.registry import family_of
from engine.propagation.mmpm import MMPMTracker
from engine.propagation.mmpm_frames import MMPMFrames
from engine.propagation.mmpm_xmem import MMPMLongTermTracker
from engine.propagation.options import MMPMOptions
from engine.propagation.tracker import Tracker
from engine.weights.find import find_weights


class MadeTracker(NamedTuple):
    """A tracker and where it comes from. random_weights: it was never trained, its masks mean nothing."""

    tracker: Tracker
    model: str
    weights: Path | None
    random_weights: bool


def make_tracker(
    model: str,
    weights: str | Path | None = None,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    options: MMPMOptions | None = None,
    random_weights: bool = False,
) -> MadeTracker:
    """A tracker of this model.

    weights: a file or a catalogue name; None takes those that bear the model's name. random_weights: none at all, the
    same ones every time. Raises UsageError for unknown models, CheckpointError for weights that are missing or unfit.
    """
    family_of(model)
    path = None if random_weights else find_weights(weights or model)
    network = _random(model) if path is None else load_mmpm(path, model)
    tracker = mmpm_tracker(network, torch.device(device), precision, options or MMPMOptions())
    return MadeTracker(tracker, model, path, path is None)


def mmpm_tracker(
    network: MMPM,
    device: torch.device,
    precision: torch.dtype,
    options: MMPMOptions,
    decisions: Decisions | None = None,
) -> MMPMTracker | MMPMLongTermTracker:
    """A tracker around an MMPM with the memory that the options name."""
    frames = MMPMFrames(network, device, precision, options.chunk, options.exclusive)
    if options.memory == "long-term":
        return MMPMLongTermTracker(frames, _long_term(network, options), options.interval or network.config.interval)
    return MMPMTracker(frames, options, decisions)


def _long_term(network: MMPM, options: MMPMOptions) -> LongTermOptions:
    """XMem's options; deep updates happen at every memory frame there, whatever `deep_update` says."""
    most = max(options.memory_frames or network.config.memory_frames, 3)
    return LongTermOptions(options.top_k or network.config.top_k or 30, most, max(most // 2, 2))


def _random(model: str) -> MMPM:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MMPM(CONFIGS[model])
