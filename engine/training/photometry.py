"""What happens to colours between scene and file: light, exposure, blur, noise. Whole batches, seeded."""

import torch
import torch.nn.functional as F
from torch import Tensor


def film(clips: Tensor, generator: torch.Generator) -> Tensor:
    """Colour changes a clip and, weaker, a frame; blur and noise a clip. (B, T, 3, H, W) in [0, 1] -> the same."""
    batch, frames = clips.shape[:2]
    device = generator.device

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator, device=device)

    gain = torch.exp(0.2 * normal(batch, 1, 1, 1, 1) + 0.05 * normal(batch, frames, 1, 1, 1))
    tint = torch.exp(0.06 * normal(batch, 1, 3, 1, 1) + 0.02 * normal(batch, frames, 3, 1, 1))
    offset = 0.06 * normal(batch, 1, 1, 1, 1) + 0.02 * normal(batch, frames, 1, 1, 1)
    clips = ((clips - 0.5) * gain + 0.5) * tint + offset
    grey = (torch.rand(batch, 1, 1, 1, 1, generator=generator, device=device) < 0.05).float()
    clips = clips + grey * (clips.mean(2, keepdim=True) - clips)
    clips = _blur(clips, generator)
    noise = 0.03 * torch.rand(batch, 1, 1, 1, 1, generator=generator, device=device)
    return (clips + noise * normal(*clips.shape)).clamp(0, 1)


def _blur(clips: Tensor, generator: torch.Generator) -> Tensor:
    """Mix each clip with its 3x3 mean, by a random share; a few frames more than others."""
    batch, frames = clips.shape[:2]
    mean = F.avg_pool2d(clips.flatten(0, 1), 3, 1, 1, count_include_pad=False).unflatten(0, (batch, frames))
    share = torch.rand(batch, frames, 1, 1, 1, generator=generator, device=generator.device) ** 2
    return clips + share * (mean - clips)
