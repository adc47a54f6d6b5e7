"""A textured square that drifts over a textured ground: small, and tracked well by optical flow."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from engine.types import BoolArray, UInt8Array
from engine.video import VideoWriter

HEIGHT, WIDTH = 48, 64


def scene(count: int, speed: int = 1) -> tuple[list[UInt8Array], list[BoolArray]]:
    """Frames uint8 (HEIGHT, WIDTH, 3) and the square's masks; it begins at column 8 and moves right."""
    rng = np.random.default_rng(3)
    ground = rng.integers(0, 110, (HEIGHT // 4, WIDTH // 4, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
    square = rng.integers(140, 256, (6, 6, 3), dtype=np.uint8).repeat(3, 0).repeat(3, 1)
    images, masks = [], []
    for index in range(count):
        left = 8 + speed * index
        image, mask = ground.copy(), np.zeros((HEIGHT, WIDTH), np.bool_)
        image[14:32, left : left + 18] = square[:, : WIDTH - left]
        mask[14:32, left : left + 18] = True
        images.append(image)
        masks.append(mask)
    return images, masks


def write_frames(folder: Path, images: Sequence[UInt8Array], names: Sequence[str] | None = None) -> Path:
    """A folder of PNGs, `00000.png` and so on unless named."""
    folder.mkdir(parents=True)
    for index, image in enumerate(images):
        Image.fromarray(image).save(folder / f"{names[index] if names else f'{index:05d}'}.png")
    return folder


def write_video(path: Path, images: Sequence[UInt8Array]) -> Path:
    """A video file of 25 frames a second."""
    with VideoWriter(path, 25, images[0].shape[1], images[0].shape[0]) as writer:
        for image in images:
            writer.write(image)
    return path


def write_mask(path: Path, mask: BoolArray) -> Path:
    """A PNG of 0 and 255."""
    Image.fromarray(mask.astype(np.uint8) * 255).save(path)
    return path
