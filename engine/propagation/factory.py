"""From the name of a model to a tracker that is ready to start.

Knows models and weights by name. Random weights are used only when asked for, and the result says so.
"""

import difflib
from pathlib import Path
from typing import NamedTuple

import torch

from engine.errors import UsageError
from engine.flow.dis import DISFlow
from engine.memory.decisions import Decisions
from engine.memory.long_term import LongTermOptions
from engine.models.mmpm.config import CONFIGS
from engine.models.mmpm.loading import load_mmpm
from engine.models.mmpm.network import MMPM
from engine.propagation.flow import FlowTracker
from engine.propagation.mmpm import MMPMTracker
from engine.propagation.mmpm_frames import MMPMFrames
from engine.propagation.mmpm_xmem import MMPMLongTermTracker
from engine.propagation.options import MMPMOptions
from engine.propagation.tracker import Tracker
from engine.weights.find import SUFFIXES, find_weights

FLOW_MODELS = ("dis",)
"""Trackers that need no weights: masks carried along by optical flow."""


class MadeTracker(NamedTuple):
    """A tracker and where it comes from. random_weights: it was never trained, its masks mean nothing."""

    tracker: Tracker
    model: str
    weights: Path | None
    random_weights: bool


def make_tracker(
    model: str,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    options: MMPMOptions | None = None,
    random_weights: bool = False,
) -> MadeTracker:
    """A tracker by the name of its model, with the weights of that name, or by a file of weights.

    random_weights: none at all, the same ones every time. Raises UsageError for unknown models, CheckpointError for
    weights that are missing or unfit.
    """
    options = options or MMPMOptions()
    if model in FLOW_MODELS:
        return MadeTracker(FlowTracker(DISFlow(), options.exclusive), model, None, False)
    is_file = Path(model).suffix in SUFFIXES or Path(model).is_file()
    name = None if is_file else _known(model)
    path = None if random_weights else find_weights(model)
    network = _random(_known(model)) if path is None else load_mmpm(path, name)
    tracker = mmpm_tracker(network, torch.device(device), precision, options)
    return MadeTracker(tracker, network.config.name, path, path is None)


def _known(model: str) -> str:
    """The name itself. Raises UsageError where nothing is called so."""
    names = [*CONFIGS, *FLOW_MODELS]
    if model not in names:
        near = difflib.get_close_matches(model, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(names)}, or a file of weights"
        raise UsageError(f"no model is called {model!r}", hint)
    return model


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
