"""Every number of a training run, as one record that travels with the weights."""

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from engine.errors import UsageError
from engine.training.motion import MotionRange
from engine.training.synthesis import SynthesisConfig

Schedule = Literal["cosine", "constant", "steps", "poly"]
SCHEDULES = ("cosine", "constant", "steps", "poly")
PRECISIONS = ("fp32", "bf16", "fp16")
STAGES = ("", "static", "video")


@dataclass(frozen=True)
class TrainSettings:
    """A run: what is trained (`model`), for how long, how fast, on what kind of clips.

    batch: clips a process and micro-step; one optimizer step takes batch x accumulate x processes of them.
    schedule: after the warm-up half a cosine down to `final_rate`, no change, a tenth at each of `milestones`, or a
    polynomial of power 0.9 down to `final_rate`, where the warm-up begins too.
    clip_norm: largest norm of the gradient, 0 for no bound. precision: fp32, or autocast to bf16 or fp16.
    hard_from, hard_to: steps between which the share of pixels that count falls from all to the hardest 15 %.
    deep_probability: chance that a later frame's value encoder updates the hidden state (docs/train.md).
    ema: decay of the weight average that is saved; 0 saves the weights themselves.
    freeze_encoder: the image encoder keeps its weights and its statistics.
    stage: "static" or "video" of the paper, "" for neither. objects: most tracks followed at once in one clip.
    min_score: tracks whose score is lower in any frame of a clip are left out of it; NaN counts as known to be good.
    targets, rounds: masks a picture and at most so many rounds of correction after the first prompt, of promptable
        models; step s has s modulo (rounds + 1) of them.
    augment: show clips in other sizes, crops, colours and mirrored, of models that read sentences.
    log_every, validate_every, checkpoint_every: steps between rows of the metrics, validations (0: none), checkpoints.
    """

    model: str = "mmpm-tiny"
    steps: int = 4000
    batch: int = 8
    accumulate: int = 1
    learning_rate: float = 1e-3
    final_rate: float = 1e-5
    schedule: Schedule = "cosine"
    milestones: tuple[int, ...] = ()
    weight_decay: float = 0.02
    warmup: int = 200
    clip_norm: float = 1.0
    ema: float = 0.998
    precision: str = "fp32"
    compile: bool = False
    freeze_encoder: bool = False
    deep_probability: float = 0.2
    hard_from: int = 500
    hard_to: int = 2000
    stage: str = ""
    objects: int = 1
    min_score: float = 0.0
    targets: int = 4
    rounds: int = 1
    seed: int = 0
    augment: bool = True
    log_every: int = 10
    validate_every: int = 0
    checkpoint_every: int = 200
    clips: SynthesisConfig = field(default_factory=SynthesisConfig)

    def __post_init__(self) -> None:
        if self.steps < 1 or self.batch < 1 or self.accumulate < 1:
            what = f"--steps {self.steps} --batch {self.batch} --accumulate {self.accumulate}"
            raise UsageError(what, "all must be at least 1")
        if self.hard_from >= self.hard_to:
            raise UsageError(f"--hard-from {self.hard_from} --hard-to {self.hard_to}", "the first must be smaller")
        if self.clips.frames < 2:
            raise UsageError(f"--frames {self.clips.frames}", "a clip needs at least 2 frames")
        if self.clips.size < 32 or self.clips.size % 16:
            raise UsageError(f"--size {self.clips.size}", "the side of a clip is a multiple of 16, at least 32")
        if not 0 <= self.ema < 1:
            raise UsageError(f"--ema {self.ema:g}", "a decay is at least 0 and below 1")
        for name, value, known in (
            ("schedule", self.schedule, SCHEDULES),
            ("precision", self.precision, PRECISIONS),
            ("stage", self.stage, STAGES),
        ):
            if value not in known:
                raise UsageError(f"--{name} {value}", f"use one of {', '.join(filter(None, known))}")
        if self.schedule == "steps" and not self.milestones:
            raise UsageError("--schedule steps without --milestones", "say at which steps the rate falls to a tenth")

    def as_dict(self) -> dict[str, Any]:
        """Plain values, for the checkpoint and the model's provenance."""
        return {**asdict(self), "milestones": list(self.milestones)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "TrainSettings":
        """The inverse of `as_dict`; what an older version did not write keeps its default."""
        clips = dict(values["clips"])
        clips["motion"] = MotionRange(**clips["motion"])
        plain = {**values, "milestones": tuple(values.get("milestones", ()))}
        return cls(**{**plain, "clips": SynthesisConfig(**clips)})
