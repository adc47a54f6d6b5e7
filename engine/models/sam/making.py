"""A SAM by name or file, ready to be asked on a device."""

from dataclasses import dataclass
from pathlib import Path

import torch

from engine.errors import UsageError
from engine.models.sam.config import CONFIGS, SAMConfig
from engine.models.sam.loading import load_sam
from engine.models.sam.network import build_sam
from engine.models.sam.prompting import Prompter
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


def make_prompter(
    name: str,
    checkpoint: Path | None = None,
    device: torch.device | None = None,
    dtype: torch.dtype = torch.float32,
    random_weights: bool = False,
) -> MadePrompter:
    """The SAM called so, or the one in a checkpoint. random_weights: untrained, always the same.

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
    return MadePrompter(Prompter(sam.to(device or torch.device("cpu")), dtype), config, path)
