"""How MAVOS, BMVOS and SgMg were trained, as numbers: what holds where the user says nothing else (docs/mavos.md,
bmvos.md, sgmg.md).

Where a run is shorter than the published one, what is counted in steps shrinks with it.
"""

from collections.abc import Mapping
from typing import Any

_MAVOS: dict[str, Any] = {
    "steps": 100_000,
    "batch": 16,
    "frames": 8,
    "size": 464,
    "learning_rate": 5e-5,
    "final_rate": 1e-5,
    "schedule": "poly",
    "weight_decay": 0.07,
    "clip_norm": 5.0,
    "ema": 0.9999,
    "hard_from": 0,
    "seed": 0,
}
_MAVOS_STATIC = {**_MAVOS, "learning_rate": 4e-4, "final_rate": 2e-5, "weight_decay": 0.03}
_BMVOS: dict[str, Any] = {
    "steps": 64_000,
    "batch": 16,
    "frames": 5,
    "size": 384,
    "learning_rate": 1e-4,
    "schedule": "constant",
    "weight_decay": 0.0,
    "warmup": 0,
    "clip_norm": 0.0,
    "ema": 0.0,
    "seed": 0,
}
_BMVOS_VIDEO = {**_BMVOS, "batch": 8, "frames": 10}
_SGMG: dict[str, Any] = {
    "steps": 100_000,
    "batch": 1,
    "frames": 5,
    "size": 384,
    "learning_rate": 1e-4,
    "schedule": "steps",
    "weight_decay": 5e-4,
    "warmup": 0,
    "clip_norm": 0.1,
    "ema": 0.0,
}

RECIPES: dict[str, dict[str, dict[str, Any]]] = {
    "mavos": {
        "static": _MAVOS_STATIC,
        "video": {**_MAVOS, "final_rate": 2e-5},
    },
    "mavos-r50": {"static": _MAVOS_STATIC, "video": _MAVOS},
    "mavos-swinb": {"static": _MAVOS_STATIC, "video": _MAVOS},
    "bmvos": {"static": _BMVOS, "video": _BMVOS_VIDEO},
    "sgmg-t": {"video": _SGMG},
    "sgmg-b": {"video": _SGMG},
    "sgmg-tiny": {"video": {**_SGMG, "steps": 1000, "size": 144, "learning_rate": 1e-3}},
}
"""By model, then by stage: on pictures, on videos."""


def recipe(model: str, stage: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values of settings by their names; nothing for models that have no recipe. Without a stage: that of videos."""
    values = dict(RECIPES.get(model, {}).get(stage or "video", {}))
    if values.get("schedule") == "poly":
        steps = given.get("steps") or values["steps"]
        values |= {"warmup": steps // 20, "hard_to": max(steps // 2, 1)}
    if values.get("schedule") == "steps":
        steps = given.get("steps") or values["steps"]
        values |= {"milestones": (max(steps // 2, 1), max(steps * 5 // 6, 1))}
    return values


def freezes_encoder(model: str, trained: bool) -> bool:
    """Whether an encoder keeps its weights. trained: it does not start from nothing."""
    return (model == "bmvos" or model.startswith("sgmg")) and trained
