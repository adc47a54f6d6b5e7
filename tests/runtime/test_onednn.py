"""oneDNN's products against torch's own, for every layout that callers hand over."""

import pytest
import torch
from torch import Tensor

from engine.runtime.onednn import plus_products, product, products


@pytest.mark.parametrize("layout", ["rows", "transposed", "part of transposed", "strided"])
def test_product_of_any_layout(layout: str) -> None:
    draw = torch.Generator().manual_seed(0)
    x, wide = torch.randn(7, 33, generator=draw), torch.randn(33, 40, generator=draw)
    layouts: dict[str, Tensor] = {
        "rows": wide.T.contiguous(),
        "transposed": wide.T,
        "part of transposed": wide.T[5:20],
        "strided": wide.T[::2],
    }
    rows = layouts[layout]
    bias = torch.randn(len(rows), generator=draw)
    with torch.inference_mode():
        torch.testing.assert_close(product(x, rows, bias), x @ rows.T + bias)
        half = product(x.bfloat16(), rows.bfloat16())
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half.float(), x @ rows.T, atol=0.2, rtol=0.02)


@pytest.mark.parametrize("count", [1, 3])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_products_of_many_leave_what_they_are_added_to(count: int, dtype: torch.dtype) -> None:
    draw = torch.Generator().manual_seed(0)
    base, x, y = (torch.randn(count, *size, generator=draw).to(dtype) for size in ((6, 5), (4, 6), (4, 5)))
    before = base.clone()
    atol, rtol = (0.1, 0.02) if dtype == torch.bfloat16 else (1e-5, 1e-5)
    with torch.inference_mode():
        found, wanted = plus_products(base, x, y), base.float() + x.float().transpose(1, 2) @ y.float()
        torch.testing.assert_close(found.float(), wanted, atol=atol, rtol=rtol)
        rows = y.transpose(1, 2)
        found, wanted = products(x.transpose(1, 2), rows), x.float().transpose(1, 2) @ y.float()
        torch.testing.assert_close(found.float(), wanted, atol=atol, rtol=rtol)
    assert torch.equal(base, before)


def test_gradients_flow_where_they_are_wanted() -> None:
    x, rows = torch.randn(3, 4, requires_grad=True), torch.randn(5, 4)
    product(x, rows).sum().backward()
    assert x.grad is not None and torch.allclose(x.grad, rows.sum(0).expand(3, 4))
