"""Clips from real videos with masks: three or more frames near each other, one track, one crop.

Reads any mask source and the video of each of its clips. Frames are decoded once, reduced to what the crops need, and
kept, up to a bound on their memory. Knows nothing of how the masks were made.
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
from engine.video import frame_numbers, open_video

FURTHEST = 5
SMALLEST_VISIBLE = 0.002
MEMORY_LIMIT = 8 << 30


@dataclass(frozen=True)
class LoadedClip:
    """Reduced frames uint8 (T, h, w, 3) of one clip, all with masks, and what each is called there.

    starts: (position in `frames`, track) where a training clip can begin.
    """

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

        Raises StoreError where a video is missing or of another size than its masks, where the videos do not fit into
        the memory bound, or no track spans enough frames.
        """
        self.config = config
        self.generator = generator
        self._room = MEMORY_LIMIT
        self._clips = [clip for name in source.clips if (clip := self._load(source.clip(name), videos)).starts]
        if not self._clips:
            raise StoreError("no track is visible in enough frames to train on", f"{config.frames} are needed in a row")

    def batch(self, clips: int) -> tuple[Tensor, Tensor]:
        """Images (B, T, 3, S, S) in [0, 1] and masks (B, T, S, S) in {0, 1}."""
        drawn = [self._draw() for _ in range(clips)]
        images = torch.from_numpy(np.stack([image for image, _ in drawn])).to(self.generator.device)
        masks = torch.from_numpy(np.stack([mask for _, mask in drawn])).to(self.generator.device)
        return film(images.permute(0, 1, 4, 2, 3).float() / 255, self.generator), masks.float()

    def _load(self, masks: ClipMasks, videos: Path | None) -> LoadedClip:
        wanted = set(masks.frames)
        numbers, frames = [], []
        with open_video(_video_of(masks, videos)) as video:
            if (video.info.height, video.info.width) != (masks.height, masks.width):
                raise StoreError(
                    f"clip {masks.name}: masks of {masks.width}x{masks.height}, "
                    f"but {video.info.source} is {video.info.width}x{video.info.height}",
                    "give the video the masks were made on: --videos",
                )
            size, names = self._reduced(masks), frame_numbers(video)
            for frame in video:
                number = frame.index if names is None else names[frame.index]
                if number in wanted:
                    numbers.append(number)
                    frames.append(cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA))
                    self._take_room(frames[-1].nbytes)
        kept = np.stack(frames) if frames else np.zeros((0, size[1], size[0], 3), np.uint8)
        return LoadedClip(kept, numbers, masks, self._starts(masks, numbers))

    def _reduced(self, masks: ClipMasks) -> tuple[int, int]:
        """Width and height that leave some room around a crop."""
        scale = min(1.0, 1.5 * self.config.size / min(masks.height, masks.width))
        return max(round(masks.width * scale), self.config.size), max(round(masks.height * scale), self.config.size)

    def _take_room(self, size: int) -> None:
        self._room -= size
        if self._room < 0:
            raise StoreError(
                f"the videos do not fit into {MEMORY_LIMIT >> 30} GiB", "train on fewer clips, or a smaller --size"
            )

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
        images, masks = clip.frames[picked][part], masks[part]
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


def _video_of(masks: ClipMasks, videos: Path | None) -> Path:
    """The video of a clip: in the folder by the clip's name, with or without a suffix; else the clip's own source."""
    own = Path(getattr(masks, "source", "") or masks.name)
    if videos is None:
        found = [own]
    else:
        beside = sorted(videos.iterdir()) if videos.is_dir() else []
        found = [path for path in beside if masks.name in (path.name, path.stem)]
    if len(found) != 1 or not found[0].exists():
        where = own if videos is None else videos / masks.name
        several = f"several videos are called {where}" if len(found) > 1 else f"its video {where} is not there"
        raise StoreError(f"clip {masks.name}: {several}", "give the folder of videos: --videos")
    return found[0]


def _resized(mask: np.ndarray | None, size: tuple[int, int]) -> np.ndarray:
    """A mask (None: empty) at (width, height), uint8 0/1."""
    if mask is None:
        return np.zeros(size[::-1], np.uint8)
    return cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
