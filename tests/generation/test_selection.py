"""Choosing at the decoder's resolution is choosing at full resolution, with few masks upsampled."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from engine.generation.selection import Comparison, consistent_iou, stable
from engine.masks.boxed import BoxedMask
from engine.models.sam.preprocess import Geometry
from engine.models.sam.upsampling import Upsampler


def smooth(seed: int, count: int, low: int, coarse: int) -> torch.Tensor:
    """Logits with blobs of about low / coarse cells."""
    noise = torch.randn(count, 1, coarse, coarse, generator=torch.Generator().manual_seed(seed))
    return 8 * F.interpolate(noise, (low, low), mode="bicubic", align_corners=False)[:, 0]


@pytest.mark.parametrize(
    ("height", "width", "side", "low"), [(120, 214, 256, 64), (96, 70, 256, 64), (90, 160, 384, 192)]
)
def test_the_winner_is_that_of_full_resolution(height: int, width: int, side: int, low: int) -> None:
    upsampler = Upsampler((low, low), Geometry.of(height, width, side))
    rng = np.random.default_rng(0)
    upsampled = candidates = 0
    for seed in range(40):
        inside = rng.random((height, width)) < 0.9
        logits = smooth(seed, 15, low, 6)
        # Near duplicates are what SAM gives: a few groups of almost equal masks.
        logits = logits[rng.integers(0, 4, 15)] + 0.3 * smooth(seed + 100, 15, low, 12)
        full = [BoxedMask.of(mask) for mask in (upsampler.full(logits) > 0).numpy()]
        carried = BoxedMask.of((upsampler.full(smooth(seed, 15, low, 6)[:1] + 0.5) > 0)[0].numpy())
        ious = [consistent_iou(mask, carried, inside) for mask in full]
        comparison = Comparison(upsampler, 0.0, inside)
        choice = comparison.best(logits, carried)
        assert choice is not None
        assert (choice.index, choice.iou) == (int(np.argmax(ious)), max(ious))
        assert np.array_equal(choice.mask.whole(height, width), full[choice.index].whole(height, width))
        assert comparison.best(logits, carried, max(ious) + 1e-4) is None
        assert comparison.best(logits, carried, max(ious)) is not None
        upsampled += comparison.upsampled
        candidates += 15
    assert upsampled < 0.8 * 3 * candidates


def test_of_equals_the_first_is_taken() -> None:
    upsampler = Upsampler((64, 64), Geometry.of(96, 128, 256))
    logits = smooth(0, 1, 64, 6).repeat(4, 1, 1)
    inside = np.ones((96, 128), np.bool_)
    carried = BoxedMask(10, 10, np.ones((30, 30), np.bool_))
    choice = Comparison(upsampler, 0.0, inside).best(logits, carried)
    assert choice is not None and choice.index == 0


def test_nineteen_of_twenty_is_not_stable() -> None:
    assert stable(np.array([19 / 20, 0.951, np.nan, 1.0, 0.2]), 0.95) == [1, 3]
