"""Pictures with regions, the raw material of synthetic clips.

A folder of images (`<id>.jpg` or `.png`) where each may have `<id>.npz` beside it with `segmentations`, integer
(partitions, H, W): several partitions of the picture into regions 1..K, at whatever granularity, as BSDS500 has them.
Pictures without a partition serve as textures and backgrounds. Knows files and arrays; the synthesis knows tensors.
"""

import zipfile
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from engine.errors import DAMAGE, FormatError
from engine.video import read_image

HEIGHT, WIDTH = 320, 480
SMALLEST, LARGEST = 0.003, 0.6
SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
_SPOILED = (OSError, *DAMAGE, zipfile.BadZipFile)


@dataclass(frozen=True)
class PicturePool:
    """Pictures of one size and their partitions.

    images uint8 (N, 3, HEIGHT, WIDTH); partitions int16 (P, HEIGHT, WIDTH), `owner` (P,) the image of each;
    regions int64 (R, 2): partition, label; boxes float32 (R, 4): centre x, centre y, half width, half height, all in
    [-1, 1] of the picture, for regions that cover between 0.3 % and 60 % of it.
    """

    images: Tensor
    partitions: Tensor
    owner: Tensor
    regions: Tensor
    boxes: Tensor

    def to(self, device: torch.device) -> "PicturePool":
        """The pool on another device."""
        parts = (self.images, self.partitions, self.owner, self.regions, self.boxes)
        return PicturePool(*(part.to(device) for part in parts))


def load_pictures(folder: Path) -> PicturePool:
    """Read a folder into a pool. Raises FormatError where it holds no pictures or a partition has another size."""
    files = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES)
    if not files:
        raise FormatError(f"{folder}: no pictures in it", "give a folder with .jpg or .png files")
    images: list[np.ndarray] = []
    partitions: list[np.ndarray] = []
    owner: list[int] = []
    for path in files:
        picture = read_image(path)
        for partition in _partitions(path.with_suffix(".npz"), picture.shape[:2]):
            partitions.append(_fit(partition.astype(np.int16), cv2.INTER_NEAREST))
            owner.append(len(images))
        images.append(_fit(picture, cv2.INTER_AREA))
    regions, boxes = _table(partitions)
    return PicturePool(
        torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous(),
        torch.from_numpy(np.stack(partitions)) if partitions else torch.zeros(0, HEIGHT, WIDTH, dtype=torch.int16),
        torch.tensor(owner, dtype=torch.int64),
        torch.tensor(regions, dtype=torch.int64).reshape(-1, 2),
        torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
    )


def _partitions(path: Path, size: tuple[int, ...]) -> np.ndarray:
    if not path.exists():
        return np.zeros((0, *size), np.int16)
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            layers: np.ndarray = archive["segmentations"]
    except _SPOILED as error:
        raise FormatError(f"{path}: no array `segmentations` in it", "write integer (partitions, H, W)") from error
    if layers.ndim != 3 or layers.shape[1:] != size:
        raise FormatError(
            f"{path}: partitions of shape {layers.shape} for a picture of {size[1]}x{size[0]}",
            "write integer (partitions, H, W)",
        )
    if layers.dtype.kind not in "iu" or (layers.size and int(layers.max()) > np.iinfo(np.int16).max):
        raise FormatError(
            f"{path}: labels of type {layers.dtype}, or above 32767", "write integers 1..K, 0 for nothing"
        )
    return layers


def _fit(array: np.ndarray, interpolation: int) -> np.ndarray:
    """Portrait pictures are turned, then all get one size."""
    if array.shape[0] > array.shape[1]:
        array = np.ascontiguousarray(np.swapaxes(array, 0, 1))
    return cv2.resize(array, (WIDTH, HEIGHT), interpolation=interpolation)


def _table(partitions: list[np.ndarray]) -> tuple[list[tuple[int, int]], list[tuple[float, ...]]]:
    """Regions of usable size with their boxes."""
    regions: list[tuple[int, int]] = []
    boxes: list[tuple[float, ...]] = []
    for index, partition in enumerate(partitions):
        for label in np.unique(partition):
            mask = (partition == label).astype(np.uint8)
            if label == 0 or not SMALLEST * mask.size <= mask.sum() <= LARGEST * mask.size:
                continue
            x, y, w, h = cv2.boundingRect(mask)
            regions.append((index, int(label)))
            boxes.append(((2 * x + w) / WIDTH - 1, (2 * y + h) / HEIGHT - 1, w / WIDTH, h / HEIGHT))
    return regions, boxes


def join_pools(pools: list[PicturePool]) -> PicturePool:
    """Several pools as one."""
    images = [len(pool.images) for pool in pools]
    partitions = [len(pool.partitions) for pool in pools]
    owners = [pool.owner + sum(images[:i]) for i, pool in enumerate(pools)]
    regions = [pool.regions + torch.tensor([sum(partitions[:i]), 0]) for i, pool in enumerate(pools)]
    return PicturePool(
        torch.cat([pool.images for pool in pools]),
        torch.cat([pool.partitions for pool in pools]),
        torch.cat(owners),
        torch.cat(regions),
        torch.cat([pool.boxes for pool in pools]),
    )
