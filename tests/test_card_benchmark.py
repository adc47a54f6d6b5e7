"""The benchmark of propagation on a card, rehearsed on the processor with small pictures."""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import propagate_card

    yield propagate_card
    for name in ("propagate_card", "plain_mmpm", "drawn"):
        sys.modules.pop(name, None)


def given(**more: Any) -> argparse.Namespace:
    usual = {"device": "cpu", "models": ["mmpm-tiny"], "counts": [2], "precisions": ["fp32", "bf16"]}
    return argparse.Namespace(**{**usual, "size": [54, 96], "side": 96, "frames": 13, "peak": 2.0, **more})


def test_a_rehearsal_measures_what_a_card_would_be_measured_by(bench: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = ("eager", "eager, nothing sent ahead", "graphs")  # the compiled ones take a minute of C++
    monkeypatch.setattr(bench, "WAYS", {way: bench.WAYS[way] for way in ways})
    found = bench.card(given())
    assert found["frame"] == "96x54" and found["mmpm-tiny"]["trained"] is False
    for name in ("2 tracks, fp32", "2 tracks, bf16"):
        row = found["mmpm-tiny"][name]
        assert row["GFLOP a frame"] > 0.1 and row["plain"]["frames/s"] > 0
        for way in ways[:2]:
            share = row["GFLOP a frame"] * row[way]["frames/s"] / 2000
            assert row[way]["of the peak"] == pytest.approx(share) and row[way]["notes"] == []
        assert "CUDA" in row["graphs"]["not run"][0]
    assert found["decode, frames/s"]["processor"] > 0


def test_operations_are_counted(bench: Any) -> None:
    """More tracks cost more, by as much for each: what they share is counted once."""
    network, _ = bench.network_of("mmpm-tiny", 96)
    counts = [bench.counted(given(frames=12), network, n, torch.device("cpu")) for n in (1, 2, 3)]
    assert counts[0] < counts[1] < counts[2]
    assert counts[2] - counts[1] == pytest.approx(counts[1] - counts[0], rel=1e-6)


def test_agreement_and_peaks(bench: Any) -> None:
    masks = np.zeros((4, 8), np.bool_)
    masks[:2] = True
    other = masks.copy()
    other[2] = True
    first, full, more = ({1: np.packbits(each)} for each in (~masks, masks, other))
    assert bench.agreement([first, full, more], [full, full, full]) == pytest.approx((1 + 2 / 3) / 2)
    assert bench.peak(torch.device("cpu"), torch.float32, None) is None
    assert bench.peak(torch.device("cpu"), torch.float32, 3.0) == 3e12
    keys = list(bench.PEAK)  # the first that a card's name contains counts
    assert keys.index("H100 PCIe") < keys.index("H100") and keys.index("L40S") < keys.index("L4")
