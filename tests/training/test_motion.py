"""Movement: frame 0 is where it was placed, later frames move within bounds, seeds decide."""

import torch

from engine.training.motion import MotionRange, deformations, sampling_grid, trajectories

STILL = MotionRange(slowest=1e-9, fastest=1e-8, rotation=0, zoom=0)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_frame_0_does_not_move() -> None:
    moved = trajectories(5, 3, 4, MotionRange(), seeded())
    assert moved.shape == (5, 3, 4, 2, 3)
    assert torch.equal(moved[:, :, 0], torch.eye(2, 3).expand(5, 3, 2, 3))
    assert not torch.equal(moved[:, :, 1], moved[:, :, 0])
    bent = deformations(6, 4, 16, 0.05, seeded())
    assert bent.shape == (6, 4, 16, 16, 2)
    assert not bent[:, 0].any()
    assert bent[:, 1].any()


def test_a_step_is_as_long_as_the_speed() -> None:
    limits = MotionRange(slowest=0.01, fastest=0.1)
    places = trajectories(40, 2, 6, limits, seeded())[..., 2]
    steps = (places[:, :, 1:] - places[:, :, :-1]).norm(dim=-1)
    assert steps.min() >= 0.01 - 1e-6
    assert steps.max() <= 0.1 + 1e-6
    assert torch.allclose(steps, steps[:, :, :1].expand_as(steps), atol=1e-6), "a layer keeps its speed"


def test_seeds_decide() -> None:
    once, again, other = (trajectories(2, 2, 3, MotionRange(), seeded(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)


def test_no_strength_bends_nothing() -> None:
    assert not deformations(2, 3, 8, 0.0, seeded()).any()


def test_the_grid_of_a_full_layer_at_rest_is_the_pixels_themselves() -> None:
    size = 8
    affine = torch.eye(2, 3).expand(1, 2, 2, 3)
    grid = sampling_grid(affine, torch.tensor([[0.0, 0.0, 1.0]]), torch.zeros(1, 2, size, size, 2))
    line = (torch.arange(size) + 0.5) / size * 2 - 1
    assert torch.allclose(grid[0, 1, 3, :, 0], line)
    assert torch.allclose(grid[0, 1, :, 3, 1], line)


def test_a_layer_is_placed_and_scaled() -> None:
    size = 8
    affine = torch.eye(2, 3).expand(1, 1, 2, 3)
    line = (torch.arange(size) + 0.5) / size * 2 - 1
    grid = sampling_grid(affine, torch.tensor([[0.25, -0.5, 0.5]]), torch.zeros(1, 1, size, size, 2))
    assert torch.allclose(grid[0, 0, 0, :, 0], (line - 0.25) / 0.5)
    assert torch.allclose(grid[0, 0, :, 0, 1], (line + 0.5) / 0.5)


def test_moving_right_reads_further_left() -> None:
    affine = torch.eye(2, 3).repeat(1, 1, 1, 1)
    affine[..., 0, 2] = 0.5
    moved = sampling_grid(affine, torch.tensor([[0.0, 0.0, 1.0]]), torch.zeros(1, 1, 8, 8, 2))
    affine[..., 0, 2] = 0
    still = sampling_grid(affine, torch.tensor([[0.0, 0.0, 1.0]]), torch.zeros(1, 1, 8, 8, 2))
    assert torch.allclose(moved[..., 0], still[..., 0] - 0.5)
