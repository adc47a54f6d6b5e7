"""Mean, recall and decay against the reference lists, and the frame counts where that tool goes wrong."""

import evaluation_golden as golden
import numpy as np
import pytest

from engine.evaluation.statistics import decay, summarise

CASES = np.load(golden.GOLDEN / "case_stats.npz")


@pytest.mark.parametrize("i", range(len(CASES["lengths"])))
def test_equals_the_reference(i: int) -> None:
    got = summarise(CASES[f"x_{i}"])
    assert np.allclose([got.mean, got.recall, got.decay], CASES[f"s_{i}"], rtol=0, atol=1e-9, equal_nan=True)


@pytest.mark.parametrize("count", [256, 257, 1000, 20_000])
def test_decay_of_long_tracks_does_not_wrap(count: int) -> None:
    falling = np.linspace(1, 0, count)
    assert decay(falling) == pytest.approx(0.75, abs=1e-2)


def test_one_frame_does_not_decay() -> None:
    assert decay([0.4]) == 0


def test_recall_counts_frames_strictly_above_half() -> None:
    assert summarise([0.5, 0.51, float("nan"), 1.0]).recall == 0.5
