"""Whatever is wrong with an input: one line that names the file and what to do, status 2, earlier outputs untouched."""

import dataclasses
import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from small_videos import HEIGHT, WIDTH, scene, write_mask, write_video

from engine.models.mmpm.config import CONFIGS
from engine.models.mmpm.network import MMPM
from engine.store import StoreReader

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: a good video, a good mask, and an output of an earlier day."""
    images, masks = scene(6)
    write_video(tmp_path / "clip.mp4", images)
    write_mask(tmp_path / "m.png", masks[0])
    (tmp_path / "out.h5").write_bytes(b"an earlier output")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def check_refused(done: Any, names: str, *says: str) -> None:
    """One line on standard error, with the file's name, the reason and the next step; nothing on standard output."""
    assert done.status == 2, done.err
    assert done.out == ""
    lines = done.err.splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("mugvos: error:")
    assert names in lines[0]
    assert "bug" not in lines[0]
    for word in says:
        assert re.search(word, lines[0]), (word, lines[0])


def propagate(cli: Cli, video: str = "clip.mp4", mask: str = "m.png", *more: object) -> Any:
    return cli("propagate", video, "--mask", mask, "--model", "dis", "-o", "out.h5", "--overwrite", *more)


def broken_videos(folder: Path) -> None:
    whole = write_video(folder / "whole.mp4", scene(40)[0]).read_bytes()
    (folder / "truncated.mp4").write_bytes(whole[: len(whole) * 2 // 3])
    (folder / "corrupt.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "text.mp4").write_text("a shopping list\n" * 40)
    (folder / "no-frames").mkdir()
    (folder / "list.txt").write_text("")
    (folder / "frames").mkdir()
    (folder / "frames" / "1.png").write_bytes(b"no picture")


@pytest.mark.parametrize(
    ("video", "reason", "step"),
    [
        ("missing.mp4", "no such file", "check the path"),
        ("truncated.mp4", "cut off", "copy or record"),
        ("corrupt.mp4", "not a video", "check it|convert it"),
        ("empty.mp4", "empty", "again"),
        ("text.mp4", "not a video", "check it|convert it"),
        ("no-frames", "without images", "suffixes"),
        ("list.txt", "empty list", "one image path a line"),
        ("frames", "1.png", ""),
    ],
)
def test_videos(cli: Cli, here: Path, video: str, reason: str, step: str) -> None:
    broken_videos(here)
    before = contents(here)
    check_refused(propagate(cli, video), video, reason, step)
    assert contents(here) == before


def test_a_video_without_frames(cli: Cli, here: Path) -> None:
    import av

    with av.open(str(here / "zero.avi"), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        container.start_encoding()
    check_refused(propagate(cli, "zero.avi"), "zero.avi", "no frame", "again")
    assert Path("out.h5").read_bytes() == b"an earlier output"


def test_a_video_that_breaks_off_in_the_middle(cli: Cli, here: Path) -> None:
    from fractions import Fraction

    import av

    with av.open("whole.mkv", "w") as container:
        stream = container.add_stream("libx264", rate=Fraction(25))
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for image in scene(40)[0]:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode(None))
    whole = Path("whole.mkv").read_bytes()
    Path("cut.mkv").write_bytes(whole[: len(whole) * 2 // 3])
    check_refused(propagate(cli, "cut.mkv"), "cut.mkv", r"stopped at frame \d+", "copy or download")
    assert Path("out.h5").read_bytes() == b"an earlier output"


def bad_masks(folder: Path) -> None:
    mask = scene(1)[1][0]
    write_mask(folder / "large.png", np.pad(mask, 4))
    write_mask(folder / "nothing.png", np.zeros_like(mask))
    colour = np.where(mask[..., None], np.array((200, 30, 30)), 0).astype(np.uint8)
    Image.fromarray(colour).save(folder / "colour.png")
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    disc = np.clip(12 - np.hypot(y - 24, x - 30), -1, 1) * 127 + 128
    Image.fromarray(disc.astype(np.uint8)).save(folder / "smooth.png")
    deep = np.zeros((HEIGHT, WIDTH), np.uint16)
    cells = [(row, column) for row in range(16) for column in range(21)]
    for label, (row, column) in zip(range(1, 301), cells, strict=False):
        deep[3 * row : 3 * row + 3, 3 * column : 3 * column + 3] = label
    Image.fromarray(deep).save(folder / "many.png")
    (folder / "text.png").write_text("no picture")


@pytest.mark.parametrize(
    ("mask", "reason", "step"),
    [
        ("missing.png", "no such mask file", "check the path"),
        ("large.png", f"72x56, the video {WIDTH}x{HEIGHT}", "export"),
        ("nothing.png", "empty", "paint"),
        ("colour.png", "colour", "export"),
        ("smooth.png", "anti-aliased", "--binarize"),
        ("many.png", "300", "split|export"),
        ("text.png", "no image", "PNG"),
    ],
)
def test_masks(cli: Cli, here: Path, mask: str, reason: str, step: str) -> None:
    bad_masks(here)
    before = contents(here)
    check_refused(propagate(cli, mask=mask), mask, reason, step)
    assert contents(here) == before


def test_an_anti_aliased_mask_can_be_cut_at_half(cli: Cli, here: Path) -> None:
    bad_masks(here)
    assert propagate(cli, "clip.mp4", "smooth.png", "--binarize").status == 0
    with StoreReader("out.h5") as store:
        found = store.clip("clip").mask(0, 1)
    assert np.array_equal(found, np.asarray(Image.open("smooth.png")) > 127)


def test_all_ways_to_write_a_mask_mean_the_same(cli: Cli) -> None:
    mask = scene(1)[1][0]
    for name, values in (("255", 255), ("1", 1)):
        Path(name).mkdir()
        Image.fromarray((mask * values).astype(np.uint8)).save(f"{name}/m.png")
    for name in ("bits", "palette", "rgb"):
        Path(name).mkdir()
    Image.fromarray(mask).convert("1").save("bits/m.png")
    palette = Image.fromarray(mask.astype(np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 200, 30, 30])
    palette.save("palette/m.png")
    Image.fromarray(mask[..., None].repeat(3, 2).astype(np.uint8) * 255).save("rgb/m.png")
    results = []
    for name in ("255", "1", "bits", "palette", "rgb"):
        done = cli("propagate", "clip.mp4", "--mask", f"{name}/m.png", "--model", "dis", "--ndjson", "-q")
        assert done.status == 0, (name, done.err)
        results.append(done.out)
    assert len(results[0].splitlines()) == 6
    assert all(result == results[0] for result in results)


def test_outputs_that_cannot_be_written(cli: Cli, here: Path) -> None:
    (here / "folder.h5").mkdir()
    before = contents(here)
    for output, reason in (("folder.h5", "folder"), ("m.png/out.h5", "file")):
        done = cli("propagate", "clip.mp4", "--mask", "m.png", "--model", "dis", "-o", output, "--overwrite")
        check_refused(done, output, reason)
        assert contents(here) == before
    for output, reason in (("folder.h5", "folder"), ("no/such/w.safetensors", "cannot be written")):
        done = cli("train", "--data", "synthetic", "-o", output, "--overwrite")
        check_refused(done, output.removesuffix("/w.safetensors"), reason)
    assert contents(here) == before


def test_an_output_that_exists(cli: Cli, here: Path) -> None:
    (here / "w.safetensors").write_bytes(b"somebody's")
    before = contents(here)
    check_refused(cli("propagate", "clip.mp4", "--mask", "m.png", "--model", "dis", "-o", "out.h5"), "out.h5", "exists")
    done = cli("train", "--data", "synthetic", "-o", "w.safetensors")
    check_refused(done, "w.safetensors", "exists", "--overwrite")
    assert contents(here) == before


def test_a_full_disk(here: Path) -> None:
    """Files may not grow beyond 3000 bytes, which fails in the same places as a full disk does."""
    command = [sys.executable, "-m", "mugvos_cli.main", "propagate", "clip.mp4", "--mask", "m.png", "--model", "dis"]
    done = subprocess.run(
        [*command, "-o", "out.h5", "--overwrite"],
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000)),
    )
    assert done.returncode == 2, done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert done.stderr.startswith("mugvos: error:")
    assert "out.h5" in done.stderr
    assert Path("out.h5").read_bytes() == b"an earlier output"


def test_stores(cli: Cli, here: Path) -> None:
    cli("propagate", "clip.mp4", "--mask", "m.png", "--model", "dis", "-o", "good.h5")
    Path("newer.h5").write_bytes(Path("good.h5").read_bytes())
    with h5py.File("newer.h5", "r+") as file:
        file.attrs["schema"] = 99
    Path("text.h5").write_text("no store")
    with h5py.File("other.h5", "w") as file:
        file["data"] = 1
    before = contents(here)
    for path, reason in (
        ("newer.h5", "99"),
        ("text.h5", "no mask store|not"),
        ("other.h5", "store"),
        ("missing.h5", "no such"),
    ):
        for command in (
            ("info", path),
            ("evaluate", path, "--gt", "good.h5"),
            ("visualize", path, "--video", "clip.mp4", "-o", "out.mp4"),
        ):
            check_refused(cli(*command), path, reason)
        check_refused(cli("train", "--data", path, "-o", "w.safetensors", "-q"), path, reason)
    assert contents(here) == before


def weights(path: str, spoil: Callable[[dict[str, torch.Tensor]], dict[str, torch.Tensor]]) -> None:
    config = dataclasses.replace(CONFIGS["mmpm-tiny"], image_side=96)
    state = {name: tensor.clone() for name, tensor in MMPM(config).state_dict().items()}
    save_file(spoil(state), path, {"mugvos": json.dumps({"model": "mmpm", "config": config.as_dict()})})


def not_finite(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    name = next(name for name, tensor in state.items() if tensor.is_floating_point())
    state[name].view(-1)[0] = float("nan")
    return state


def without_one(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    del state[next(iter(state))]
    return state


def test_checkpoints(cli: Cli, here: Path) -> None:
    weights("nan.safetensors", not_finite)
    weights("lacking.safetensors", without_one)
    weights("good.safetensors", lambda state: state)
    Path("cut.safetensors").write_bytes(Path("good.safetensors").read_bytes()[:5000])
    raft = {"fnet.a": torch.zeros(1), "cnet.a": torch.zeros(1), "update_block.a": torch.zeros(1)}
    torch.save(raft, "raft.pth")
    Path("text.pth").write_text("no weights")
    before = contents(here)
    for path, reason in (
        ("nan.safetensors", "NaN|finite|nan"),
        ("lacking.safetensors", "missing|lack"),
        ("cut.safetensors", ""),
        ("raft.pth", "RAFT"),
        ("text.pth", ""),
        ("none.pth", "no such"),
    ):
        check_refused(propagate(cli, "clip.mp4", "m.png", "--model", path), path, reason)
        check_refused(
            cli("train", "--data", "synthetic", "--init", path, "-o", "w.safetensors", "--size", 32, "-q"), path, reason
        )
    assert contents(here) == before
    assert propagate(cli, "clip.mp4", "m.png", "--model", "good.safetensors").status == 0
