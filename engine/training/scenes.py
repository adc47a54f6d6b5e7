"""Single pictures with several masks each, the raw material of promptable segmentation.

Half of the pictures are crops of real ones with regions of their partitions, as people drew them at whatever
granularity; the others are composed of layers, with whole objects, their parts and regions behind them as masks.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.training.photometry import film
from engine.training.pictures import HEIGHT, WIDTH, PicturePool
from engine.training.synthesis import SynthesisConfig, Synthesizer

SMALLEST_VISIBLE = 0.004
NATURAL_SHARE = 0.65


class SceneSource:
    """Batches of pictures (B, 3, S, S) in [0, 1] and `targets` masks of each (B, K, S, S) in {0, 1}."""

    def __init__(
        self, config: SynthesisConfig, targets: int, pool: PicturePool | None, generator: torch.Generator
    ) -> None:
        self.generator = generator
        self.targets = targets
        self._size = config.size
        self._pool = pool if pool is not None and len(pool.regions) else None
        self._layers = Synthesizer(replace(config, frames=1), pool, generator)

    def batch(self, pictures: int) -> tuple[Tensor, Tensor]:
        """Every mask covers at least 0.4 % of its picture; one mask may come up twice."""
        natural = int((self._uniform(pictures) < NATURAL_SHARE).sum()) if self._pool is not None else 0
        parts = [self._natural(natural)] if natural else []
        if natural < pictures:
            parts.append(self._composed(pictures - natural))
        images, masks = (torch.cat(part) for part in zip(*parts, strict=True))
        return film(images.unsqueeze(1), self.generator)[:, 0], masks

    def _composed(self, count: int) -> tuple[Tensor, Tensor]:
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
        return image, visible.gather(1, chosen[:, :, None, None].expand(-1, -1, self._size, self._size))

    def _natural(self, count: int) -> tuple[Tensor, Tensor]:
        """Crops of pictures, turned and mirrored a little, with regions of random partitions."""
        assert self._pool is not None
        partition = self._integers(len(self._pool.partitions), count)
        owner = self._pool.owner[partition]
        grid = self._crops(count)
        images = F.grid_sample(
            self._pool.images[owner].float() / 255, grid, padding_mode="reflection", align_corners=False
        )
        masks = [self._regions(int(picture), grid[i : i + 1]) for i, picture in enumerate(owner)]
        return images, torch.stack(masks)

    def _crops(self, count: int) -> Tensor:
        """Sampling grids (B, S, S, 2): squares of half to all of the height, turned up to 0.2 rad, some mirrored."""
        half = 0.5 + 0.6 * self._uniform(count)
        aspect = torch.exp(0.5 * (self._uniform(count) - 0.5))
        angle = 0.4 * (self._uniform(count) - 0.5)
        mirror = (self._uniform(count) < 0.5).float() * 2 - 1
        half_x, half_y = half * HEIGHT / WIDTH * aspect, half / aspect
        centre_x = (self._uniform(count) * 2 - 1) * (1 - half_x).clamp(min=0)
        centre_y = (self._uniform(count) * 2 - 1) * (1 - half_y).clamp(min=0)
        cos, sin = angle.cos(), angle.sin()
        rows = torch.stack(
            [
                torch.stack([mirror * half_x * cos, -half_x * sin, centre_x], 1),
                torch.stack([mirror * half_y * sin, half_y * cos, centre_y], 1),
            ],
            1,
        )
        return F.affine_grid(rows, [count, 3, self._size, self._size], align_corners=False)

    def _regions(self, picture: int, grid: Tensor) -> Tensor:
        """Regions (K, S, S) of one picture under its grid (1, S, S, 2), larger ones a little more often."""
        assert self._pool is not None
        mine = torch.nonzero(self._pool.owner == picture)[:, 0]
        drawn = mine[self._integers(len(mine), self.targets)]
        labels = F.grid_sample(
            self._pool.partitions[drawn].unsqueeze(0).float(),
            grid,
            mode="nearest",
            padding_mode="reflection",
            align_corners=False,
        )[0].long()
        return torch.stack([self._region(plane) for plane in labels])

    def _region(self, labels: Tensor) -> Tensor:
        """One region of a label map (S, S), drawn by the square root of its area."""
        counts = torch.bincount(labels.flatten()).float()
        weights = counts.sqrt() * (counts >= SMALLEST_VISIBLE * labels.numel())
        if len(weights) > 1:
            weights[0] = 0
        chosen = torch.multinomial(weights + 1e-9 * counts, 1, generator=self.generator)
        return (labels == chosen).float()

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.generator.device)

    def _integers(self, high: int, count: int) -> Tensor:
        return torch.randint(high, (count,), generator=self.generator, device=self.generator.device)
