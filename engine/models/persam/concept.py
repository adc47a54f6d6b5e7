"""What PerSAM remembers of the tracks it was shown: a direction among SAM's image features for each of them.

Knows features, masks and their grid; knows nothing of prompts or frames that follow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.sam.preprocess import network_input
from engine.models.sam.prompting import Embedding, Prompter
from engine.types import BoolArray

IMAGE_VALUE, VIDEO_VALUE = 128, 215
"""How bright the object is in the pictures of masks that the image form and the video form read."""


@dataclass(frozen=True)
class Concepts:
    """N tracks. directions: unit vectors (N, C); means: of the reference's features (N, C); weights: PerSAM-F's, (N, 3)
    of the three masks, else None."""

    directions: Tensor
    means: Tensor
    weights: Tensor | None = None

    def __len__(self) -> int:
        return len(self.directions)

    def rows(self, rows: Sequence[int]) -> "Concepts":
        """Some of the tracks."""
        chosen = list(rows)
        weights = None if self.weights is None else self.weights[chosen]
        return Concepts(self.directions[chosen], self.means[chosen], weights)

    @staticmethod
    def joined(parts: Sequence["Concepts"]) -> "Concepts":
        """The tracks of all parts, one after another."""
        weights = [part.weights for part in parts if part.weights is not None]
        return Concepts(
            torch.cat([part.directions for part in parts]),
            torch.cat([part.means for part in parts]),
            torch.cat(weights) if weights else None,
        )


def image_features(prompter: Prompter, embedding: Embedding) -> Tensor:
    """SAM's image embedding, (C, h, w). Networks of ours have further channels behind these."""
    channels: int = prompter.sam.mask_decoder.transformer_dim
    return embedding.features[0, :channels].float()


def foreground(prompter: Prompter, embedding: Embedding, mask: BoolArray, value: int) -> Tensor:
    """The feature cells that belong to a mask, bool (h, w): one at least.

    As published: the mask, painted in `value`, is normalised like a picture and sampled at the centres of the cells,
    and has to be above 0 there. Where no cell is, the one under the mask's centroid.
    """
    picture = np.zeros((*mask.shape, 3), np.uint8)
    picture[..., 0] = mask * np.uint8(value)
    ready = network_input(prompter.sam, picture, embedding.geometry)[:, :1]
    height, width = embedding.features.shape[-2:]
    cells = F.interpolate(ready, size=(height, width), mode="bilinear", align_corners=False)[0, 0] > 0
    if not bool(cells.any()):
        y, x = (float(places.mean()) + 0.5 for places in np.nonzero(mask))
        side, scale = embedding.geometry.side, embedding.geometry.resized[1] / mask.shape[1]
        cells[min(int(y * scale / side * height), height - 1), min(int(x * scale / side * width), width - 1)] = True
    return cells


def learn(features: Tensor, cells: Tensor, with_peak: bool) -> Concepts:
    """One track's concept from features (C, h, w) in its cells, bool (h, w).

    with_peak: the direction is that of the mean and the maximum together, not of the mean alone.
    """
    inside = features[:, cells]
    mean = inside.mean(1)
    target = (inside.amax(1) + mean) / 2 if with_peak else mean
    return Concepts((target / target.norm())[None], mean[None])
