"""The fast reader gives what Pillow gives, or leaves it to Pillow."""

import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from engine.errors import FormatError
from engine.store.formats import flat_png
from engine.store.formats.png import read_values


@pytest.fixture(params=["as installed", "zlib"])
def reader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """With whatever inflates fastest here, and with what every Python has."""
    if request.param == "zlib":
        monkeypatch.setattr(flat_png, "inflater", zlib)


def save(path: Path, values: np.ndarray, palette: bool = True) -> Path:
    image = Image.fromarray(values)
    if palette:
        image.putpalette([n for n in range(256) for _ in range(3)])
    image.save(path)
    return path


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), height=st.integers(1, 40), width=st.integers(1, 70), palette=st.booleans())
def test_values_are_pillow_s(
    tmp_path_factory: pytest.TempPathFactory, seed: int, height: int, width: int, palette: bool
) -> None:
    rng = np.random.default_rng(seed)
    values = rng.integers(0, rng.integers(2, 257), (height, width), np.uint8)
    path = save(tmp_path_factory.mktemp("png") / "a.png", values, palette)
    found, kind = read_values(path)
    assert np.array_equal(found, values) and kind == ("palette" if palette else "grey")
    flat = flat_png.read_flat(path)
    assert flat is None or (np.array_equal(flat[0], values) and flat[1] == kind)


def test_label_images_are_read_here(tmp_path: Path, reader: None) -> None:
    values = np.zeros((30, 50), np.uint8)
    values[5:20, 10:40] = 3
    flat = flat_png.read_flat(save(tmp_path / "a.png", values))
    assert flat is not None and np.array_equal(flat[0], values) and flat[0].flags.c_contiguous


@pytest.mark.parametrize("mode", ["1", "RGB", "RGBA", "LA", "I;16"])
def test_other_pictures_are_left_to_pillow(tmp_path: Path, mode: str, reader: None) -> None:
    Image.new(mode, (9, 7)).save(tmp_path / "a.png")
    assert flat_png.read_flat(tmp_path / "a.png") is None


def test_other_files_are_left_to_pillow(tmp_path: Path, reader: None) -> None:
    assert flat_png.read_flat(tmp_path / "nowhere.png") is None
    for content in (b"", b"\x89PNG\r\n\x1a\n", b"hello" * 20):
        (tmp_path / "a.png").write_bytes(content)
        assert flat_png.read_flat(tmp_path / "a.png") is None


def test_damaged_files_are_pillow_s_to_name(tmp_path: Path, reader: None) -> None:
    values = np.random.default_rng(0).integers(0, 9, (40, 60), np.uint8)
    whole = save(tmp_path / "a.png", values).read_bytes()
    rng = np.random.default_rng(1)
    for cut in rng.integers(8, len(whole) - 12, 60):
        (tmp_path / "a.png").write_bytes(whole[:cut])
        assert flat_png.read_flat(tmp_path / "a.png") is None
        with pytest.raises(FormatError):
            read_values(tmp_path / "a.png")
    start = whole.index(b"IDAT") + 4
    for at in rng.integers(start, len(whole) - 20, 60):
        damaged = bytearray(whole)
        damaged[at] ^= 0x40
        (tmp_path / "a.png").write_bytes(damaged)
        flat = flat_png.read_flat(tmp_path / "a.png")
        assert flat is None or np.array_equal(flat[0], values), "no other picture than the one that was saved"


def test_a_size_that_is_not_there_allocates_nothing(tmp_path: Path, reader: None) -> None:
    whole = bytearray(save(tmp_path / "a.png", np.zeros((40, 60), np.uint8)).read_bytes())
    whole[16:24] = (60_000).to_bytes(4, "big") * 2
    (tmp_path / "a.png").write_bytes(whole)
    assert flat_png.read_flat(tmp_path / "a.png") is None
