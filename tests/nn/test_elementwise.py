"""Convolutions with one output, and what is done to every number, against torch's own."""

import pytest
import torch
from torch import nn

from engine.nn.elementwise import added, rectified, widened
from engine.nn.packed import PackedConv, packed
from engine.nn.packed_single import PackedSingle


@torch.inference_mode()
@pytest.mark.parametrize("size", [(1, 1), (1, 5), (4, 1), (2, 3), (17, 9)])
@pytest.mark.parametrize("bias", [True, False])
def test_float32_equals_the_convolution(size: tuple[int, int], bias: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(12, 1, 3, padding=1, bias=bias)
    x = torch.randn(3, 12, *size)
    for given in (x, x.contiguous(memory_format=torch.channels_last)):
        found = PackedSingle(conv, torch.float32)(given)
        assert found.shape == (3, 1, *size)
        torch.testing.assert_close(found, conv(x), atol=1e-5, rtol=1e-5)


@torch.inference_mode()
def test_bfloat16_is_as_near_as_a_convolution_in_it() -> None:
    torch.manual_seed(0)
    conv, x = nn.Conv2d(32, 1, 3, padding=1), torch.randn(2, 32, 20, 30)
    wanted = conv(x)
    found = PackedSingle(conv, torch.bfloat16)(x)
    assert found.dtype == torch.float32
    rounded = PackedConv.of(conv, torch.bfloat16)(x).float()
    assert (found - wanted).square().mean() < 2 * (rounded - wanted).square().mean()


def test_what_is_taken_for_a_single_output() -> None:
    module = nn.ModuleDict(
        {
            "one": nn.Conv2d(4, 1, 3, padding=1),
            "two": nn.Conv2d(4, 2, 3, padding=1),
            "wide": nn.Conv2d(4, 1, 7, padding=3),
            "cut": nn.Conv2d(4, 1, 3),
            "far": nn.Conv2d(4, 1, 3, padding=1, stride=2),
        }
    )
    kinds = {name: type(made) for name, made in packed(module, torch.float32, {}).items()}  # type: ignore[operator]
    assert kinds.pop("one") is PackedSingle
    assert set(kinds.values()) == {PackedConv}


@torch.inference_mode()
def test_where_onednn_is_not_at_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.nn.packed_single.usable", lambda x: False)
    conv, x = nn.Conv2d(4, 1, 3, padding=1), torch.randn(2, 4, 5, 6)
    torch.testing.assert_close(PackedSingle(conv, torch.float32)(x), conv(x))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("fresh", [True, False])
def test_rectified(dtype: torch.dtype, fresh: bool) -> None:
    values = torch.tensor([0.0, -0.0, 1.5, -1.5, 1e-40, -1e-40, torch.inf, -torch.inf, 3e38, -3e38]).to(dtype)
    values = torch.cat([values, torch.randn(1000).to(dtype)])
    wanted = values.relu()
    with torch.inference_mode():
        given = values.clone()
        assert torch.equal(rectified(given, fresh), wanted)
        assert fresh or torch.equal(given, values)
    assert rectified(torch.tensor([torch.nan]).to(dtype)).isnan().all()


def test_gradients_pass_what_may_be_written_over() -> None:
    x = torch.randn(5, dtype=torch.bfloat16, requires_grad=True)
    rectified(x * 2, fresh=True).sum().backward()
    assert x.grad is not None and torch.equal(x.grad, (x.detach() > 0) * torch.tensor(2, dtype=x.dtype))
    y = torch.randn(5, requires_grad=True)
    added(y * 1, y).sum().backward()
    assert y.grad is not None and torch.equal(y.grad, torch.full((5,), 2.0))


@torch.inference_mode()
def test_sums_of_two_types_are_of_the_wider() -> None:
    small, wide = torch.ones(2, 3, dtype=torch.bfloat16), torch.full((3,), 2**-12)
    assert torch.equal(added(small, wide), torch.full((2, 3), 1 + 2**-12))
    assert torch.equal(added(wide.expand(2, 3).clone(), wide), torch.full((2, 3), 2**-11))


def test_only_inference_in_bfloat16_is_widened() -> None:
    x = torch.randn(3, 4, dtype=torch.bfloat16)
    assert widened(x) is x and widened(x.double()).dtype == torch.float64
    with torch.inference_mode():
        assert torch.equal(widened(x), x.float()) and widened(x.double()).dtype == torch.float64
