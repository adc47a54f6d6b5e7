"""The spectral block: a map is filtered in the frequency domain by a learned strength (SgMg, section 3.3).

The transform is not shifted while the Gaussian lies in the middle of the array, so high frequencies are weakened; its
width is fixed on the finest map, and coarser maps take it over resized. The published weights need both.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_SIGMA = 7.0


class SpectralBlock(nn.Module):
    """X + a filtered X, computed in float32."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.conv2 = nn.Conv2d(2 * channels, 2 * channels, 1)
        self.laplace = nn.Conv2d(channels, channels, 3)
        self.fc = nn.Sequential(
            nn.Linear(channels, channels, bias=False), nn.ReLU(), nn.Linear(channels, 1, bias=False), nn.Sigmoid()
        )

    def strength(self, x: Tensor) -> Tensor:
        """How much is filtered: (N, 1) in (0, 1). Maps are at least 3x3."""
        return self.fc(self.laplace(x).mean((2, 3)))

    def forward(self, x: Tensor, gaussian: Tensor) -> Tensor:
        """x: (N, C, h, w); gaussian: (1, 1, h, w), see `gaussians`."""
        with torch.autocast(x.device.type, enabled=False):
            x = x.float()
            weakened = torch.fft.fft2(x) * (1 - self.strength(x)[:, :, None, None] * gaussian)
            parts = torch.cat([weakened.real, weakened.imag], 1)
            real, imaginary = self.conv2(F.relu(self.conv1(parts))).chunk(2, 1)
            return x + torch.fft.ifft2(torch.complex(real.contiguous(), imaginary.contiguous())).real


def gaussians(sizes: list[tuple[int, int]], device: torch.device) -> list[Tensor]:
    """The filter (1, 1, h, w) of each level: a Gaussian on the first, resized from level to level after it."""
    filters = [_gaussian(*sizes[0], device)]
    for size in sizes[1:]:
        filters.append(F.interpolate(filters[-1], size, mode="bilinear", align_corners=False))
    return filters


def _gaussian(height: int, width: int, device: torch.device) -> Tensor:
    y = torch.arange(height, dtype=torch.float32, device=device) - height // 2
    x = torch.arange(width, dtype=torch.float32, device=device) - width // 2
    return torch.exp(-(y[:, None] ** 2 + x**2) / (2 * _SIGMA**2))[None, None]
