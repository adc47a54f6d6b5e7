"""Folders of pictures with partitions: what is read, and what is refused."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from engine.errors import FormatError
from engine.training.pictures import HEIGHT, WIDTH, join_pools, load_pictures


def add(folder: Path, name: str, size: tuple[int, int], **arrays: np.ndarray) -> None:
    """A picture of height and width `size`, grey 90 with a white corner; arrays go into an archive beside it."""
    folder.mkdir(exist_ok=True)
    image = np.full((*size, 3), 90, np.uint8)
    image[: size[0] // 4, : size[1] // 4] = 255
    Image.fromarray(image).save(folder / f"{name}.png")
    if arrays:
        np.savez(folder / f"{name}.npz", **arrays)


def partition(size: tuple[int, int]) -> np.ndarray:
    """Label 1 the left half, 2 a block of the right, 3 a single pixel, 0 the rest."""
    labels = np.zeros(size, np.uint16)
    labels[:, : size[1] // 2] = 1
    labels[: size[0] // 2, 3 * size[1] // 4 :] = 2
    labels[-1, -1] = 3
    return labels


def test_pictures_partitions_and_usable_regions(tmp_path: Path) -> None:
    add(tmp_path / "p", "a", (64, 96))
    add(tmp_path / "p", "b", (64, 96), segmentations=np.stack([partition((64, 96)), np.ones((64, 96), np.uint16)]))
    pool = load_pictures(tmp_path / "p")
    assert pool.images.shape == (2, 3, HEIGHT, WIDTH)
    assert pool.images.dtype == torch.uint8
    assert pool.images[0, :, 0, 0].tolist() == [255] * 3
    assert pool.images[0, :, -1, -1].tolist() == [90] * 3
    assert pool.partitions.shape == (2, HEIGHT, WIDTH)
    assert pool.owner.tolist() == [1, 1]
    assert pool.regions.tolist() == [[0, 1], [0, 2]], "a pixel is too small, a whole picture too large"
    assert torch.allclose(pool.boxes, torch.tensor([[-0.5, 0, 0.5, 1], [0.75, -0.5, 0.25, 0.5]]), atol=0.01)


def test_portraits_are_turned_with_their_partitions(tmp_path: Path) -> None:
    add(tmp_path / "p", "a", (96, 64), segmentations=partition((96, 64))[None])
    pool = load_pictures(tmp_path / "p")
    turned = (pool.partitions[0] == 1).float()
    assert turned[: HEIGHT // 2].mean() > 0.99
    assert turned[HEIGHT // 2 :].mean() < 0.01


@pytest.mark.parametrize(
    ("arrays", "reason"),
    [
        ({"segmentations": np.ones((1, 64, 95), np.uint16)}, r"shape \(1, 64, 95\) for a picture of 96x64"),
        ({"segmentations": np.ones((64, 96), np.uint16)}, "shape"),
        ({"other": np.ones(3)}, "no array `segmentations`"),
        ({"segmentations": np.ones((1, 64, 96), np.float32)}, "float32"),
        ({"segmentations": np.full((1, 64, 96), 40000, np.uint16)}, "32767"),
    ],
)
def test_wrong_partitions_are_named(tmp_path: Path, arrays: dict[str, np.ndarray], reason: str) -> None:
    add(tmp_path / "p", "a", (64, 96), **arrays)
    with pytest.raises(FormatError, match=rf"a\.npz.*{reason}"):
        load_pictures(tmp_path / "p")


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    add(tmp_path / "p", "a", (64, 96), segmentations=partition((64, 96))[None])
    whole = (tmp_path / "p" / "a.npz").read_bytes()
    for content in (whole[: len(whole) // 2], b"", b"no archive"):
        (tmp_path / "p" / "a.npz").write_bytes(content)
        with pytest.raises(FormatError, match=r"a\.npz"):
            load_pictures(tmp_path / "p")


def test_a_folder_without_pictures(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(FormatError, match="no pictures"):
        load_pictures(tmp_path)


def test_joined_pools_keep_what_belongs_together(tmp_path: Path) -> None:
    add(tmp_path / "one", "a", (64, 96), segmentations=partition((64, 96))[None])
    add(tmp_path / "two", "a", (64, 96))
    add(tmp_path / "two", "b", (64, 96), segmentations=partition((64, 96))[None])
    joined = join_pools([load_pictures(tmp_path / "one"), load_pictures(tmp_path / "two")])
    assert len(joined.images) == 3
    assert joined.owner.tolist() == [0, 2]
    assert joined.regions.tolist() == [[0, 1], [0, 2], [1, 1], [1, 2]]
