"""DIS flow: sign and order of its channels, and that every call is the same."""

import numpy as np

from engine.flow.dis import DISFlow


def noise(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (24, 32, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)


def test_flow_points_from_the_first_picture_into_the_second() -> None:
    first = noise()
    second = np.roll(first, (2, 3), (0, 1))  # two rows down, three columns right
    flow = DISFlow()(first, second)
    assert flow.shape == (2, 96, 128)
    assert flow.dtype == np.float32
    inner = flow[:, 16:-16, 16:-16]
    assert abs(np.median(inner[0]) - 3) < 0.3
    assert abs(np.median(inner[1]) - 2) < 0.3


def test_a_call_leaves_nothing_behind() -> None:
    flow = DISFlow()
    once = flow(noise(), np.roll(noise(), 2, 0))
    flow(noise(5), noise(6))
    assert np.array_equal(flow(noise(), np.roll(noise(), 2, 0)), once)
