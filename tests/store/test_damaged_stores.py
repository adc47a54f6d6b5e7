"""Stores that are none, are newer, cut short or spoiled: one StoreError each, never a crash, never much memory."""

import random
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from store_samples import write_sample

from engine.errors import MugvosError, StoreError, StoreVersionError
from engine.store import StoreReader, open_source
from engine.store import schema as names


def read_all(path: Path) -> int:
    """Read everything a store can be asked for."""
    with StoreReader(path) as reader:
        for name in reader.clips:
            clip = reader.clip(name)
            for track in clip.tracks:
                for frame in clip.frames:
                    clip.mask(frame, track.id)
            for frame in clip.frames:
                clip.void(frame)
        return sum(1 for name in reader.clips for _ in reader.clip(name).records())


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"a\.h5: no such file"):
        open_source(tmp_path / "a.h5")
    with pytest.raises(StoreError, match="no such file"):
        StoreReader(tmp_path / "a.h5")


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89HDF", bytes(5000)])
def test_no_store(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.h5").write_bytes(data)
    with pytest.raises(StoreError, match=r"a\.h5: is no mask store"):
        StoreReader(tmp_path / "a.h5")
    with pytest.raises(StoreError, match=r"a\.h5: is no mask store, it looks like"):
        open_source(tmp_path / "a.h5")


def test_other_hdf5(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["weights"] = np.zeros(3)
    with pytest.raises(StoreError, match="is an HDF5 file but no mask store"):
        open_source(tmp_path / "a.h5")


def test_newer_schema(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        file.attrs["schema"] = 7
    with pytest.raises(StoreVersionError, match=r"written by schema 7, this mugvos reads 1: upgrade"):
        open_source(path)


def test_unknown_clip(tmp_path: Path) -> None:
    with StoreReader(write_sample(tmp_path / "a.h5")) as reader, pytest.raises(StoreError, match="it has: street"):
        reader.clip("lane")


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.99])
def test_cut_short(tmp_path: Path, share: float) -> None:
    path = write_sample(tmp_path / "a.h5")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(StoreError, match=r"a\.h5: (the HDF5 file is (cut short|damaged)|is no mask store)"):
        read_all(path)


def replace(name: str, change: Callable[[np.ndarray], np.ndarray]) -> Callable[[h5py.Group], None]:
    def apply(clip: h5py.Group) -> None:
        data = change(clip[name][:])
        del clip[name]
        clip.create_dataset(name, data=data)

    return apply


def set_field(name: str, field: str, value: int, row: int = 0) -> Callable[[h5py.Group], None]:
    def change(data: np.ndarray) -> np.ndarray:
        data[field][row] = value
        return data

    return replace(name, change)


def set_attribute(name: str, value: object) -> Callable[[h5py.Group], None]:
    return lambda clip: clip.attrs.__setitem__(name, value)


def claim(name: str, dtype: np.dtype, rows: int) -> Callable[[h5py.Group], None]:
    """A data set that claims rows which no byte of the file holds."""

    def apply(clip: h5py.Group) -> None:
        del clip[name]
        clip.create_dataset(name, shape=(rows,), dtype=dtype, chunks=(1024,), compression="gzip")

    return apply


SPOILED: dict[str, tuple[Callable[[h5py.Group], None], str]] = {
    "table missing": (lambda clip: clip.__delitem__("masks"), "'masks' is missing"),
    "tracks missing": (lambda clip: clip.__delitem__("tracks"), "'tracks' is missing"),
    "group for table": (lambda clip: (clip.__delitem__("counts"), clip.create_group("counts")), "'counts' is missing"),
    "wrong dtype": (replace("counts", lambda data: data.astype(np.int16)), "another type"),
    "text for table": (replace("masks", lambda data: np.frombuffer(b"abc", "S1")), "another type"),
    "two axes": (replace("counts", lambda data: data[None]), "another type"),
    "offset beyond": (set_field("masks", "offset", 10**9), "lie outside"),
    "offset negative": (set_field("masks", "offset", -5), "lie outside"),
    "length huge": (set_field("masks", "length", 2**60), "lie outside"),
    "length negative": (set_field("masks", "length", -1), "lie outside"),
    "length short": (set_field("masks", "length", 3), "do not fill a mask of 31x20"),
    "length zero": (set_field("masks", "length", 0), "do not fill"),
    "other counts": (replace("counts", lambda data: np.full_like(data, 48)), "do not fill"),
    "no counts": (replace("counts", lambda data: data[:0]), "lie outside"),
    "width wrong": (set_attribute("width", 30), "do not fill a mask of 30x20"),
    "width huge": (set_attribute("width", 2**40), "cannot be"),
    "width is text": (set_attribute("width", "wide"), "damaged"),
    "width missing": (lambda clip: clip.attrs.__delitem__("width"), "damaged"),
    "provenance is no JSON": (set_attribute("provenance", "{"), "damaged"),
    "frames not ascending": (set_field("frames", "number", 5), "not ascending"),
    "first row beyond": (set_field("frames", "first_row", 10**12, row=2), "out of range"),
    "first row negative": (set_field("frames", "first_row", -1), "out of range"),
    "points beyond": (set_field("masks", "first_point", 10**9, row=1), "point prompts"),
    "points gone": (lambda clip: clip.__delitem__("points"), "point prompts"),
    "review unknown": (set_field("tracks", "review", 77), "damaged .unknown review state 77"),
    "a trillion masks": (claim("masks", names.MASK_TYPE, 10**12), "more than its bytes can hold"),
    "a trillion bytes": (claim("counts", names.COUNTS_TYPE, 10**12), "more than its bytes can hold"),
    "a trillion frames": (claim("frames", names.FRAME_TYPE, 10**12), "claims"),
    "clip is a table": (lambda clip: _replace_by_table(clip), "holds no clip"),
}


def _replace_by_table(clip: h5py.Group) -> None:
    parent = clip.parent
    del parent["street"]
    parent["street"] = np.zeros(3)


@pytest.mark.parametrize("case", SPOILED)
def test_spoiled_tables(tmp_path: Path, case: str) -> None:
    path = write_sample(tmp_path / "a.h5")
    spoil, message = SPOILED[case]
    with h5py.File(path, "a") as file:
        spoil(file["clips/street"])
    tracemalloc.start()
    try:
        with pytest.raises(StoreError, match=message) as caught:
            read_all(path)
        assert tracemalloc.get_traced_memory()[1] < 32 << 20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value) and "a.h5" in str(caught.value)


def test_any_flipped_byte_is_an_error_or_harmless(tmp_path: Path) -> None:
    data = write_sample(tmp_path / "a.h5").read_bytes()
    rng = random.Random(0)
    path = tmp_path / "b.h5"
    for _ in range(150):
        spoiled = bytearray(data)
        for _ in range(rng.choice((1, 1, 4, 40))):
            spoiled[rng.randrange(len(data))] = rng.randrange(256)
        path.write_bytes(spoiled)
        try:
            read_all(path)
        except MugvosError as error:
            assert "\n" not in str(error)
