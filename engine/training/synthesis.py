"""Synthetic clips with exact masks: layers cut from pictures, moving, deforming and occluding each other.

A clip is a background and up to three objects in depth order, each a canvas of colour, opacity and a target plane.
One plane of one layer is the track to follow: a whole object, a part of it, or a region of the background. All frames
of all clips are sampled and composed in a few batched operations, on whatever device the generator lives on.
"""

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.training.motion import MotionRange, deformations, sampling_grid, trajectories
from engine.training.photometry import film
from engine.training.pictures import HEIGHT, WIDTH, PicturePool
from engine.training.textures import blob, parts, texture

BACKGROUND_EXTENT = 1.4


@dataclass(frozen=True)
class SynthesisConfig:
    """What kind of clips: `size` of a frame in pixels, `frames` a clip, at most `objects` moving layers."""

    size: int = 128
    frames: int = 3
    objects: int = 3
    smallest_visible: float = 0.004
    motion: MotionRange = field(default_factory=MotionRange)


class Synthesizer:
    """Makes batches of clips from a pool of pictures, or from procedural textures alone (`pool` None)."""

    def __init__(self, config: SynthesisConfig, pool: PicturePool | None, generator: torch.Generator) -> None:
        self.config = config
        self.pool = pool
        self.generator = generator
        self.device = generator.device
        self._side = config.size * 5 // 4

    def batch(self, clips: int) -> tuple[Tensor, Tensor]:
        """Frames (B, T, 3, S, S) in [0, 1] and target masks (B, T, S, S) in {0, 1}.

        The target is visible in frame 0 of every clip; later it may be hidden or leave.
        """
        images, masks = self._draw(clips)
        for _ in range(8):
            hidden = masks[:, 0].mean((1, 2)) < self.config.smallest_visible
            if not hidden.any():
                break
            images[hidden], masks[hidden] = self._draw(int(hidden.sum()))
        return film(images, self.generator), masks

    def canvases(self, clips: int) -> Tensor:
        """Layers from back to front, (B, layers, 5, C, C): colour, opacity, and a part or region as possible target."""
        return torch.stack([self._background(clips), *(self._object(clips) for _ in range(self.config.objects))], 1)

    def _draw(self, clips: int) -> tuple[Tensor, Tensor]:
        canvases = self.canvases(clips)
        self._choose_target(canvases)
        return self._compose(canvases, self.grids(clips, canvases.shape[1]))

    def grids(self, clips: int, layers: int) -> Tensor:
        """Sampling grids (B, layers, T, S, S, 2): the camera moves everything, each object moves by itself as well."""
        config = self.config
        own = trajectories(clips, layers, config.frames, config.motion, self.generator)
        camera = trajectories(clips, 1, config.frames, config.motion, self.generator)
        still = self._uniform(clips, layers, 1, 1, 1) < 0.15
        identity = torch.eye(2, 3, device=self.device).expand_as(own)
        own = torch.where(still, identity, own)
        own[:, 0] = identity[:, 0]
        affine = own.clone()
        affine[..., 2] = own[..., 2] + camera[..., 2]
        affine[:, 0] = camera[:, 0]
        bend = deformations(clips * layers, config.frames, config.size, config.motion.deformation, self.generator)
        return sampling_grid(affine.flatten(0, 1), self._placement(clips, layers).flatten(0, 1), bend).unflatten(
            0, (clips, layers)
        )

    def _placement(self, clips: int, layers: int) -> Tensor:
        """(B, layers, 3): centre and half extent in the first frame; the background fills it and more."""
        centre = 1.5 * self._uniform(clips, layers, 2) - 0.75
        extent = 0.12 * torch.exp(2.0 * self._uniform(clips, layers, 1))
        placement = torch.cat([centre, extent], 2)
        placement[:, 0] = torch.tensor([0.0, 0.0, BACKGROUND_EXTENT], device=self.device)
        return placement

    def _background(self, clips: int) -> Tensor:
        """Canvas (B, 5, C, C) of colour, opacity 1 and a region of the picture as possible target."""
        side = self._side
        if self.pool is None or len(self.pool.images) == 0:
            picture = texture(clips, side, self.generator)
            return torch.cat([picture, torch.ones_like(picture[:, :1]), parts(clips, side, self.generator)[:, None]], 1)
        picked, label = self._pick(clips)
        half = 0.45 + 0.5 * self._uniform(clips, 1)
        box = torch.cat([(self._uniform(clips, 2) * 2 - 1) * (1 - half), half * HEIGHT / WIDTH, half], 1)
        canvas = self._crop(picked, label, box, side, "reflection")
        return torch.cat([canvas[:, :3], torch.ones_like(canvas[:, :1]), canvas[:, 3:]], 1)

    def _object(self, clips: int) -> Tensor:
        """Canvas (B, 5, C, C) of colour, opacity and a part of the object as possible target.

        Half of the objects are regions cut from pictures, the others drawn shapes with a picture's or a drawn texture.
        """
        side = self._side
        shape = blob(clips, side, self.generator)
        colour = texture(clips, side, self.generator)
        if self.pool is not None and len(self.pool.regions):
            picked, label = self._pick(clips)
            box = self.pool.boxes[label].clone()
            box[:, 2:] = 1.15 * torch.maximum(box[:, 2:], box[:, 2:].flip(1) * self._aspect())
            canvas = self._crop(picked, label, box, side, "zeros")
            cut = self._uniform(clips, 1, 1) < 0.6
            shape = torch.where(cut, canvas[:, 3], shape)
            photo = (cut | (self._uniform(clips, 1, 1) < 0.5))[:, None]
            colour = torch.where(photo, canvas[:, :3], colour)
        piece = parts(clips, side, self.generator) * shape
        painted = (self._uniform(clips, 1, 1, 1) < 0.5) * 0.7 * piece[:, None]
        colour = colour + painted * (texture(clips, side, self.generator) - colour)
        present = (self._uniform(clips, 1, 1) < 0.75).float()
        return torch.cat([colour, (shape * present)[:, None], (piece * present)[:, None]], 1)

    def _aspect(self) -> Tensor:
        """Factors that turn a half height into the half width of a square box, and the other way round."""
        return torch.tensor([HEIGHT / WIDTH, WIDTH / HEIGHT], device=self.device)

    def _pick(self, clips: int) -> tuple[Tensor, Tensor]:
        """A random image of the pool and a random region index for each clip; the image is the region's own."""
        assert self.pool is not None
        if len(self.pool.regions) == 0:
            return self._integers(len(self.pool.images), clips), torch.full((clips,), -1, device=self.device)
        region = self._integers(len(self.pool.regions), clips)
        return self.pool.owner[self.pool.regions[region, 0]], region

    def _crop(self, image: Tensor, region: Tensor, box: Tensor, side: int, padding: str) -> Tensor:
        """Colour and region mask of a box (B, 4: centre, half sides, in [-1, 1]) as (B, 4, side, side)."""
        assert self.pool is not None
        planes = self.pool.images[image].float() / 255
        mask = torch.zeros_like(planes[:, :1])
        known = region >= 0
        if bool(known.any()):
            partition, label = self.pool.regions[region[known]].unbind(1)
            mask[known] = (self.pool.partitions[partition] == label[:, None, None]).float()[:, None]
        line = torch.linspace(-1, 1, side, device=self.device)
        y, x = torch.meshgrid(line, line, indexing="ij")
        mirror = (self._uniform(len(image), 1, 1) < 0.5).float() * 2 - 1
        grid = torch.stack(
            [
                box[:, 0, None, None] + mirror * box[:, 2, None, None] * x,
                box[:, 1, None, None] + box[:, 3, None, None] * y,
            ],
            -1,
        )
        return F.grid_sample(torch.cat([planes, mask], 1), grid, padding_mode=padding, align_corners=False)

    def _choose_target(self, canvases: Tensor) -> None:
        """Keep the target plane of one layer a clip: the nearest, another object, or the background; in place."""
        clips, layers = canvases.shape[:2]
        present = canvases[:, 1:, 3].flatten(2).amax(2) > 0
        weight = torch.cat([torch.full((clips, 1), 1.0, device=self.device), present.float()], 1)
        chosen = torch.multinomial(weight, 1, generator=self.generator)[:, 0]
        keep = F.one_hot(chosen, layers).float()[:, :, None, None]
        whole = (self._uniform(clips, 1, 1, 1) < 0.65).expand(-1, layers, 1, 1).clone()
        whole[:, 0] = False
        canvases[:, :, 4] = torch.where(whole, canvases[:, :, 3], canvases[:, :, 4]) * keep

    def _compose(self, canvases: Tensor, grids: Tensor) -> tuple[Tensor, Tensor]:
        """Paint the layers from back to front: frames (B, T, 3, S, S) and visible target (B, T, S, S)."""
        clips, layers = canvases.shape[:2]
        frames, size = self.config.frames, self.config.size
        image = torch.zeros(clips, frames, 3, size, size, device=self.device)
        target = torch.zeros(clips, frames, 1, size, size, device=self.device)
        for layer in range(layers):
            padding = "reflection" if layer == 0 else "zeros"
            canvas = canvases[:, layer, None].expand(-1, frames, -1, -1, -1).flatten(0, 1)
            grid = grids[:, layer].flatten(0, 1)
            drawn = F.grid_sample(canvas, grid, padding_mode=padding, align_corners=False)
            drawn = drawn.unflatten(0, (clips, frames))
            alpha = drawn[:, :, 3:4]
            image = image + alpha * (drawn[:, :, :3] - image)
            target = target * (1 - alpha) + drawn[:, :, 4:] if layer else drawn[:, :, 4:]
        return image, (target[:, :, 0] > 0.5).float()

    def _uniform(self, *shape: int) -> Tensor:
        return torch.rand(shape, generator=self.generator, device=self.device)

    def _integers(self, high: int, count: int) -> Tensor:
        return torch.randint(high, (count,), generator=self.generator, device=self.device)
