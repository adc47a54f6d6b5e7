"""DEVA and a SAM put together to find and follow objects, by name.

Knows models and weights by name. Random weights are used only when asked for, and the result says so.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from engine.errors import UsageError
from engine.models.sam.automatic import ProposalSettings
from engine.propagation.accelerating import accelerate
from engine.propagation.deva_online import SemiOnline
from engine.propagation.factory import seeded
from engine.propagation.options import MMPMOptions
from engine.propagation.proposed import ProposalDetector, asked_of_sam
from engine.propagation.sam_factory import make_asker
from engine.propagation.stm_factory import DEVA_MODELS, DEVA_TERMS, make_detecting
from engine.weights.find import SUFFIXES, find_weights


@dataclass(frozen=True)
class DetectingOptions:
    """every: frames between two looks. voting: frames of one look that vote; 1 takes a single frame's word.

    most_missed: an object that more looks in a row do not see any more ends. most_objects: looks that would lead to
    more are ignored. grid: points on each side that SAM is asked at. large_first: small proposals lose against large
    ones instead of winning. as_published: what is followed is foreseen as the published program does it.
    """

    every: int = 5
    voting: int = 3
    most_missed: int = 5
    most_objects: int = 200
    grid: int = 64
    large_first: bool = False
    as_published: bool = False

    def __post_init__(self) -> None:
        """Raises UsageError for numbers below 1."""
        for name in ("every", "voting", "most_objects", "grid"):
            if getattr(self, name) < 1:
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)} is below 1", "give a positive number")


@dataclass(frozen=True)
class MadeLoop:
    """A loop and where it comes from; weights are None where they are random, and masks then mean nothing."""

    loop: SemiOnline
    model: str
    weights: Path | None
    sam: str
    sam_weights: Path | None


def make_loop(
    model: str,
    sam: str,
    device: torch.device,
    precision: torch.dtype,
    sam_precision: torch.dtype,
    options: MMPMOptions,
    detecting: DetectingOptions,
    random_weights: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
) -> MadeLoop:
    """DEVA by name or file, and a SAM by name or file. random_weights: of DEVA; SAM keeps its own.

    on_note: told, in words, what somebody should know of the run. Raises UsageError for models that find nothing,
    CheckpointError for weights that are missing or unfit.
    """
    is_file = Path(model).suffix in SUFFIXES or Path(model).is_file()
    if not is_file and model not in DEVA_MODELS:
        raise UsageError(f"{model} follows what it is given, it finds nothing", "give --model deva, or masks")
    weights = None if random_weights else find_weights(model)
    if weights is not None:
        on_note(DEVA_TERMS)
    missed, most = detecting.most_missed, detecting.most_objects
    tracker = seeded(lambda: make_detecting(weights, device, precision, options, missed, most))
    accelerate(tracker.frames, options, device, on_note)
    asker = make_asker(sam, device, sam_precision)
    config = asker.config
    proposals = ProposalSettings(
        detecting.grid,
        predicted_iou=config.predicted_iou,
        stability=config.stability,
        stability_offset=config.stability_offset,
    )
    ask = asked_of_sam(asker.asker.prompter, proposals)
    detector = ProposalDetector(ask, detecting.grid, detecting.large_first)
    loop = SemiOnline(tracker, detector, detecting.every, detecting.voting, True, detecting.as_published)
    return MadeLoop(loop, "deva", weights, config.name, asker.weights)
