"""Files that mean harm: impossible claims, archives that swell, weights that bring code, names that lead elsewhere."""

import contextlib
import io
import os
import pickle
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save
from small_videos import scene, write_frames, write_mask

from engine import limits
from engine.errors import CheckpointError, EvaluationError, FormatError, MaskError, MugvosError, StoreError, VideoError
from engine.evaluation.meta import read_meta
from engine.masks import rle
from engine.store import StoreReader, StoreWriter, export, manifest, open_source, read_mask_image
from engine.store.formats import base, documents, png
from engine.store.segment_files import read_segment, read_state
from engine.types import Track
from engine.video import open_video, read_image
from engine.weights import load_state_dict

Cli = Callable[..., Any]


def claiming(width: int, height: int, size: int = 40_000) -> bytes:
    """A PNG of `size` bytes whose header says that it is so large."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(size), 0))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize(
    "read", [read_image, read_mask_image, png.read_values, png.image_size, lambda path: open_video(path.parent)]
)
def test_a_small_picture_that_says_it_is_huge_is_not_decoded(tmp_path: Path, read: Callable[[Path], Any]) -> None:
    (tmp_path / "1.png").write_bytes(claiming(100_000, 100_000))
    with pytest.raises(MugvosError, match=r"1\.png: .*(limit|too large)"):
        read(tmp_path / "1.png")


@pytest.mark.parametrize(
    "data", [claiming(100_000, 100_000), b"YUV4MPEG2 W100000 H100000 F25:1 Ip C420\nFRAME\n" + bytes(99)]
)
def test_a_small_video_that_says_it_is_huge_is_not_decoded(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.mp4").write_bytes(data)
    with pytest.raises(VideoError, match=r"a\.mp4"):
        open_video(tmp_path / "a.mp4")


def test_pictures_are_no_programs(tmp_path: Path) -> None:
    """Pillow hands EPS, whatever its name, to another program."""
    image = tmp_path / "1.png"
    Image.new("RGB", (20, 20)).save(image, "EPS")
    with pytest.raises(VideoError, match="not an image"):
        read_image(image)
    with pytest.raises(MaskError, match="no image"):
        read_mask_image(image)


def write_zip(path: Path, name: str, data: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return path


def test_an_archive_that_swells_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "ZIP_BYTES", 100_000)
    path = write_zip(tmp_path / "a.zip", "a.json", bytes(2_000_000))
    with pytest.raises(FormatError, match=r"a\.zip: the archive claims 1 files of 1 MiB"):
        open_source(path)


@pytest.mark.parametrize("name", ["../../a.json", "/tmp/a.json", "x/../../a.json"])
def test_an_archive_unpacks_into_its_own_folder(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "t"))
    (tmp_path / "t").mkdir()
    path = write_zip(tmp_path / "b.zip", name, b"{}")
    with contextlib.suppress(MugvosError):
        open_source(path).close()
    assert sorted(tmp_path.rglob("*")) == [path, tmp_path / "t"]
    assert not Path("/tmp/a.json").exists()


def test_a_spoiled_archive_is_one_error(tmp_path: Path) -> None:
    data = bytearray(write_zip(tmp_path / "a.zip", "a.json", bytes(range(256)) * 40).read_bytes())
    data[60:90] = b"\xff" * 30
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(FormatError, match="cannot be unpacked"):
        open_source(tmp_path / "a.zip")


class Evil:
    """A pickle that makes a folder when it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.mark),)


@pytest.fixture
def evil(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: pictures, a mask, a store, and a checkpoint of each form that would make `ran`."""
    images, masks = scene(3)
    write_frames(tmp_path / "frames", images)
    write_mask(tmp_path / "m.png", masks[0])
    for name, content in (("flat", {}), ("nested", {"epoch": 3})):
        inner = {"a": torch.zeros(2), "b": Evil(tmp_path / "ran")}
        whole = inner if name == "flat" else {"state_dict": {"model": inner}, **content}
        torch.save(whole, tmp_path / f"zip-{name}.pth")
        torch.save(whole, tmp_path / f"old-{name}.pt", _use_new_zipfile_serialization=False)
    (tmp_path / "plain.pth").write_bytes(pickle.dumps(Evil(tmp_path / "ran")))
    monkeypatch.chdir(tmp_path)
    return tmp_path


FORMS = ("zip-flat.pth", "zip-nested.pth", "old-flat.pt", "old-nested.pt", "plain.pth")
PLACES: dict[str, tuple[str, ...]] = {
    "propagate --model": ("propagate", "frames", "--mask", "m.png", "-o", "out.h5", "--model"),
    "propagate --sam": ("propagate", "frames", "--point", "12,20", "-o", "out.h5", "--model", "dis", "--sam"),
    "train --init": ("train", "--data", "synthetic", "-o", "out.safetensors", "--size", "32", "--init"),
    "train --encoder": ("train", "--data", "synthetic", "-o", "out.safetensors", "--size", "32", "--encoder"),
    "train --value-encoder": (
        *("train", "--data", "synthetic", "-o", "out.safetensors", "--size", "32", "--model", "mmpm-vit-b"),
        *("--encoder", "zip-flat.pth", "--value-encoder"),
    ),
    "generate --checkpoint": ("generate", "frames", "-o", "out.h5", "--checkpoint"),
    "models convert": ("models", "convert", "out.safetensors"),
}


@pytest.mark.parametrize("place", PLACES)
def test_code_in_weights_is_refused_wherever_they_are_named(cli: Cli, evil: Path, place: str) -> None:
    forms = FORMS if place in ("propagate --model", "models convert") else FORMS[1:3]
    for form in forms:
        arguments = PLACES[place]
        arguments = ("models", "convert", form, arguments[2]) if place == "models convert" else (*arguments, form)
        done = cli(*arguments, *(() if place == "models convert" else ("--device", "cpu")))
        assert (done.status, "Traceback" in done.err) == (2, False), (form, done.err)
        assert "run code" in done.err or "cannot be read" in done.err or "no torch checkpoint" in done.err, done.err
        assert not (evil / "ran").exists()
    assert not list(evil.glob("out*"))


def test_code_in_an_unfinished_training_is_refused(cli: Cli, evil: Path) -> None:
    (evil / "zip-flat.pth").rename(evil / "out.safetensors.training.pt")
    done = cli("train", "--data", "synthetic", "-o", "out.safetensors", "--size", "32", "--device", "cpu", "-q")
    assert (done.status, "a damaged training checkpoint" in done.err) == (2, True), done.err
    assert not (evil / "ran").exists()


def test_code_in_the_files_of_an_unfinished_run_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", structure=np.array([Evil(tmp_path / "ran")], dtype=object))
    for read in (read_segment, read_state):
        with pytest.raises(StoreError, match="damaged"):
            read(tmp_path / "a.npz")
    assert not (tmp_path / "ran").exists()


def test_an_unfinished_run_names_no_other_files(tmp_path: Path) -> None:
    known = manifest.Manifest({}, 1, 5, "state-000000.npz")
    manifest.save(tmp_path, known)
    text = (tmp_path / manifest.MANIFEST).read_text()
    (tmp_path / manifest.MANIFEST).write_text(text.replace("state-000000.npz", "../../precious"))
    with pytest.raises(StoreError, match="cannot be read"):
        manifest.load(tmp_path)
    (tmp_path / manifest.MANIFEST).write_text(text.replace('"parameters": {}', '"parameters": "x"'))
    with pytest.raises(StoreError, match="its parameters are none"):
        manifest.load(tmp_path)


def test_weights_that_claim_more_than_they_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "w.pth"
    torch.save({"a": torch.zeros(1).expand(10**6, 10**6)}, path)
    with pytest.raises(CheckpointError, match="far more than it holds"):
        load_state_dict(path)
    itself: dict[str, Any] = {"a": torch.zeros(1)}
    itself["model"] = itself
    torch.save(itself, path)
    assert list(load_state_dict(path)[0]) == ["a"], "and no endless search"
    torch.save({"a": torch.zeros(2, 2).to_sparse()}, path)
    with pytest.raises(CheckpointError):
        load_state_dict(path)
    monkeypatch.setattr(limits, "WEIGHTS_BYTES", 1000)
    stream = io.BytesIO()
    torch.save({"a": torch.zeros(100_000)}, stream)
    with zipfile.ZipFile(stream) as stored, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        for member in stored.namelist():
            packed.writestr(member, stored.read(member))
    with pytest.raises(CheckpointError, match="unpacks to"):
        load_state_dict(path)
    path.write_bytes(struct.pack("<Q", limits.WEIGHTS_HEADER + 1) + save({"a": torch.zeros(1)})[8:])
    with pytest.raises(CheckpointError, match="no file of weights"):
        load_state_dict(path)


NAMES = (
    "../../up",
    "/abs",
    "..",
    ".",
    "a\0b",
    "CON",
    "nul.txt",
    "x ",
    "y.",
    "~root",
    "C:\\w",
    "%2e%2e",
    "A",
    "a",
    "ä" * 90,
)


@pytest.fixture
def badly_named(tmp_path: Path) -> Path:
    """A store whose clips and tracks have names that lead elsewhere."""
    mask = scene(1)[1][0]
    with StoreWriter(tmp_path / "in" / "names.h5") as writer:
        for name in NAMES:
            tracks = [Track(number, name) for number, name in enumerate(NAMES)]
            writer.add_clip(name, 64, 48, 1, tracks, [rle.record(0, track.id, mask) for track in tracks])
    return tmp_path / "in" / "names.h5"


@pytest.mark.parametrize("format", ["mugvos", "davis", "pipeline", "sa-v"])
def test_names_never_lead_out_of_the_output(badly_named: Path, tmp_path: Path, format: str) -> None:
    (tmp_path / "below").mkdir()
    export(badly_named, tmp_path / "below" / "out", format, flatten=True)
    files = [path for path in tmp_path.rglob("*") if path.is_file() and path != badly_named]
    assert files and all(path.is_relative_to(tmp_path / "below" / "out") for path in files)
    top = {path.relative_to(tmp_path / "below" / "out").parts[0] for path in files}
    assert len(top) == len(NAMES), "no clip takes the place of another"
    assert not [name for name in top if base._DEVICES.fullmatch(name) or name.endswith((".", " ")) or name in NAMES[:6]]
    with open_source(tmp_path / "below" / "out", format) as source:
        assert len(source.clips) == len(NAMES)


def test_names_that_differ_in_case_alone_get_numbers() -> None:
    names = base.track_names([Track(1, "Wheel"), Track(2, "wheel")])
    assert names == {1: "track_001", 2: "track_002"}


def test_films_of_badly_named_clips_stay_in_their_folder(cli: Cli, tmp_path: Path) -> None:
    images, masks = scene(2)
    write_frames(tmp_path / "frames", images)
    with StoreWriter(tmp_path / "names.h5") as writer:
        for name in ("..", "../up"):
            writer.add_clip(name, 64, 48, 2, [Track(1, "x")], [rle.record(f, 1, masks[f]) for f in (0, 1)], "frames")
    (tmp_path / "deep").mkdir()
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "deep")}
    done = cli("visualize", tmp_path / "names.h5", "--video", tmp_path / "frames", "-o", tmp_path / "deep" / "out")
    assert done.status in (0, 1, 2), done.err
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(tmp_path / "deep")} == before


def test_a_former_folder_comes_back_after_a_kill_between_two_renames(tmp_path: Path) -> None:
    """The kill lies between moving the former output away and giving the new one its name."""
    from engine.store import atomic

    former = tmp_path / f".out.{atomic._host()}-999999999-0.old"
    former.mkdir()
    (former / "kept.png").write_bytes(b"")
    atomic.remove_stale(tmp_path / "out")
    assert (tmp_path / "out" / "kept.png").exists() and not former.exists()


@pytest.mark.parametrize(
    "code",
    [
        [[0, 0, 1e9, 0, 1e9, 1e9]],
        [[0, 0, 1e300, 0, 5, 5]],
        [["a"] * 6],
        [[None] * 6],
        {"size": None, "counts": "d6"},
        {"size": 3, "counts": "d6"},
        {"size": [20, 31], "counts": [10**30]},
        {"size": [20, 31], "counts": "\ud800"},
    ],
)
def test_segmentations_that_make_no_sense(code: Any) -> None:
    with pytest.raises(FormatError, match="here"):
        base.checked_record(0, 1, code, 20, 31, "here")


def test_what_was_found_in_options() -> None:
    from engine.generation.plan import parse_shard
    from engine.propagation.prompts import parse_mask_prompt
    from engine.runtime.memory import parse_size
    from mugvos_cli.commands.generate import _size

    for parse, text in (
        (parse_shard, "²/³"),
        (parse_shard, "1/" + "9" * 5000),
        (parse_size, "9" * 400),
        (_size, "²²x²²"),
        (_size, "9" * 5000 + "x99"),
        (parse_mask_prompt, "~nobody-has-this-name/m.png"),
        (parse_mask_prompt, "~\0/m.png"),
    ):
        with pytest.raises(MugvosError):
            parse(text)


def test_json_nested_too_deeply_is_refused(tmp_path: Path) -> None:
    for name, text in (
        ("a.json", "[" * 200_000),
        ("b.ndjson", '{"clip":' * 200_000),
        ("c.json", '{"images":' * 200_000),
        ("d.json", "[" * 3000),
        ("e.json", '{"a":' * 1500 + "\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises((FormatError, StoreError)):
            open_source(tmp_path / name)


def test_half_a_character_in_a_name_is_refused(cli: Cli, tmp_path: Path) -> None:
    mask = scene(1)[1][0]
    with StoreWriter(tmp_path / "a.h5") as writer:
        writer.add_clip("clip", 64, 48, 1, [Track(1, "wheel")], [rle.record(0, 1, mask)])
    for format, name in (("coco", "a.json"), ("youtube-vis", "b.json"), ("ndjson", "c.ndjson")):
        export(tmp_path / "a.h5", tmp_path / name, format)
        whole = (tmp_path / name).read_text()
        (tmp_path / name).write_text(whole.replace("wheel", "\\ud83d\\ude00"))
        assert cli("convert", str(tmp_path / name), str(tmp_path / "o.h5"), "--overwrite").status == 0
        (tmp_path / name).write_text(whole.replace("wheel", "\\ud83d"))
        done = cli("convert", str(tmp_path / name), str(tmp_path / "o.h5"), "--overwrite")
        assert (done.status, "half a character" in done.err, done.err.count("\n")) == (2, True, 1), done.err


@pytest.mark.skipif(sys.platform != "linux", reason="names of files are bytes on Linux alone")
def test_names_of_files_that_are_no_text(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, (images, masks) = os.fsdecode(b"caf\xe9"), scene(3)
    monkeypatch.chdir(tmp_path)
    write_frames(tmp_path / name, images)
    write_mask(tmp_path / f"{name}.png", masks[0])
    (tmp_path / "tree" / name / name).mkdir(parents=True)
    write_mask(tmp_path / "tree" / name / name / "0.png", masks[0])
    prompts = ("--mask", f"{name}.png", "--model", "dis", "--device", "cpu")
    for command in (
        ("convert", "tree", "a.json", "--to", "coco"),
        ("convert", "tree", "a.h5"),
        ("propagate", name, *prompts, "-o", "p.h5"),
    ):
        done = cli(*command)
        assert done.status == 0, done.err
    (tmp_path / "p.h5").rename(tmp_path / f"{name}.h5")
    with StoreReader(tmp_path / f"{name}.h5") as store:
        assert [track.name for track in store.clip(store.clips[0]).tracks] == ["caf\ufffd"]
    program = [sys.executable, "-c", "from mugvos_cli.main import run; run()", "info", f"{name}.h5"]
    for more in ((), ("--json",)):
        told = subprocess.run([*program, *more], capture_output=True, timeout=120)
        assert (told.returncode, b"caf\\udce9" in told.stdout) == (0, True), told.stderr


@pytest.mark.parametrize(
    "text",
    [
        '{"videos": ' + "[" * 100_000,
        '{"videos": {"v": {"objects": {"1": {"frame_range": {"start": 0, "end": 1000000000000, "frame_nums": 1}}}}}}',
        '{"videos": {"v": {"objects": {"1": {"frame_range": {"start": Infinity, "end": 3, "frame_nums": 1}}}}}}',
        '{"videos": {"v": {"expressions": {"1": {"exp": "x", "obj_id": Infinity}}}}}',
    ],
)
def test_meta_files_that_make_no_sense(tmp_path: Path, text: str) -> None:
    (tmp_path / "meta.json").write_text(text)
    with pytest.raises(EvaluationError):
        read_meta(tmp_path / "meta.json")


def test_numbers_of_documents_that_no_store_can_hold(tmp_path: Path) -> None:
    huge = "1" + "0" * 400
    assert np.isnan(documents.number(int(huge)))
    for points in ([[int(huge), 1]], [[float("inf"), 1]], [[float("nan"), 1]]):
        with pytest.raises(FormatError, match="point prompt"):
            documents.points_of(points, "here")
    for value in (int(huge), -1, True, 2**62):
        track = documents.track_of_keys(1, {"parent": value, "level": value}, "x", 0)
        assert (track.parent, track.level) == (None, 0)
