"""A very small MMPM, a very small SAM, and short runs: what a test of training can afford on one core."""

import dataclasses
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.models.mmpm.config import CONFIGS, ConvConfig
from engine.models.mmpm.network import MMPM
from engine.models.sam.config import SAMConfig
from engine.models.sam.network import build_sam
from engine.training.loop import Trainer
from engine.training.mmpm_task import MMPMTask
from engine.training.sam_task import SAMTask
from engine.training.scenes import Scenes, SceneSource
from engine.training.settings import TrainSettings
from engine.training.synthesis import SynthesisConfig, Synthesizer

TINY = dataclasses.replace(
    CONFIGS["mmpm-tiny"],
    image_side=32,
    feature_dim=16,
    key_dim=8,
    value_dim=16,
    hidden_dim=8,
    top_k=8,
    conv=ConvConfig(widths=(8, 8, 16, 16)),
)

SMALL = SAMConfig(
    "sam-small",
    "conv",
    image_side=64,
    stride=8,
    prompt_dim=32,
    mlp_dim=64,
    widths=(8, 16, 24, 32, 32),
    mask_in_chans=4,
    drawn_prompts=True,
    fine=4,
    prompted_widths=(8, 16, 16),
)


def settings(**more: Any) -> TrainSettings:
    """Two clips of three frames at 32 pixels, six steps."""
    plain = {"steps": 6, "batch": 2, "warmup": 2, "hard_from": 3, "hard_to": 6, "checkpoint_every": 2}
    return TrainSettings(**{**plain, "clips": SynthesisConfig(size=32, frames=3), **more})


def network() -> MMPM:
    """The same random weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return MMPM(TINY)


def trainer(checkpoint: Path, **more: Any) -> Trainer:
    """A run on synthetic clips."""
    wanted = settings(**more)
    clips = Synthesizer(wanted.clips, None, torch.Generator().manual_seed(wanted.seed))
    return Trainer(MMPMTask(network(), wanted), clips, wanted, checkpoint)


class OneBatch:
    """A source that gives one batch of drawn clips for ever."""

    def __init__(self, config: SynthesisConfig, clips: int, seed: int = 0) -> None:
        self.generator = torch.Generator().manual_seed(seed)
        self.images, self.masks = Synthesizer(config, None, self.generator).batch(clips)

    def batch(self, clips: int) -> tuple[Tensor, Tensor]:
        return self.images, self.masks


class OneScene:
    """The same pictures and masks for ever."""

    def __init__(self, config: SynthesisConfig) -> None:
        self.generator = torch.Generator().manual_seed(1)
        self.held = SceneSource(config, 3, None, self.generator).batch(2)

    def batch(self, clips: int) -> Scenes:
        return self.held


def sam_settings(**more: Any) -> TrainSettings:
    """For `OneScene`: two pictures of 64 pixels with three masks."""
    plain = {"model": "sam-tiny", "batch": 2, "learning_rate": 3e-3, "warmup": 10, "targets": 3}
    clips = SynthesisConfig(size=64, frames=2)
    return TrainSettings(**{**plain, "checkpoint_every": 1000, "clips": clips, **more})


def sam_task(wanted: TrainSettings) -> SAMTask:
    """The same random weights every time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return SAMTask(build_sam(SMALL), SMALL, wanted)
