"""Convolutional blocks of the space-time-memory family (STCN, XMem, DEVA, MMPM).

Knows tensors of shape (batch, objects, channels, height, width) for what depends on the object and
(batch, channels, height, width) for what depends on the image alone. Knows nothing of memory or time.
Names of parameters are those of the published checkpoints. There are no normalisation layers here.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from engine.nn.elementwise import rectified, widened
from engine.nn.packed import convolve


def per_object(module: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """Apply a module for (N, C, H, W) to (B, n, C, H, W): objects join the batch."""
    batch, objects = x.shape[:2]
    return module(x.flatten(0, 1)).unflatten(0, (batch, objects))


def beside_image(image: Tensor, per_object_features: Tensor) -> Tensor:
    """[image, features] on the channel axis, the image (B, C, H, W) repeated for every object."""
    objects = per_object_features.shape[1]
    return torch.cat([image.unsqueeze(1).expand(-1, objects, -1, -1, -1), per_object_features], 2)


def side_by_side(first: Tensor, second: Tensor) -> Tensor:
    """[first, second] on the channel axis of (B, n, C, H, W), in the first one's type and layout."""
    other = _laid_out_like(first, second.to(first.dtype))  # of two layouts it takes ten times as long
    return torch.cat([first.flatten(0, 1), other.flatten(0, 1)], 1).unflatten(0, first.shape[:2])


def _laid_out_like(first: Tensor, second: Tensor) -> Tensor:
    """The second (B, n, C, h, w), channels last in memory where the first one's are."""
    if not first.flatten(0, 1).is_contiguous(memory_format=torch.channels_last):
        return second
    return second.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, second.shape[:2])


def mask_planes(masks: Tensor, others: Tensor | None, single_object: bool) -> Tensor:
    """What a value encoder sees of masks (B, n, H, W): (B, n, 1 or 2, H, W), each object and the sum of the others.

    others: takes the place of that sum; zeros where every object is alone in the world, the true sum where the objects
    here are only some of all.
    """
    if single_object:
        return masks.unsqueeze(2)
    if others is None:
        others = masks.sum(1, keepdim=True) - masks
    return torch.stack([masks, others], 2)


class ResidualBlock(nn.Module):
    """conv2(relu(conv1(relu(x)))) + skip(x); skip is the identity or, where widths differ, a convolution of raw x."""

    def __init__(self, inputs: int, outputs: int, skip_kernel: int = 3) -> None:
        super().__init__()
        if inputs != outputs:
            self.downsample = nn.Conv2d(inputs, outputs, skip_kernel, padding=skip_kernel // 2)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skip = self.downsample(x) if hasattr(self, "downsample") else x
        return convolve(self.conv2, convolve(self.conv1, rectified(x), relu=True), plus=skip)


class ChannelGate(nn.Module):
    """CBAM's channel attention: sigmoid(MLP(mean over space) + MLP(max over space))."""

    def __init__(self, channels: int, reduction: int = 16) -> None:
        super().__init__()
        hidden = max(channels // reduction, 1)
        self.mlp = nn.Sequential(nn.Flatten(), nn.Linear(channels, hidden), nn.ReLU(), nn.Linear(hidden, channels))

    def forward(self, x: Tensor) -> Tensor:
        gate = self.mlp(x.mean((2, 3))) + self.mlp(x.amax((2, 3)))
        return x * gate.sigmoid()[:, :, None, None]


class _SpatialConv(nn.Module):
    """Holder of one convolution, so that its name is that of the checkpoints."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 1, 7, padding=3)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class SpatialGate(nn.Module):
    """CBAM's spatial attention: sigmoid(conv7x7 of [max over channels, mean over channels])."""

    def __init__(self) -> None:
        super().__init__()
        self.spatial = _SpatialConv()

    def forward(self, x: Tensor) -> Tensor:
        wide = widened(x)
        pooled = torch.cat([wide.amax(1, keepdim=True), wide.mean(1, keepdim=True)], 1)
        return x * self.spatial(pooled).sigmoid()


class CBAM(nn.Module):
    """Convolutional block attention: channel gate, then spatial gate. (N, C, H, W) -> the same shape."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.ChannelGate = ChannelGate(channels)
        self.SpatialGate = SpatialGate()

    def forward(self, x: Tensor) -> Tensor:
        return self.SpatialGate(self.ChannelGate(x))


class FusionBlock(nn.Module):
    """Fuse image features with object features: u = Res1([x, g]); Res2(u + CBAM(u)).

    image, objects: channels of either. forward: image (B, C_image, H, W), objects (B, n, C_objects, H, W) -> (B, n,
    outputs, H, W).
    """

    def __init__(self, image: int, objects: int, outputs: int, skip_kernel: int = 3) -> None:
        super().__init__()
        self.image = image
        self.block1 = ResidualBlock(image + objects, outputs, skip_kernel)
        self.attention = CBAM(outputs)
        self.block2 = ResidualBlock(outputs, outputs)

    def forward(self, image: Tensor, objects: Tensor) -> Tensor:
        return per_object(self._fuse, beside_image(image, objects))

    def _fuse(self, x: Tensor) -> Tensor:
        u = self.block1(x)
        return self.block2(u + self.attention(u))


class HiddenGate(nn.Module):
    """Gated update of the sequential memory: z = conv([a, h]) in thirds f, u, c; h' = f h (1 - u) + u c.

    Not a standard GRU: the candidate does not see a reset hidden state. Kept as published.
    forward: a (B, n, inputs, H, W), hidden (B, n, C_h, H, W) -> hidden.
    """

    def __init__(self, inputs: int, hidden: int) -> None:
        super().__init__()
        self.transform = nn.Conv2d(inputs + hidden, 3 * hidden, 3, padding=1)
        nn.init.xavier_normal_(self.transform.weight)

    def forward(self, a: Tensor, hidden: Tensor) -> Tensor:
        hidden = _laid_out_like(a, hidden)
        gates = per_object(self.transform, side_by_side(a, hidden))
        forget, update, new = (part.to(hidden.dtype) for part in gates.chunk(3, 2))
        candidate = 2 * (2 * new).sigmoid() - 1  # its tanh, for which a CPU takes ten times as long
        update = update.sigmoid()
        return forget.sigmoid() * hidden * (1 - update) + update * candidate
