"""Where a concept is likely to be in a picture: cosines with its direction, the points and the attention they give."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.sam.prompting import Embedding
from engine.types import FloatArray


def location_prior(embedding: Embedding, features: Tensor, directions: Tensor) -> Tensor:
    """Cosines (N, H, W) in the picture's size. features: (C, h, w); directions: unit vectors (N, C)."""
    cosines = torch.einsum("nc,chw->nhw", directions, F.normalize(features, dim=0))
    small = F.interpolate(cosines[:, None], scale_factor=4, mode="bilinear")[:, 0]
    return embedding.upsampler.full(small)


def highest(prior: Tensor, count: int) -> FloatArray:
    """The `count` most likely pixels of each map (N, H, W), or all there are: (N, count, 2) x, y, likeliest first."""
    places = prior.flatten(1).topk(min(count, prior[0].numel())).indices.cpu().numpy()
    return np.stack([places % prior.shape[2], places // prior.shape[2]], -1).astype(np.float64)


def attention_map(prior: Tensor, grid: tuple[int, int]) -> Tensor:
    """What image positions get on top of their attention, (N, h * w) in 0..1.

    The picture's map is squeezed onto the whole grid, padding included, as published; they do not line up.
    """
    mean, spread = prior.mean((1, 2), keepdim=True), prior.std((1, 2), keepdim=True)
    standard = torch.nan_to_num((prior - mean) / spread)  # a picture of one pixel has no spread
    squeezed = F.interpolate(standard[:, None], size=grid, mode="bilinear", align_corners=False)
    return squeezed.sigmoid().flatten(1)
