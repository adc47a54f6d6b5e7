"""Training clips from real videos with masks: three or more frames near each other, some tracks, one crop.

Reads any mask source and the video of each of its clips, in the background. Knows nothing of how the masks were made.
"""

from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from engine.errors import StoreError
from engine.runtime.seeds import numpy_generator
from engine.store.source import MaskSource
from engine.training.ahead import Ahead
from engine.training.clip_table import ClipRules, ClipTable
from engine.training.distributed import ALONE, Group
from engine.training.footage import Footage
from engine.training.photometry import film
from engine.training.video_files import video_of
from engine.training.warps import WarpRange, homographies, jittered, looked_at, sampled
from engine.video import open_video

CHECKED = 500
ATTEMPTS = 1000
FRAME_RANGE = WarpRange(rotation=15, shear=10)
CLIP_JITTER, FRAME_JITTER = (0.1, 0.03, 0.03), (0.01, 0.01, 0.01)
GREY_SHARE = 0.05

Loaded = tuple[np.ndarray, np.ndarray]


class VideoClips:
    """Batches of clips from videos; every clip of the source is equally likely, then every usable (frame, track)."""

    def __init__(
        self,
        source: MaskSource,
        rules: ClipRules,
        generator: torch.Generator,
        videos: Path | None = None,
        group: Group = ALONE,
        stream: int = 0,
    ) -> None:
        """videos: folder that holds the clips by name; without it each clip's own source is opened. stream: tells
        several sources of one run apart.

        The first 500 clips are looked at now, the others when they are drawn. Raises StoreError where a video is
        missing or of another size than its masks, or no track spans enough frames.
        """
        self.rules = rules
        self.generator = generator
        self._source = source
        self._names = list(source.clips)
        self._videos = videos
        self._group = group
        self._stream = stream
        self._seed = generator.initial_seed()
        self._footage = Footage()
        self._table = lru_cache(maxsize=1024)(self._opened)
        self._ahead = Ahead(self._load)
        usable = [self._table(name).usable for name in self._names[:CHECKED]]
        if not any(usable):
            raise StoreError("no track is visible in enough frames to train on", f"{rules.frames} are needed in a row")

    @property
    def position(self) -> int:
        """The number of the next batch."""
        return self._ahead.position

    @position.setter
    def position(self, position: int) -> None:
        self._ahead.position = position

    def batch(self, clips: int) -> tuple[Tensor, Tensor]:
        """Images (B, T, 3, S, S) in [0, 1] and masks in {0, 1}: (B, T, S, S), or (B, T, n, S, S) where the rules allow
        several objects, slots in use first. Other processes' rows are not loaded."""
        device = self.generator.device
        images, masks = (torch.from_numpy(array).to(device) for array in self._ahead.take(clips))
        pictures, planes = images.permute(0, 1, 4, 2, 3).float() / 255, masks.float()
        if self.rules.published:
            pictures, planes = self._published(pictures, planes)
        else:
            pictures = film(pictures, self.generator)
        return pictures, planes[:, :, 0] if self.rules.objects == 1 else _used_first(planes)

    def _published(self, pictures: Tensor, masks: Tensor) -> tuple[Tensor, Tensor]:
        """The paper's colours a clip and a frame, and every frame turned and sheared by itself."""
        generator, size = self.generator, self.rules.size
        pictures = jittered(pictures, CLIP_JITTER, False, generator)
        draw = torch.rand(len(pictures), 1, 1, 1, 1, generator=generator, device=generator.device)
        grey = (draw < GREY_SHARE).float()
        pictures = pictures + grey * (pictures.mean(2, keepdim=True) - pictures)
        maps = homographies(pictures.shape[0], pictures.shape[1], FRAME_RANGE, generator)
        middle = torch.zeros(len(pictures), 2, device=generator.device)
        grids = looked_at(maps, None, middle, torch.ones_like(middle[:, 0]), size)
        pictures, masks = sampled(pictures, masks, grids)
        return jittered(pictures, FRAME_JITTER, True, generator), masks

    def _opened(self, name: str) -> ClipTable:
        """A clip's table, its video and their sizes checked."""
        masks = self._source.clip(name)
        with open_video(video_of(masks, self._videos)) as video:
            if (video.info.height, video.info.width) != (masks.height, masks.width):
                raise StoreError(
                    f"clip {masks.name}: masks of {masks.width}x{masks.height}, "
                    f"but {video.info.source} is {video.info.width}x{video.info.height}",
                    "give the video the masks were made on: --videos",
                )
        return ClipTable(masks, self.rules)

    def _load(self, number: int, clips: int) -> Loaded:
        """Images uint8 (B, T, S, S, 3) and masks uint8 (B, T, n, S, S) of a batch's own rows."""
        size, frames, objects = self.rules.size, self.rules.frames, self.rules.objects
        images = np.zeros((clips, frames, size, size, 3), np.uint8)
        masks = np.zeros((clips, frames, objects, size, size), np.uint8)
        for row in self._group.rows(torch.arange(clips)).tolist():
            rng = numpy_generator(self._seed, "videos", self._stream, number, row)
            images[row], masks[row] = self._draw(rng)
        return images, masks

    def _draw(self, rng: np.random.Generator) -> Loaded:
        """One clip; draws again where there is nothing to follow, or where the crop missed it."""
        for attempt in range(ATTEMPTS):
            table = self._table(self._names[int(rng.integers(len(self._names)))])
            if not table.usable:
                continue
            picked, tracks = table.choose(rng)
            if not tracks:
                continue
            images, masks = self._cropped(table, picked, tracks, rng, free=self.rules.published and attempt % 5 < 4)
            if masks[0].any():
                return images, masks
        raise StoreError(f"nothing to train on in {ATTEMPTS} draws", "train on clips with larger or surer tracks")

    def _cropped(
        self, table: ClipTable, picked: list[int], tracks: list[int], rng: np.random.Generator, free: bool
    ) -> Loaded:
        """Frames (T, S, S, 3) and masks (T, n, S, S); free: the crop may lie anywhere, else it touches an object."""
        width, height = self._reduced(table)
        video = video_of(table.masks, self._videos)
        numbers = [table.numbers[at] for at in picked]
        images = np.stack(self._footage.frames(video, numbers, (width, height)))
        labels = np.stack([_painted(table, at, tracks, (width, height)) for at in picked])
        top, left, tall, wide = _anywhere(height, width, rng) if free else _touching(labels[0] > 0, rng)
        part = (slice(None), slice(top, top + tall), slice(left, left + wide))
        images, labels = images[part], labels[part]
        if rng.integers(2):
            images, labels = images[:, :, ::-1], labels[:, :, ::-1]
        size = (self.rules.size, self.rules.size)
        small = [cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA) for image in images]
        flat = [cv2.resize(np.ascontiguousarray(one), size, interpolation=cv2.INTER_NEAREST) for one in labels]
        slots = np.arange(1, self.rules.objects + 1)[None, :, None, None]
        return np.stack(small), (np.stack(flat)[:, None] == slots).astype(np.uint8)

    def _reduced(self, table: ClipTable) -> tuple[int, int]:
        """Width and height that leave some room around a crop."""
        size, height, width = self.rules.size, table.masks.height, table.masks.width
        scale = min(1.0, 1.5 * size / min(height, width))
        return max(round(width * scale), size), max(round(height * scale), size)


def _painted(table: ClipTable, position: int, tracks: list[int], size: tuple[int, int]) -> np.ndarray:
    """Label map int16 (height, width): slot 1.. of each track, later tracks over earlier ones."""
    labels = np.zeros(size[::-1], np.int16)
    for slot, track in enumerate(tracks, 1):
        mask = table.mask(position, track).astype(np.uint8)
        labels[cv2.resize(mask, size, interpolation=cv2.INTER_NEAREST) > 0] = slot
    return labels


def _touching(mask: np.ndarray, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random square that touches the object."""
    height, width = mask.shape
    side = int(min(height, width) * (0.6 + 0.4 * rng.random()))
    ys, xs = np.nonzero(mask)
    at = int(rng.integers(len(ys))) if len(ys) else 0
    y, x = (int(ys[at]), int(xs[at])) if len(ys) else (height // 2, width // 2)
    top = min(max(y - int(side * rng.random()), 0), height - side)
    left = min(max(x - int(side * rng.random()), 0), width - side)
    return top, left, side, side


def _anywhere(height: int, width: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """Top, left, height and width of a random window: 0.36 to all of the area, aspect 3:4 to 4:3."""
    area = height * width * rng.uniform(0.36, 1.0)
    aspect = np.exp(rng.uniform(np.log(3 / 4), np.log(4 / 3)))
    tall = min(max(round(float(np.sqrt(area / aspect))), 1), height)
    wide = min(max(round(float(np.sqrt(area * aspect))), 1), width)
    return int(rng.integers(height - tall + 1)), int(rng.integers(width - wide + 1)), tall, wide


def _used_first(masks: Tensor) -> Tensor:
    """Slots (B, T, n, S, S) that are empty in frame 0 moved behind the others."""
    empty = masks[:, 0].flatten(2).amax(2) == 0
    order = empty.to(torch.int64).argsort(dim=1, stable=True)
    return masks.gather(2, order[:, None, :, None, None].expand_as(masks))
