"""Pictures on disk: whole or not at all."""

import errno
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.errors import OutputError
from engine.rendering.files import PICTURE_SUFFIXES, write_picture

PICTURE = np.random.default_rng(0).integers(0, 256, (20, 30, 3), np.uint8)


@pytest.mark.parametrize("suffix", PICTURE_SUFFIXES)
def test_every_format(tmp_path: Path, suffix: str) -> None:
    write_picture(PICTURE, tmp_path / f"new/a{suffix.upper()}")
    with Image.open(tmp_path / f"new/a{suffix.upper()}") as image:
        assert image.size == (30, 20)
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_png_keeps_every_pixel(tmp_path: Path) -> None:
    write_picture(PICTURE, tmp_path / "a.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), PICTURE)


def test_full_disk_keeps_the_earlier_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.png"
    write_picture(PICTURE, path)
    before = path.read_bytes()

    def full(image: Image.Image, target: Path, **options: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(OutputError, match=r"a\.png: cannot be written, no space left"):
        write_picture(PICTURE, path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_too_large_for_the_format(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"1x70000 is too large for JPEG: write a \.png"):
        write_picture(np.zeros((70000, 1, 3), np.uint8), tmp_path / "a.jpg")
