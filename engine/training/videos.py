"""Clips from real videos with masks: three or more frames near each other, one track, one crop.

Reads any mask source and the video of each of its clips. Frames are decoded once, reduced to what the crops need, and
kept; a bound on their memory is checked. Knows nothing of how the masks were made.
"""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from engine.errors import StoreError
from engine.store.source import ClipMasks, MaskSource
from engine.training.photometry import film
from engine.training.synthesis import SynthesisConfig
from engine.video import open_video

FURTHEST = 5
SMALLEST_VISIBLE = 0.002
MEMORY_LIMIT = 8 << 30


@dataclass(frozen=True)
class LoadedClip:
    """Reduced frames uint8 (T, h, w, 3) of one clip, its masks, and where each track can start a training clip."""

    frames: np.ndarray
    numbers: list[int]
    masks: ClipMasks
    starts: list[tuple[int, int]]


class VideoClips:
    """Batches of clips from videos; every clip of the source is equally likely, then every usable (frame, track)."""

    def __init__(
        self,
        source: MaskSource,
        config: SynthesisConfig,
        generator: torch.Generator,
        videos: Path | None = None,
    ) -> None:
        """videos: folder that holds the clips by name; without it each clip's own source is opened.

        Raises StoreError where a video is missing, too long for the memory bound, or no track spans enough frames.
        """
        self.config = config
        self.generator = generator
        self._clips = [clip for name in source.clips if (clip := self._load(source.clip(name), videos)).starts]
        if not self._clips:
            raise StoreError("no track is visible in enough frames to train on", f"{config.frames} are needed in a row")
        if sum(clip.frames.nbytes for clip in self._clips) > MEMORY_LIMIT:
            raise StoreError("the videos do not fit into 8 GiB", "train on fewer clips at once, or a smaller --size")

    def batch(self, clips: int) -> tuple[Tensor, Tensor]:
        """Images (B, T, 3, S, S) in [0, 1] and masks (B, T, S, S) in {0, 1}."""
        drawn = [self._draw() for _ in range(clips)]
        images = torch.from_numpy(np.stack([image for image, _ in drawn])).to(self.generator.device)
        masks = torch.from_numpy(np.stack([mask for _, mask in drawn])).to(self.generator.device)
        return film(images.permute(0, 1, 4, 2, 3).float() / 255, self.generator), masks.float()

    def _load(self, masks: ClipMasks, videos: Path | None) -> LoadedClip:
        path = videos / masks.name if videos else Path(getattr(masks, "source", "") or masks.name)
        if not path.exists():
            raise StoreError(f"clip {masks.name}: its video {path} is not there", "give the folder of videos: --videos")
        with open_video(path) as video:
            height, width = video.info.height, video.info.width
            scale = min(1.0, 1.5 * self.config.size / min(height, width))
            size = (max(round(width * scale), self.config.size), max(round(height * scale), self.config.size))
            frames = np.stack([cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA) for frame in video])
        numbers = [number for number in masks.frames if number < len(frames)]
        return LoadedClip(frames, numbers, masks, self._starts(masks, numbers))

    def _starts(self, masks: ClipMasks, numbers: list[int]) -> list[tuple[int, int]]:
        """(position in `numbers`, track) of masks that are large enough and have enough frames around them."""
        if len(numbers) < self.config.frames:
            return []
        position = {number: index for index, number in enumerate(numbers)}
        least = SMALLEST_VISIBLE * masks.height * masks.width
        return [(position[r.frame], r.track) for r in masks.records() if r.frame in position and r.area >= least]

    def _draw(self) -> tuple[np.ndarray, np.ndarray]:
        clip = self._clips[self._integer(len(self._clips))]
        start, track = clip.starts[self._integer(len(clip.starts))]
        picked = self._near(start, len(clip.numbers))
        numbers = [clip.numbers[index] for index in picked]
        height, width = clip.frames.shape[1:3]
        masks = np.stack([_resized(clip.masks.mask(number, track), (width, height)) for number in numbers])
        top, left, side = self._crop(masks[0])
        part = (slice(None), slice(top, top + side), slice(left, left + side))
        images, masks = clip.frames[numbers][part], masks[part]
        if self._integer(2):
            images, masks = images[:, :, ::-1], masks[:, :, ::-1]
        size = (self.config.size, self.config.size)
        return (
            np.stack([cv2.resize(np.ascontiguousarray(i), size, interpolation=cv2.INTER_AREA) for i in images]),
            np.stack([_resized(np.ascontiguousarray(m), size) for m in masks]),
        )

    def _near(self, start: int, count: int) -> list[int]:
        """Distinct positions: `start`, then others, each at most five from one that was chosen, going away from it."""
        chosen = [start]
        while len(chosen) < self.config.frames:
            free = [i for i in range(count) if i not in chosen and min(abs(i - j) for j in chosen) <= FURTHEST]
            chosen.append(free[self._integer(len(free))])
        return [start, *sorted(chosen[1:], key=lambda index: abs(index - start))]

    def _crop(self, mask: np.ndarray) -> tuple[int, int, int]:
        """Top, left and side of a random square that touches the object of the first frame."""
        height, width = mask.shape
        side = int(min(height, width) * (0.6 + 0.4 * self._share()))
        ys, xs = np.nonzero(mask)
        at = self._integer(len(ys)) if len(ys) else 0
        y, x = (int(ys[at]), int(xs[at])) if len(ys) else (height // 2, width // 2)
        top = min(max(y - int(side * self._share()), 0), height - side)
        left = min(max(x - int(side * self._share()), 0), width - side)
        return top, left, side

    def _integer(self, high: int) -> int:
        return int(torch.randint(high, (), generator=self.generator, device=self.generator.device))

    def _share(self) -> float:
        return float(torch.rand((), generator=self.generator, device=self.generator.device))


def _resized(mask: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """A mask (None: empty) at (width, height), uint8 0/1."""
    if mask is None:
        return np.zeros(size[::-1], np.uint8)
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
