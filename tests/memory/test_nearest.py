"""The nearest positions against torch's top-k."""

import pytest
import torch
from torch import Tensor

from engine.memory.nearest import nearest, smallest


def drawn(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(len(shape))).to(dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
@pytest.mark.parametrize(("places", "k"), [(5, 5), (5, 9), (64, 32), (700, 1), (66_000, 3)])
def test_the_smallest_few(dtype: torch.dtype, places: int, k: int) -> None:
    distances = drawn(4, places, dtype=dtype)
    values, at = smallest(distances, k)
    assert torch.equal(values, distances.gather(1, at))
    assert torch.equal(values.sort(1).values, distances.topk(min(k, places), 1, largest=False).values)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(("frames", "k"), [(1, 4), (3, 4), (7, 30), (2, 200), (3, 1000)])
def test_the_nearest_over_frames(dtype: torch.dtype, frames: int, k: int) -> None:
    distances = drawn(frames, 9, 150, dtype=dtype)
    values, at = nearest(list(distances), k)
    together = distances.transpose(0, 1).flatten(1)
    assert torch.equal(values, together.gather(1, at))
    wanted = together.topk(min(k, frames * 150), 1, largest=False).values
    assert torch.equal(values.sort(1).values, wanted)


def test_zeros_of_both_signs_are_nearest() -> None:
    distances = torch.ones(1, 50)
    distances[0, 7], distances[0, 31] = 0.0, -0.0
    assert sorted(smallest(distances, 2)[1][0].tolist()) == [7, 31]
