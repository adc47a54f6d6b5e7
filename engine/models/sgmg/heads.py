"""From what the transformer found to masks: patch kernels (SgMg, section 3.4) and their refinement (section 3.5).

A query makes the weights of two 1x1 layers; they turn features and the way to its reference into a 4x4 patch of mask
logits for each cell at stride 8. The optimizer refines the patches of a query with the backbone's finer maps.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

STRIDE = 8
PATCH = 4


def kernel_length(features: int, channels: int) -> int:
    """Numbers that a query needs for its two layers."""
    return (features + 2) * channels + channels * channels + 2 * channels


def mask_features(memory: list[Tensor]) -> Tensor:
    """Maps of strides 8, 16, 32 -> their sum at stride 8."""
    size = memory[0].shape[2:]
    others = [F.interpolate(plane, size, mode="bicubic", align_corners=False) for plane in memory[1:]]
    return memory[0] + others[0] + others[1]


def patch_logits(kernels: Tensor, features: Tensor, centres: Tensor, channels: int) -> Tensor:
    """kernels (N, Q, L), features (N, C, h, w), centres (N, Q, 2) as x, y in pixels -> (N, Q, channels, h, w)."""
    n, queries, _ = kernels.shape
    height, width = features.shape[2:]
    lengths = [(features.shape[1] + 2) * channels, channels * channels, channels, channels]
    first, second, bias1, bias2 = kernels.split(lengths, -1)
    first = first.unflatten(-1, (channels, -1))
    shared = first[..., :-2].flatten(1, 2) @ features.flatten(2)
    way = first[..., -2:] @ _way_to(centres, height, width).flatten(3)
    hidden = F.relu(shared.view(n, queries, channels, -1) + way + bias1.unsqueeze(-1))
    logits = second.unflatten(-1, (channels, channels)) @ hidden + bias2.unsqueeze(-1)
    return logits.unflatten(-1, (height, width))


def _way_to(centres: Tensor, height: int, width: int) -> Tensor:
    """(N, Q, 2, h, w): pixels right and down from the centre of each cell to a query's reference."""
    x = torch.arange(width, device=centres.device) * STRIDE + STRIDE / 2
    y = torch.arange(height, device=centres.device) * STRIDE + STRIDE / 2
    right = (centres[..., 0, None] - x)[..., None, :].expand(-1, -1, height, -1)
    down = (centres[..., 1, None] - y)[..., None].expand(-1, -1, -1, width)
    return torch.stack([right, down], 2)


def unfold_patches(logits: Tensor) -> Tensor:
    """(..., 16, h, w) -> (..., 4h, 4w)."""
    return F.pixel_shuffle(logits, PATCH).squeeze(-3)


class MaskRefinement(nn.Module):
    """The multi-granularity segmentation optimizer: patches corrected at stride 8, then at stride 4."""

    def __init__(self, channels: int, width4: int, width8: int) -> None:
        super().__init__()
        self.conv1_1div8 = nn.Conv2d(channels + width8, channels, 3, padding=1)
        self.conv2_1div8 = nn.Conv2d(channels, channels, 3, padding=1)
        self.conv1_1div4 = nn.Conv2d(channels + width4, channels, 3, padding=1)
        self.conv2_1div4 = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, patches: Tensor, map4: Tensor, map8: Tensor) -> Tensor:
        """patches (N, 16, h, w) at stride 8, the backbone's maps (N, C, ., .) -> patches at stride 4."""
        beside = F.relu(torch.cat([patches, map8], 1))
        patches = patches + self.conv2_1div8(F.relu(self.conv1_1div8(beside)))
        patches = F.interpolate(patches, map4.shape[2:], mode="bilinear", align_corners=False)
        beside = F.relu(torch.cat([patches, map4], 1))
        return patches + self.conv2_1div4(F.relu(self.conv1_1div4(beside)))
