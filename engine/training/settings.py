"""Every number of a training run, as one record that travels with the weights."""

from dataclasses import asdict, dataclass, field
from typing import Any

from engine.errors import UsageError
from engine.training.motion import MotionRange
from engine.training.synthesis import SynthesisConfig


@dataclass(frozen=True)
class TrainSettings:
    """A run: what is trained (`model`), for how long, how fast, on what kind of clips.

    hard_from, hard_to: steps between which the share of pixels that count falls from all to the hardest 15 %.
    deep_probability: chance that a later frame's value encoder updates the hidden state (docs/train.md).
    ema: decay of the weight average that is saved.
    targets, rounds: masks a picture and rounds of correction after the first prompt, of promptable models.
    """

    model: str = "mmpm-tiny"
    steps: int = 4000
    batch: int = 8
    learning_rate: float = 1e-3
    final_rate: float = 1e-5
    weight_decay: float = 0.02
    warmup: int = 200
    clip_norm: float = 1.0
    ema: float = 0.998
    deep_probability: float = 0.2
    hard_from: int = 500
    hard_to: int = 2000
    targets: int = 4
    rounds: int = 1
    seed: int = 0
    checkpoint_every: int = 200
    clips: SynthesisConfig = field(default_factory=SynthesisConfig)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1:
            raise UsageError(f"--steps {self.steps} --batch {self.batch}", "both must be at least 1")
        if self.hard_from >= self.hard_to:
            raise UsageError(f"--hard-from {self.hard_from} --hard-to {self.hard_to}", "the first must be smaller")
        if self.clips.frames < 2:
            raise UsageError(f"--frames {self.clips.frames}", "a clip needs at least 2 frames")
        if self.clips.size < 32 or self.clips.size % 16:
            raise UsageError(f"--size {self.clips.size}", "the side of a clip is a multiple of 16, at least 32")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the checkpoint and the model's provenance."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainSettings":
        """The inverse of `as_dict`."""
        clips = dict(values["clips"])
        clips["motion"] = MotionRange(**clips["motion"])
        return cls(**{**values, "clips": SynthesisConfig(**clips)})
