"""The numbers of a run: there and back again through plain values, and what makes no sense."""

import json
from itertools import pairwise
from typing import Any

import pytest

from engine.errors import UsageError
from engine.training.motion import MotionRange
from engine.training.optimisation import learning_rate
from engine.training.settings import TrainSettings
from engine.training.synthesis import SynthesisConfig


def test_there_and_back_through_json() -> None:
    settings = TrainSettings(steps=7, clips=SynthesisConfig(size=64, motion=MotionRange(fastest=0.5)))
    assert TrainSettings.from_dict(json.loads(json.dumps(settings.as_dict()))) == settings


@pytest.mark.parametrize(
    "wrong",
    [
        {"steps": 0},
        {"batch": 0},
        {"clips": SynthesisConfig(frames=1)},
        {"clips": SynthesisConfig(size=40)},
        {"clips": SynthesisConfig(size=16)},
        {"hard_from": 5, "hard_to": 5},
    ],
)
def test_values_that_make_no_sense(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="--"):
        TrainSettings(**wrong)


def test_learning_rate_rises_to_its_peak_and_falls_to_its_end() -> None:
    settings = TrainSettings(steps=100, warmup=10, learning_rate=1e-3, final_rate=1e-5)
    rates = [learning_rate(step, settings) for step in range(101)]
    assert rates[0] == pytest.approx(1e-4)
    assert rates[9] == rates[10] == pytest.approx(1e-3)
    assert all(a < b for a, b in pairwise(rates[:10]))
    assert all(a > b for a, b in pairwise(rates[10:]))
    assert rates[55] == pytest.approx((1e-3 + 1e-5) / 2)
    assert rates[100] == pytest.approx(1e-5)


def test_no_warmup_begins_at_the_peak() -> None:
    assert learning_rate(0, TrainSettings(warmup=0)) == pytest.approx(1e-3)
