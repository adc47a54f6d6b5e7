"""The paper's two stages as numbers: what holds where the user says nothing else (docs/train.md, "The two stages").

Knows names of settings and their values; what the stages do with data is in `pairs` and `videos`.
"""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from engine.errors import UsageError
from engine.training.recipes import recipe
from engine.training.settings import STAGES, TrainSettings
from engine.training.synthesis import SynthesisConfig

NEVER = 200_000_000
"""A step that no run reaches: bootstrapping that begins there never begins."""

_PUBLISHED: dict[str, Any] = {
    "learning_rate": 1e-5,
    "schedule": "constant",
    "weight_decay": 0.05,
    "warmup": 0,
    "clip_norm": 0.0,
    "ema": 0.0,
    "seed": 14159265,
    "checkpoint_every": 1000,
    "size": 384,
    "frames": 3,
    "objects": 1,
}

STAGE_DEFAULTS: dict[str, dict[str, Any]] = {
    "": {},
    "static": {**_PUBLISHED, "steps": 200_000, "batch": 3, "hard_from": 200_000, "hard_to": 700_000},
    "video": {
        **_PUBLISHED,
        "steps": 250_000,
        "batch": 4,
        "hard_from": NEVER,
        "hard_to": NEVER + 1,
        "min_score": 0.9,
    },
}
"""By stage, then by the name of a setting; `size` and `frames` are those of the clips."""


def settings_for(stage: str, given: Mapping[str, Any]) -> TrainSettings:
    """Settings of a run: what is given and not None, else what the model's recipe or the stage says, else what
    TrainSettings says.

    given: by the names of TrainSettings, and `size` and `frames` of the clips. Raises UsageError for values that make
    no sense.
    """
    if stage not in STAGES:
        raise UsageError(f"--stage {stage}", f"use one of {', '.join(filter(None, STAGES))}")
    usual = recipe(str(given.get("model")), stage, given) or STAGE_DEFAULTS[stage]
    values = usual | {name: value for name, value in given.items() if value is not None}
    clips = {name: values.pop(name) for name in ("size", "frames") if name in values}
    known = {field.name for field in fields(TrainSettings)}
    assert values.keys() <= known, values.keys() - known
    return TrainSettings(stage=stage, clips=replace(SynthesisConfig(), **clips), **values)
