"""Trackers that ask SAM, by name, around any SAM. Knows models and weights by name."""

from dataclasses import dataclass
from pathlib import Path

import torch

from engine.errors import UsageError
from engine.models.flow import make_flow
from engine.models.persam.video_form import Largest
from engine.models.sam.asking import Asker
from engine.models.sam.automatic import ProposalSettings
from engine.models.sam.config import CONFIGS, SAMConfig
from engine.models.sam.making import make_prompter
from engine.models.sampt.chain import FlowChain
from engine.models.sampt.cotracker import VERSIONS, load_cotracker
from engine.models.sampt.queries import PointChoice
from engine.models.sampt.readout import ReadOut
from engine.models.sampt.tracks import PointTracker
from engine.propagation.persam import PerSAMTracker
from engine.propagation.sam_iou import SAMIoUTracker
from engine.propagation.sam_options import SAMOptions
from engine.propagation.sampt import SAMPTTracker
from engine.propagation.tracker import Tracker
from engine.weights.find import SUFFIXES

POINT_TRACKERS = ("flow", *VERSIONS)
_REFINEMENTS, _REFINEMENTS_LIGHT, _IOU_THRESHOLD = 12, 3, 0.7


@dataclass(frozen=True)
class MadeAsker:
    """A SAM that takes any question. config: its sizes; weights: the file they came from, None where random."""

    asker: Asker
    config: SAMConfig
    weights: Path | None


def make_asker(
    sam: str,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    random_weights: bool = False,
) -> MadeAsker:
    """The SAM of a name or of a file. random_weights: untrained, always the same.

    Raises UsageError for a name that is none, CheckpointError where weights are missing or fit no SAM.
    """
    is_file = Path(sam).suffix in SUFFIXES or Path(sam).is_file()
    if not is_file and sam not in CONFIGS:
        raise UsageError(f"no SAM is called {sam!r}", f"use one of {', '.join(CONFIGS)}, or a file of weights")
    made = make_prompter(sam, Path(sam) if is_file else None, torch.device(device), precision, random_weights)
    return MadeAsker(Asker(made.prompter, precision), made.config, made.weights)


def make_sam_tracker(model: str, made: MadeAsker, options: SAMOptions) -> Tracker:
    """The tracker of SAM_MODELS called `model`."""
    if model == "sam-iou":
        return SAMIoUTracker(made.asker, _proposals(made.config, options.grid), options.exclusive)
    if model == "sam-pt":
        return _sampt(made, options)
    return PerSAMTracker(
        made.asker,
        options.form,
        fit=model == "persam-f",
        largest=Largest(options.area == "modulo"),
        exclusive=options.exclusive,
        chunk=options.chunk,
    )


def make_point_tracker(name: str, flow: str, device: torch.device) -> PointTracker:
    """Raises UsageError for other names than POINT_TRACKERS, and what their parts raise."""
    if name == "flow":
        return FlowChain(make_flow(flow, device))
    if name not in VERSIONS:
        raise UsageError(f"no point tracker is called {name!r}", f"use one of {', '.join(POINT_TRACKERS)}")
    return load_cotracker(name, device)


def _sampt(made: MadeAsker, options: SAMOptions) -> SAMPTTracker:
    refinements, threshold = options.refinements, options.iou_threshold
    if refinements is None:
        refinements = _REFINEMENTS if made.config.form == "vit" else _REFINEMENTS_LIGHT
    if threshold is None:
        threshold = min(_IOU_THRESHOLD, made.config.predicted_iou)
    how = ReadOut(options.positive_points, options.negative_points, refinements, threshold)
    points = make_point_tracker(options.point_tracker, options.flow, made.asker.device)
    choice = PointChoice(seed=options.seed)
    return SAMPTTracker(made.asker, points, how, choice, options.exclusive, options.chunk)


def _proposals(config: SAMConfig, grid: int) -> ProposalSettings:
    """What SAM's masks have to pass belongs to the SAM that makes them."""
    return ProposalSettings(
        grid,
        predicted_iou=config.predicted_iou,
        stability=config.stability,
        stability_offset=config.stability_offset,
    )
