"""From the name of a model to a tracker that is ready to start.

Knows models and weights by name. Random weights are used only when asked for, and the result says so.
"""

import difflib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch

from engine.errors import CheckpointError, UsageError
from engine.flow.dis import DISFlow
from engine.memory.decisions import Decisions
from engine.models.mavos.config import CONFIGS as MAVOS_CONFIGS
from engine.models.mmpm.config import CONFIGS
from engine.models.mmpm.loading import load_mmpm
from engine.models.mmpm.network import MMPM
from engine.propagation.accelerating import accelerate
from engine.propagation.flow import FlowTracker
from engine.propagation.label_models import BMVOS_MODEL, BMVOS_TERMS, make_bmvos, make_mavos
from engine.propagation.mmpm import MMPMTracker
from engine.propagation.mmpm_frames import MMPMFrames
from engine.propagation.near import PreviousFrame
from engine.propagation.options import MMPMOptions, refuse_meaningless
from engine.propagation.sam_factory import MadeAsker, make_asker, make_sam_tracker
from engine.propagation.sam_options import MEANT, SAM_MODELS, SAMOptions
from engine.propagation.stm_factory import DEVA_MODELS, DEVA_TERMS, XMEM_MODELS, long_term, make_deva, make_xmem
from engine.propagation.tracker import Tracker
from engine.propagation.xmem import XMemTracker
from engine.weights.catalogue import CATALOGUE
from engine.weights.find import SUFFIXES, find_weights
from engine.weights.load import load_state_dict, model_description
from engine.weights.recognise import recognise

T = TypeVar("T")

FLOW_MODELS = ("dis",)
"""Trackers that need no weights: masks carried along by optical flow."""


class MadeTracker(NamedTuple):
    """A tracker and where it comes from. random_weights: it was never trained, its masks mean nothing."""

    tracker: Tracker
    model: str
    weights: Path | None
    random_weights: bool


class Request(NamedTuple):
    """What a tracker is made of. model: a name, None where the file of weights says it. weights: None for random.

    on_note: told, in words, what somebody should know of the run.
    """

    model: str | None
    weights: Path | None
    device: torch.device
    precision: torch.dtype
    options: MMPMOptions
    on_note: Callable[[str], None] = lambda note: None


class System(NamedTuple):
    """A family of models. looks: how `recognise` begins for its files. make: a tracker and the name of its model.

    terms: what its published weights may be used for, where that is less than everything.
    """

    names: tuple[str, ...]
    looks: tuple[str, ...]
    make: Callable[[Request], tuple[Tracker, str]]
    terms: str = ""


def make_tracker(
    model: str,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    options: MMPMOptions | None = None,
    random_weights: bool = False,
    sam_options: SAMOptions | None = None,
    asker: MadeAsker | None = None,
    on_note: Callable[[str], None] = lambda note: None,
) -> MadeTracker:
    """A tracker by the name of its model, with the weights of that name, or by a file of weights.

    random_weights: none at all, the same ones every time. sam_options: for SAM_MODELS, where `options` mean nothing;
    asker: the SAM that these ask, if it was made already. on_note: told, in words, what somebody should know of the
    run, such as terms of use. Raises UsageError for unknown models, CheckpointError for
    weights that are missing or unfit.
    """
    options = options or MMPMOptions()
    if model in (*FLOW_MODELS, *SAM_MODELS):
        refuse_meaningless(options, model, "exclusive", "chunk", "seed")
    if sam_options is not None:
        refuse_meaningless(sam_options, model, "sam", "exclusive", "chunk", "seed", *MEANT.get(model, ()))
    if model in FLOW_MODELS:
        return MadeTracker(FlowTracker(DISFlow(), options.exclusive), model, None, False)
    if model in SAM_MODELS:
        sam_options = sam_options or SAMOptions(exclusive=options.exclusive, chunk=options.chunk, seed=options.seed)
        made = asker or make_asker(sam_options.sam, device, precision, random_weights)
        return MadeTracker(make_sam_tracker(model, made, sam_options), model, made.weights, made.weights is None)
    name = check_model(model)
    path = None if random_weights else find_weights(model)
    system = _of_file(path) if name is None and path is not None else _of_name(name or _known(model))
    if system.terms and path is not None and not _is_ours(path):
        on_note(system.terms)
    tracker, called = system.make(Request(name, path, torch.device(device), precision, options, on_note))
    accelerate(getattr(tracker, "frames", None), options, torch.device(device), on_note)
    return MadeTracker(tracker, called, path, path is None)


def mmpm_tracker(
    network: MMPM,
    device: torch.device,
    precision: torch.dtype,
    options: MMPMOptions,
    decisions: Decisions | None = None,
) -> MMPMTracker | XMemTracker:
    """A tracker around an MMPM with the memory that the options name."""
    frames = MMPMFrames(network, device, precision, options.chunk, options.exclusive)
    if options.memory == "long-term":
        if options.offload:
            raise UsageError("--offload moves the temporal memory", "leave it or --memory long-term out")
        config = network.config
        memory = long_term(options, config.memory_frames, config.top_k or 30)
        return XMemTracker(frames, memory, options.interval or config.interval, near=PreviousFrame.of(frames))
    return MMPMTracker(frames, options, decisions)


def _mmpm(request: Request) -> tuple[Tracker, str]:
    if request.options.short_side is not None:
        raise UsageError("--short-side means nothing to MMPM, whose input has one size", "leave it out")
    if request.weights is None:
        network = seeded(lambda: MMPM(CONFIGS[str(request.model)]))
    else:
        network = load_mmpm(request.weights, request.model)
    return mmpm_tracker(network, request.device, request.precision, request.options), network.config.name


def _xmem(request: Request) -> tuple[Tracker, str]:
    asked = request
    return seeded(lambda: make_xmem(asked.model, asked.weights, asked.device, asked.precision, asked.options))


def _deva(request: Request) -> tuple[Tracker, str]:
    return seeded(lambda: make_deva(request.weights, request.device, request.precision, request.options))


def _mavos(request: Request) -> tuple[Tracker, str]:
    return seeded(lambda: make_mavos(*request))


def _bmvos(request: Request) -> tuple[Tracker, str]:
    return seeded(lambda: make_bmvos(request.weights, request.device, request.precision, request.options))


SYSTEMS = (
    System(tuple(CONFIGS), ("mmpm",), _mmpm),
    System(XMEM_MODELS, ("XMem",), _xmem),
    System(DEVA_MODELS, ("DEVA",), _deva, DEVA_TERMS),
    System(tuple(MAVOS_CONFIGS), ("MAVOS", "AOT"), _mavos),
    System((BMVOS_MODEL,), ("BMVOS",), _bmvos, BMVOS_TERMS),
)


def _of_name(model: str) -> System:
    return next(system for system in SYSTEMS if model in system.names)


def _of_file(path: Path) -> System:
    """The system whose network a file of weights holds."""
    looks = recognise(load_state_dict(path)[0])
    for system in SYSTEMS:
        if looks.startswith(system.looks):
            return system
    names = ", ".join(system.names[0] for system in SYSTEMS)
    hint = f"give it to --sam, with --model {', '.join(SAM_MODELS)}" if looks.startswith("sam") else None
    what = f"{path}: no tracker's weights, they look like {looks}"
    raise CheckpointError(what, hint or f"choose weights of {names}")


def _is_ours(path: Path) -> bool:
    """Whether a file was written by a training here: it says of what."""
    return path.suffix == ".safetensors" and bool(model_description(load_state_dict(path)[1], path))


def check_model(model: str) -> str | None:
    """The model's name, None for a file of weights. Raises UsageError for a name that no model has; opens nothing."""
    is_file = Path(model).suffix in SUFFIXES or Path(model).is_file()
    return None if is_file else _known(CATALOGUE[model].model if model in CATALOGUE else model)


def _known(model: str) -> str:
    """The name itself. Raises UsageError where nothing is called so."""
    names = [*(name for system in SYSTEMS for name in system.names), *SAM_MODELS, *FLOW_MODELS]
    if model not in names:
        near = difflib.get_close_matches(model, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(names)}, or a file of weights"
        raise UsageError(f"no model is called {model!r}", hint)
    return model


def seeded(make: Callable[[], T]) -> T:
    """The same random weights every time."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return make()
