"""Clips from single pictures with one mask each: `X.jpg` beside `X.png`, the layout of FSS, DUTS, ECSSD, BIG and HRSOD.

Every frame shows the picture under another homography and, for a third of the frames, bent by a thin-plate spline; a
clip has one zoom, place and mirroring (docs/train.md). Files are read in the background, warping is batched on the
device.
"""

import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from engine.errors import FormatError
from engine.runtime.seeds import numpy_generator
from engine.training.ahead import Ahead
from engine.training.distributed import ALONE, Group
from engine.training.photometry import film
from engine.training.synthesis import SynthesisConfig
from engine.training.warps import FILL, WarpRange, bends, homographies, looked_at, sampled
from engine.video import read_image

PICTURES = (".jpg", ".jpeg")
REPEATED = {"BIG_small": 5, "HRSOD_small": 5}
"""Folders that count several times, as published: they are small and their masks are fine."""
FRAME_RANGE = WarpRange(rotation=20, shear=10, zoom=(0.9, 1.1), tilt=0.03, bent=0.33)
ZOOM = (0.8, 1.5)
CANVAS = 1.5
LOOKED_AT, LOOKED_INTO = 2000, 20


def find_pairs(folder: Path) -> list[Path]:
    """Pictures below a folder that have a mask of the same name beside them, in order of their paths, some repeated."""
    found = sorted(path for path in folder.rglob("*") if path.suffix.lower() in PICTURES and _mask_of(path).is_file())
    return [path for path in found for _ in range(max(REPEATED.get(part, 1) for part in path.parts))]


def has_pairs(folder: Path) -> bool:
    """Whether pictures with masks lie below a folder. Looks into the first folders of pictures only: a tree of videos
    has none there, and may be too large to be walked through."""
    looked_into = 0
    for place, _, names in itertools.islice(os.walk(folder), LOOKED_AT):
        pictures = [Path(place, name) for name in names if Path(name).suffix.lower() in PICTURES]
        if any(_mask_of(picture).name in names for picture in pictures):
            return True
        looked_into += bool(pictures)
        if looked_into >= LOOKED_INTO:
            return False
    return False


def _mask_of(picture: Path) -> Path:
    return picture.with_suffix(".png")


class PairClips:
    """Batches of clips from pictures with masks; every picture is equally likely."""

    def __init__(
        self,
        folders: Sequence[Path],
        config: SynthesisConfig,
        generator: torch.Generator,
        group: Group = ALONE,
        stream: int = 0,
    ) -> None:
        """stream: tells several sources of one run apart. Raises FormatError where a folder holds no pairs."""
        self.generator = generator
        self.config = config
        self._group = group
        self._stream = stream
        self._seed = generator.initial_seed()
        self._pictures: list[Path] = []
        for folder in folders:
            pairs = find_pairs(folder)
            if not pairs:
                raise FormatError(f"{folder}: no X.jpg with its mask X.png below it", "name a folder of such pairs")
            self._pictures += pairs
        self._side = round(CANVAS * config.size)
        self._ahead = Ahead(self._load)

    @property
    def position(self) -> int:
        """The number of the next batch."""
        return self._ahead.position

    @position.setter
    def position(self, position: int) -> None:
        self._ahead.position = position

    def batch(self, clips: int) -> tuple[Tensor, Tensor]:
        """Images (B, T, 3, S, S) in [0, 1] and masks (B, T, S, S) in {0, 1}; other processes' rows are not loaded."""
        device = self.generator.device
        pictures, masks, views = (torch.from_numpy(array).to(device) for array in self._ahead.take(clips))
        frames, size = self.config.frames, self.config.size
        grids = looked_at(
            homographies(clips, frames, FRAME_RANGE, self.generator),
            bends(clips, frames, size, FRAME_RANGE, self.generator),
            *self._views(views),
            size,
        )
        shown = (pictures.permute(0, 3, 1, 2).float() / 255).unsqueeze(1).expand(-1, frames, -1, -1, -1)
        images, seen = sampled(shown, masks[:, None, None].expand(-1, frames, -1, -1, -1), grids)
        return film(images, self.generator), seen[:, :, 0]

    def _views(self, anchors: Tensor) -> tuple[Tensor, Tensor]:
        """Centre (B, 2) and half side (B,) of each clip's view, negative to mirror it; the anchor lies inside.

        anchors (B, 4): a place on the object, half width and half height of the picture on its canvas.
        """
        count = len(anchors)
        draws = torch.rand(count, 4, generator=self.generator, device=self.generator.device)
        place, reach = anchors[:, :2], anchors[:, 2:]
        half = reach.amin(1) / (ZOOM[0] + (ZOOM[1] - ZOOM[0]) * draws[:, 0])
        room = (reach - half[:, None]).clamp(min=0)
        wanted = place + 1.2 * (draws[:, 1:3] - 0.5) * half[:, None]
        centre = torch.maximum(torch.minimum(wanted, room), -room)
        return centre, torch.where(draws[:, 3] < 0.5, half, -half)

    def _load(self, number: int, clips: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Canvases uint8 (B, C, C, 3), masks (B, C, C) and anchors float32 (B, 4) of a batch's own rows."""
        pictures = np.zeros((clips, self._side, self._side, 3), np.uint8)
        masks = np.zeros((clips, self._side, self._side), np.uint8)
        anchors = np.tile(np.array([0, 0, 1, 1], np.float32), (clips, 1))
        for row in self._group.rows(torch.arange(clips)).tolist():
            rng = numpy_generator(self._seed, "pairs", self._stream, number, row)
            path = self._pictures[int(rng.integers(len(self._pictures)))]
            pictures[row], masks[row], anchors[row, 2:] = self._canvas(path)
            ys, xs = np.nonzero(masks[row])
            if len(ys):
                at = int(rng.integers(len(ys)))
                anchors[row, :2] = 2 * (xs[at] + 0.5) / self._side - 1, 2 * (ys[at] + 0.5) / self._side - 1
        return pictures, masks, anchors

    def _canvas(self, path: Path) -> tuple[np.ndarray, np.ndarray, tuple[float, float]]:
        """A picture and its mask in the middle of a square canvas, and the half sides that they fill."""
        picture, mask = read_image(path), read_image(_mask_of(path)).max(2)
        if picture.shape[:2] != mask.shape:
            raise FormatError(
                f"{_mask_of(path)}: {mask.shape[1]}x{mask.shape[0]} for a picture of "
                f"{picture.shape[1]}x{picture.shape[0]}",
                "a mask has the size of its picture",
            )
        scale = self._side / max(mask.shape)
        height, width = (max(round(length * scale), 1) for length in mask.shape)
        top, left = (self._side - height) // 2, (self._side - width) // 2
        inside = (slice(top, top + height), slice(left, left + width))
        canvas = np.full((self._side, self._side, 3), np.round(255 * np.array(FILL)), np.uint8)
        canvas[inside] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
        flat = np.zeros((self._side, self._side), np.uint8)
        flat[inside] = cv2.resize((mask > 127).astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        return canvas, flat, (width / self._side, height / self._side)
