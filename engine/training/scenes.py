"""Single pictures with several masks each, the raw material of promptable segmentation.

Most pictures are views of real ones with regions of their partitions, as people drew them at whatever granularity; the
others are composed of layers, with whole objects, their parts and regions behind them as masks.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.training.photometry import film
from engine.training.pictures import PicturePool
from engine.training.synthesis import SynthesisConfig, Synthesizer
from engine.training.views import draw_views

SMALLEST_VISIBLE = 0.004
NATURAL_SHARE = 0.9
LAYERS = 8
BEYOND = (0.485, 0.456, 0.406)
"""Colour outside of a picture: the mean that SAM's normalisation turns into 0, which is what it pads with."""


class Scenes(NamedTuple):
    """Pictures (B, 3, S, S) in [0, 1], masks (B, K, S, S) in {0, 1}, and everything that a point may mean.

    layers int16 (B, LAYERS, S, S): label maps, of people's partitions or of one visible layer each; 0 is nothing.
    """

    images: Tensor
    masks: Tensor
    layers: Tensor


class SceneSource:
    """Batches of pictures with `targets` masks each."""

    def __init__(
        self, config: SynthesisConfig, targets: int, pool: PicturePool | None, generator: torch.Generator
    ) -> None:
        self.generator = generator
        self.targets = targets
        self._size = config.size
        self._pool = pool if pool is not None and len(pool.regions) else None
        self._layers = Synthesizer(replace(config, frames=1), pool, generator)

    def batch(self, pictures: int) -> Scenes:
        """Every mask covers at least 0.4 % of its picture; one mask may come up twice."""
        natural = int((self._uniform(pictures) < NATURAL_SHARE).sum()) if self._pool is not None else 0
        parts = [self._natural(natural)] if natural else []
        if natural < pictures:
            parts.append(self._composed(pictures - natural))
        return Scenes(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def _composed(self, count: int) -> Scenes:
        """Layers over each other; the candidates are every layer's visible whole and visible part."""
        canvases = self._layers.canvases(count)
        grids = self._layers.grids(count, canvases.shape[1])[:, :, 0]
        image = canvases.new_zeros(count, 3, self._size, self._size)
        planes = image[:, :0]
        for layer in range(canvases.shape[1]):
            padding = "reflection" if layer == 0 else "zeros"
            drawn = F.grid_sample(canvases[:, layer], grids[:, layer], padding_mode=padding, align_corners=False)
            alpha = drawn[:, 3:4]
            image = image + alpha * (drawn[:, :3] - image)
            planes = torch.cat([planes * (1 - alpha), drawn[:, 3:]], 1)
        visible = (planes > 0.5).float()
        areas = visible.mean((2, 3))
        usable = (areas >= SMALLEST_VISIBLE) & (areas < 0.95)
        usable[~usable.any(1), 0] = (
            True  # the first layer's whole is the background: visible somewhere, if all else fails
        )
        chosen = torch.multinomial(usable.float(), self.targets, replacement=True, generator=self.generator)
        masks = visible.gather(1, chosen[:, :, None, None].expand(-1, -1, self._size, self._size))
        return Scenes(self._filmed(image), masks, _filled(visible * usable[:, :, None, None]))

    def _natural(self, count: int) -> Scenes:
        """Views of pictures with regions of random partitions."""
        assert self._pool is not None
        owner = self._pool.owner[self._integers(len(self._pool.partitions), count)]
        grid, outside = draw_views(count, self._size, self.generator)
        images = F.grid_sample(
            self._pool.images[owner].float() / 255, grid, padding_mode="reflection", align_corners=False
        )
        beyond = torch.tensor(BEYOND, device=images.device).view(1, 3, 1, 1)
        images = torch.where(outside[:, None], beyond, self._filmed(images))
        layers = [self._partitions(int(o), grid[i : i + 1]) * ~outside[i] for i, o in enumerate(owner)]
        masks = torch.stack([self._regions(labels) for labels in layers])
        return Scenes(images, masks, torch.cat([_filled(labels[None]) for labels in layers]))

    def _filmed(self, images: Tensor) -> Tensor:
        return film(images.unsqueeze(1), self.generator)[:, 0]

    def _partitions(self, picture: int, grid: Tensor) -> Tensor:
        """All partitions of one picture under its grid (1, S, S, 2): int16 (n, S, S)."""
        assert self._pool is not None
        mine = self._pool.partitions[self._pool.owner == picture].unsqueeze(0).float()
        labels = F.grid_sample(mine, grid, mode="nearest", padding_mode="reflection", align_corners=False)
        return labels[0].to(torch.int16)

    def _regions(self, layers: Tensor) -> Tensor:
        """Regions (K, S, S) of label maps (n, S, S), larger ones a little more often."""
        drawn = self._integers(len(layers), self.targets)
        return torch.stack([self._region(plane) for plane in layers[drawn].long()])

    def _region(self, labels: Tensor) -> Tensor:
        """One region of a label map (S, S), drawn by the fourth root of its area."""
        counts = torch.bincount(labels.flatten()).float()
        weights = counts**0.25 * (counts >= SMALLEST_VISIBLE * labels.numel())
        if len(weights) > 1:
            weights[0] = 0
        chosen = torch.multinomial(weights + 1e-9 * counts, 1, generator=self.generator)
        return (labels == chosen).float()

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.generator.device)

    def _integers(self, high: int, count: int) -> Tensor:
        return torch.randint(high, (count,), generator=self.generator, device=self.generator.device)


def _filled(layers: Tensor) -> Tensor:
    """Label maps (B, n, S, S) as int16 (B, LAYERS, S, S), with empty ones behind or the last ones left out."""
    return F.pad(layers[:, :LAYERS].to(torch.int16), (0, 0, 0, 0, 0, max(0, LAYERS - layers.shape[1])))
