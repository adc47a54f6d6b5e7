"""The knock-out against torch's top-k."""

import pytest
import torch

from engine.memory.largest import largest


@pytest.mark.parametrize(("positions", "k"), [(5, 5), (64, 32), (641, 32), (2040, 32), (8161, 7), (20399, 30)])
def test_the_largest_few(positions: int, k: int) -> None:
    scores = torch.randn(positions, 9, generator=torch.Generator().manual_seed(positions))
    values, at = largest(scores, k)
    assert torch.equal(values, scores.T.gather(1, at))
    assert torch.equal(values.sort(1).values, scores.T.topk(k, 1).values.sort(1).values)


def test_scores_of_minus_infinity_lose() -> None:
    scores = torch.full((3000, 4), float("-inf"))
    scores[1234:1240] = torch.arange(24.0).view(6, 4)
    values, at = largest(scores, 6)
    assert torch.equal(at.sort(1).values, torch.arange(1234, 1240).expand(4, 6))
    assert torch.isfinite(values).all()
