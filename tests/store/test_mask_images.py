"""Mask images given as prompts: all kinds of pictures, and those that are no masks."""

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from engine.errors import FormatError, MaskError
from engine.store import read_mask_image
from engine.store.formats.png import read_binary, read_values

OBJECT = np.zeros((40, 60), bool)
OBJECT[10:30, 20:50] = True
LABELS = OBJECT * 1 + np.roll(OBJECT, 20, axis=0) * ~OBJECT * 2


def picture(values: np.ndarray, mode: str | None = None) -> Image.Image:
    image = Image.fromarray(values)
    return image.convert(mode) if mode else image


def palette_image() -> Image.Image:
    image = Image.fromarray(LABELS.astype(np.uint8))
    image.putpalette([0, 0, 0, 200, 0, 0, 201, 0, 0])
    return image


def with_alpha(rgb: int, alpha: np.ndarray) -> Image.Image:
    channels = [np.full(alpha.shape, rgb, np.uint8)] * 3
    return Image.fromarray(np.dstack([*channels, alpha]))


GREY = OBJECT.astype(np.uint8) * 255
UNDERSTOOD = {
    "0/255": (picture(GREY), "a.png", {255}),
    "0/1": (picture(OBJECT.astype(np.uint8)), "a.png", {1}),
    "1-bit": (picture(OBJECT), "a.png", {1}),
    "16-bit": (picture(OBJECT.astype(np.uint16) * 65535), "a.png", {65535}),
    "grey as RGB": (picture(GREY, "RGB"), "a.png", {255}),
    "grey as RGBA": (picture(GREY, "RGBA"), "a.png", {255}),
    "grey with alpha": (picture(GREY, "LA"), "a.png", {255}),
    "cut-out": (with_alpha(255, GREY), "a.png", {255}),
    "black cut-out": (with_alpha(0, GREY), "a.png", {255}),
    "bitmap": (picture(GREY), "a.bmp", {255}),
    "TIFF": (picture(GREY), "a.tif", {255}),
    "lossless WebP": (picture(GREY, "RGB"), "a.webp", {255}),
}


@pytest.mark.parametrize("case", UNDERSTOOD)
def test_one_object(tmp_path: Path, case: str) -> None:
    image, name, labels = UNDERSTOOD[case]
    image.save(tmp_path / name, **({"lossless": True} if name.endswith("webp") else {}))
    found = read_mask_image(tmp_path / name)
    assert set(found) == labels
    assert np.array_equal(next(iter(found.values())), OBJECT)


@pytest.mark.parametrize(
    "image", [palette_image(), picture(LABELS.astype(np.uint8)), picture(LABELS.astype(np.uint16))]
)
def test_two_objects(tmp_path: Path, image: Image.Image) -> None:
    image.save(tmp_path / "a.png")
    found = read_mask_image(tmp_path / "a.png")
    assert list(found) == [1, 2]
    assert all(np.array_equal(mask, label == LABELS) for label, mask in found.items())


def test_a_turned_photograph_of_a_mask(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    picture(np.rot90(GREY)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_mask_image(tmp_path / "a.png")[255], OBJECT)


def soft() -> Image.Image:
    return picture(cv2.GaussianBlur(GREY, (9, 9), 0))


REFUSED = {
    "colour": (picture(np.dstack([GREY, GREY // 2, GREY])), "a.png", "a colour image"),
    "anti-aliased": (soft(), "a.png", "grey values.*--binarize"),
    "JPEG": (soft(), "a.jpg", "grey values.*--binarize"),
    "empty": (picture(GREY * 0), "a.png", "empty"),
    "floats": (picture(OBJECT.astype(np.float32)), "a.tif", "floating-point"),
    "300 labels": (
        picture(np.kron(np.arange(300).reshape(15, 20), np.ones((4, 4))).astype(np.uint16)),
        "a.png",
        "different labels",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_mask(tmp_path: Path, case: str) -> None:
    image, name, message = REFUSED[case]
    image.save(tmp_path / name)
    with pytest.raises(MaskError, match=message) as caught:
        read_mask_image(tmp_path / name)
    assert name in str(caught.value)


def test_binarize_cuts_at_half(tmp_path: Path) -> None:
    soft().save(tmp_path / "a.png")
    assert np.array_equal(read_mask_image(tmp_path / "a.png", binarize=True)[1], np.array(soft()) > 127)


def bomb(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"0" * 99)) + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 1), (20_000, 20_000)])
def test_bombs(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "a.png").write_bytes(bomb(*size))
    for read, kind in ((read_mask_image, MaskError), (read_values, FormatError)):
        with pytest.raises(kind, match="too large"):
            read(tmp_path / "a.png")


def test_damaged_files(tmp_path: Path) -> None:
    picture(np.random.default_rng(0).integers(0, 2, (200, 200), np.uint8)).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    for broken in (data[: len(data) // 2], data[:20], b"", b"text", data[:60] + b"\0" * 50 + data[110:]):
        (tmp_path / "a.png").write_bytes(broken)
        with pytest.raises(MaskError, match=r"a\.png: (the image is damaged|is no image)"):
            read_mask_image(tmp_path / "a.png")
        with pytest.raises(FormatError, match=r"a\.png: (the image is damaged|is no image)"):
            read_binary(tmp_path / "a.png")


def test_no_file(tmp_path: Path) -> None:
    for path in (tmp_path / "a.png", tmp_path):
        with pytest.raises(MaskError, match="no such image file"):
            read_mask_image(path)


@pytest.mark.parametrize(
    ("image", "what"), [(picture(GREY, "RGB"), "colour"), (picture(LABELS.astype(np.uint16)), "16 bits")]
)
def test_trees_take_8_bits_only(tmp_path: Path, image: Image.Image, what: str) -> None:
    image.save(tmp_path / "a.png")
    with pytest.raises(FormatError, match=rf"a\.png: a mask image with {what}.*(export it as an 8-bit|save the ids)"):
        read_values(tmp_path / "a.png")
