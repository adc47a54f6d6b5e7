"""oneDNN's matrix products and convolutions where torch's public functions would use another library.

In float32 on x86 torch gives matrix products to MKL, which leaves AVX-512 unused on processors of other makers (87
against 190 GFLOP/s on one EPYC core), and 1x1 convolutions of one thread to it too. The operators called here are those
that torch's own compiler emits; where they are missing, or gradients are wanted, the public functions do the work.
"""

import platform
from functools import cache

import torch
import torch.nn.functional as F
from torch import Tensor

_TYPES = (torch.float32, torch.bfloat16)


@cache
def available() -> bool:
    """Whether this build and machine have the operators."""
    names = ("_linear_pointwise", "_convolution_pointwise", "_reorder_convolution_weight")
    return (
        platform.machine().lower() in ("x86_64", "amd64")
        and torch.backends.mkldnn.is_available()
        and all(hasattr(torch.ops.mkldnn, name) for name in names)
    )


@cache
def has_bfloat16() -> bool:
    """Whether this CPU multiplies bfloat16 natively (AVX-512 BF16 or AMX); elsewhere it is slower than float32."""
    capabilities: dict[str, object] = getattr(torch.cpu, "get_capabilities", dict)()
    return available() and bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def usable(x: Tensor) -> bool:
    """Whether the operators take `x`: on the CPU, of a type they know, no gradient wanted.

    Not while torch compiles what calls this: its compiler knows the public functions, and finds the operators itself.
    """
    if torch.compiler.is_compiling():
        return False
    return x.device.type == "cpu" and x.dtype in _TYPES and not torch.is_grad_enabled() and available()


def product(x: Tensor, rows: Tensor, bias: Tensor | None = None, relu: bool = False) -> Tensor:
    """x (..., K) times the transpose of rows (N, K), plus bias (N) -> (..., N); one type. relu: applied to it."""
    if not usable(x):
        y = F.linear(x, rows, bias)
        return F.relu(y) if relu else y
    if not rows.T.is_contiguous():  # strides of other kinds take oneDNN's reference code, a thousand times slower
        rows = rows.contiguous()
    return torch.ops.mkldnn._linear_pointwise(x.contiguous(), rows, bias, "relu" if relu else "none", [], "")


def products(x: Tensor, rows: Tensor) -> Tensor:
    """x (P, M, K) times the transposes of rows (P or 1, N, K) -> (P, M, N)."""
    if not usable(x) or x.dtype != rows.dtype:
        return x @ rows.transpose(1, 2)
    if len(x) == 1:  # no copy of what may be large
        return product(x[0], rows[0])[None]
    return torch.stack([product(one, own) for one, own in zip(x, rows.expand(len(x), -1, -1), strict=True)])


def plus_products(base: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """base (P, M, N) plus the transposes of x (P, K, M) times y (P, K, N), in new memory; one type."""
    if not usable(x) or x.dtype != torch.float32:  # torch gives bfloat16 to oneDNN itself
        return torch.baddbmm(base, x.transpose(1, 2), y)
    added = [product(one.T, own.T).add_(start) for one, own, start in zip(x, y, base, strict=True)]
    return added[0][None] if len(added) == 1 else torch.stack(added)
