"""A SAM by name or file, ready to be asked on a device."""

from dataclasses import dataclass
from pathlib import Path

import torch

from engine.errors import UsageError
from engine.models.sam.config import CONFIGS, SAMConfig
from engine.models.sam.loading import load_sam
from engine.models.sam.network import build_sam
from engine.models.sam.prompting import Prompter
from engine.runtime.precision import resolve_precision
from engine.weights import find_weights


@dataclass(frozen=True)
class MadePrompter:
    """config: its sizes and what its masks have to pass; weights: the file they came from, None where random."""

    prompter: Prompter
    config: SAMConfig
    weights: Path | None

    @property
    def model(self) -> str:
        """Its name."""
        return self.config.name


def precision_of(config: SAMConfig, name: str, device: torch.device) -> torch.dtype:
    """The arithmetic that "auto" or another name stands for. On CPUs with bf16 "auto" is that for sam-tiny only: the
    published networks give there what segment-anything gives. Raises UsageError for a name that is none."""
    return resolve_precision(name, device, on_cpu=config.form == "conv")


def make_prompter(
    name: str,
    checkpoint: Path | None = None,
    device: torch.device | None = None,
    precision: torch.dtype | str = torch.float32,
    random_weights: bool = False,
) -> MadePrompter:
    """The SAM called so, or the one in a checkpoint. precision: or its name, see `precision_of`. random_weights:
    untrained, always the same.

    Raises CheckpointError where the weights are not here or fit no SAM, UsageError for a name that is none.
    """
    if checkpoint is None and name not in CONFIGS:
        raise UsageError(f"no SAM is called {name!r}", f"use one of {', '.join(CONFIGS)}, or --checkpoint FILE")
    if random_weights:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            sam, path, config = build_sam(CONFIGS[name]).eval(), None, CONFIGS[name]
    else:
        path = find_weights(checkpoint or name)
        sam, config = load_sam(path)
    place = device or torch.device("cpu")
    dtype = precision_of(config, precision, place) if isinstance(precision, str) else precision
    return MadePrompter(Prompter(sam.to(place), dtype), config, path)
