"""Still images of every kind come out as upright uint8 RGB."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from video_clips import picture

from engine.errors import VideoError
from engine.video import read_image
from engine.video.stills import over_black


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif", ".tiff", ".PNG"])
def test_lossless_kinds_are_equal(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(picture(3)).save(tmp_path / f"a{suffix}")
    image = read_image(tmp_path / f"a{suffix}")
    assert image.dtype == np.uint8 and image.flags.c_contiguous and image.flags.writeable
    assert np.array_equal(image, picture(3))


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".webp"])
def test_lossy_kinds_are_close(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(picture(3)).save(tmp_path / f"a{suffix}", quality=95)
    assert np.abs(read_image(tmp_path / f"a{suffix}").astype(int) - picture(3)).mean() < 10


@pytest.mark.parametrize(
    ("mode", "value", "expected"),
    [
        ("1", 1, (255, 255, 255)),
        ("L", 77, (77, 77, 77)),
        ("LA", (200, 51), (40, 40, 40)),
        ("RGBA", (200, 100, 50, 51), (40, 20, 10)),
        ("RGBA", (200, 100, 50, 0), (0, 0, 0)),
        ("I;16", 0x4D2A, (0x4D, 0x4D, 0x4D)),
        ("I;16", 65535, (255, 255, 255)),
    ],
)
def test_modes(tmp_path: Path, mode: str, value: int, expected: tuple[int, int, int]) -> None:
    Image.new(mode, (5, 4), value).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.shape == (4, 5, 3)
    assert np.array_equal(image, np.broadcast_to(np.array(expected, np.uint8), (4, 5, 3)))


def test_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    indexed = Image.fromarray(picture(0)).quantize(16)
    corner = indexed.getpixel((30, 0))
    indexed.save(tmp_path / "a.png", transparency=corner)
    image = read_image(tmp_path / "a.png")
    assert not image[0, 30].any()
    assert image[40, 50].any()


def test_sixteen_bit_colour(tmp_path: Path) -> None:
    values = (np.arange(4 * 5 * 3).reshape(4, 5, 3) * 1000).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in values)
    header = struct.pack(">IIBBBBB", 5, 4, 16, 2, 0, 0, 0)
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(rows)), (b"IEND", b"")]
    write_png(tmp_path / "a.png", chunks)
    assert np.array_equal(read_image(tmp_path / "a.png"), (values >> 8).astype(np.uint8))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int) -> None:
    image = picture(0)
    turned = {
        1: image,
        2: image[:, ::-1],
        3: image[::-1, ::-1],
        4: image[::-1],
        5: image.transpose(1, 0, 2),
        6: np.rot90(image, 1),
        7: np.rot90(image.transpose(1, 0, 2), 2),
        8: np.rot90(image, -1),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(turned)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), image)


def test_too_many_pixels_are_refused_by_the_header(tmp_path: Path) -> None:
    for side in (12_000, 60_000):
        header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
        write_png(tmp_path / "bomb.png", [(b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")])
        with pytest.raises(VideoError, match=r"bomb.png.*limit of 134217728 pixels: scale"):
            read_image(tmp_path / "bomb.png")


def test_unusable_files(tmp_path: Path) -> None:
    whole = tmp_path / "whole.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:3000])
    (tmp_path / "text.png").write_text("hello")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.fromarray(np.zeros((4, 5), np.float32)).save(tmp_path / "float.tif")
    Image.fromarray(np.full((4, 5), 70_000, np.int32)).save(tmp_path / "deep.tif")
    reasons = {
        "missing.png": "no such file",
        "cut.png": "cannot be read",
        "text.png": "not an image",
        "empty.png": "not an image",
        "float.tif": "floating-point",
        "deep.tif": "32-bit grey",
    }
    for name, reason in reasons.items():
        with pytest.raises(VideoError, match=f"{name}: .*{reason}"):
            read_image(tmp_path / name)


def test_alpha_rounds_to_nearest() -> None:
    colours, alphas = np.meshgrid(np.arange(256), np.arange(256))
    rgba = np.stack([colours, colours, colours, alphas], axis=-1).astype(np.uint8)
    assert np.array_equal(over_black(rgba)[..., 0], np.rint(colours * (alphas / 255)).astype(np.uint8))


def write_png(path: Path, chunks: list[tuple[bytes, bytes]]) -> None:
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
