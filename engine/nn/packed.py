"""Networks as inference on a CPU wants them: normalisation folded in, weights laid out once, sums and ReLU fused.

Knows modules and tensors. `packed` makes a copy; the network it is made from stays as it is, for training.
"""

import copy
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.nn.packed_single import PackedSingle
from engine.runtime.onednn import product, usable

Replacement = Callable[[nn.Module, torch.dtype], nn.Module]


def convolve(conv: nn.Module, x: Tensor, relu: bool = False, plus: Tensor | None = None) -> Tensor:
    """relu(conv(x) + plus), in one pass where the convolution is packed."""
    if isinstance(conv, PackedConv):
        return conv(x, relu, plus)
    y = conv(x) if plus is None else conv(x) + plus
    return F.relu(y) if relu else y


class PackedConv(nn.Module):
    """A convolution with fixed weights of one type; takes and gives channels-last tensors."""

    def __init__(self, weight: Tensor, bias: Tensor | None, like: nn.Conv2d, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = weight.detach().to(dtype=dtype, memory_format=torch.channels_last)
        self.bias = None if bias is None else bias.detach().to(dtype)
        self._shape = like.padding, like.stride, like.dilation, like.groups
        self._laid_out: Tensor | None = None  # the weights in oneDNN's own order, from the first input on

    @classmethod
    def of(cls, conv: nn.Conv2d, dtype: torch.dtype) -> "PackedConv":
        """The same convolution."""
        return cls(conv.weight, conv.bias, conv, dtype)

    @classmethod
    def with_norm(cls, conv: nn.Conv2d, norm: nn.BatchNorm2d, dtype: torch.dtype) -> "PackedConv":
        """A convolution and the batch normalisation behind it, by its running statistics."""
        assert norm.running_mean is not None and norm.running_var is not None
        scale = norm.weight / (norm.running_var + norm.eps).sqrt()
        offset = norm.running_mean if conv.bias is None else norm.running_mean - conv.bias
        return cls(conv.weight * scale.view(-1, 1, 1, 1), norm.bias - offset * scale, conv, dtype)

    def part(self, first: int, stop: int | None, bias: bool, like: nn.Conv2d) -> "PackedConv":
        """The convolution of some of the input's channels."""
        return PackedConv(self.weight[:, first:stop], self.bias if bias else None, like, self.weight.dtype)

    def forward(self, x: Tensor, relu: bool = False, plus: Tensor | None = None) -> Tensor:
        """relu(conv(x) + plus)."""
        x = self._ready(x)
        padding, stride, dilation, groups = self._shape
        if not usable(x):
            y = F.conv2d(x, self.weight, self.bias, stride, padding, dilation, groups)
            y = y if plus is None else y + plus
            return F.relu(y) if relu else y
        if self._laid_out is None:
            reorder = torch.ops.mkldnn._reorder_convolution_weight
            self._laid_out = reorder(self.weight, padding, stride, dilation, groups, list(x.shape))
        settings = self._laid_out, self.bias, padding, stride, dilation, groups
        activation = "relu" if relu else "none"
        run = torch.ops.mkldnn._convolution_pointwise
        if plus is None:
            return run(x, *settings, activation, [], "")
        return run.binary(x, self._ready(plus), *settings, "add", 1.0, "relu" if relu else None, [], None)

    def _ready(self, x: Tensor) -> Tensor:
        return x.to(self.weight.dtype).contiguous(memory_format=torch.channels_last)


class PackedLinear(nn.Module):
    """A linear layer with fixed weights of one type."""

    def __init__(self, linear: nn.Linear, dtype: torch.dtype) -> None:
        super().__init__()
        self.weight = linear.weight.detach().to(dtype)
        self.bias = None if linear.bias is None else linear.bias.detach().to(dtype)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., inputs) -> (..., outputs)."""
        return product(x.to(self.weight.dtype), self.weight, self.bias)


def packed(network: nn.Module, dtype: torch.dtype, replacements: Mapping[type[nn.Module], Replacement]) -> nn.Module:
    """A copy for inference whose convolutions and linear layers work in `dtype`; what is not replaced is shared.

    replacements: how to make further kinds of modules; asked before a module's own parts are looked at.
    """
    result = _copied(network)
    _pack_children(result, dtype, replacements)
    return result


def replaced(network: nn.Module, replacements: Mapping[type[nn.Module], Callable[[nn.Module], nn.Module]]) -> nn.Module:
    """A copy for inference in which modules of these kinds are replaced. Weights are shared."""
    result = _copied(network)
    for module in list(result.modules()):
        for name, child in module.named_children():
            if type(child) in replacements:
                setattr(module, name, replacements[type(child)](child))
    return result


def _copied(network: nn.Module) -> nn.Module:
    shared = {id(tensor): tensor for tensor in [*network.parameters(), *network.buffers()]}
    return copy.deepcopy(network, shared).eval()


def _pack_children(module: nn.Module, dtype: torch.dtype, replacements: Mapping[type[nn.Module], Replacement]) -> None:
    for name, child in module.named_children():
        made = _packed_module(child, dtype, replacements)
        if made is None:
            _pack_children(child, dtype, replacements)
        else:
            setattr(module, name, made)


def _packed_module(
    module: nn.Module, dtype: torch.dtype, replacements: Mapping[type[nn.Module], Replacement]
) -> nn.Module | None:
    """What takes the place of a module; None where its parts are to be looked at."""
    if type(module) in replacements:
        return replacements[type(module)](module, dtype)
    if isinstance(module, nn.Conv2d):
        return PackedSingle(module, dtype) if PackedSingle.fits(module) else PackedConv.of(module, dtype)
    if isinstance(module, nn.Linear):
        return PackedLinear(module, dtype)
    if isinstance(module, nn.Sequential) and len(module) == 2:
        conv, norm = module
        if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
            return PackedConv.with_norm(conv, norm, dtype)
    return None
