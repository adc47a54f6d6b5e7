"""`mugvos train` from the outside: data in, weights out, usable by propagate; refusals and interrupts."""

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from small_videos import scene, write_frames, write_mask, write_video

from engine.models.mmpm.config import CONFIGS, ConvConfig

Cli = Callable[..., Any]
SHORT = ("--steps", 2, "--batch", 1, "--size", 32, "--device", "cpu")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A smaller mmpm-tiny, and the current folder with clip.mp4, m.png and a folder of pictures."""
    conv = ConvConfig(widths=(8, 8, 16, 16))
    sizes = {"feature_dim": 16, "key_dim": 8, "value_dim": 16, "hidden_dim": 8, "image_side": 96, "top_k": 8}
    monkeypatch.setitem(CONFIGS, "mmpm-tiny", dataclasses.replace(CONFIGS["mmpm-tiny"], conv=conv, **sizes))
    images, masks = scene(5)
    write_video(tmp_path / "clip.mp4", images)
    write_mask(tmp_path / "m.png", masks[0])
    write_frames(tmp_path / "pictures", images[:2])
    monkeypatch.chdir(tmp_path)


def test_trained_weights_propagate(cli: Cli) -> None:
    done = cli("train", "--data", "synthetic", "--data", "pictures", "-o", "w.safetensors", *SHORT)
    assert (done.status, done.out) == (0, ""), done.err
    assert "w.safetensors: mmpm-tiny, 2 steps" in done.err
    assert cli("propagate", "clip.mp4", "--mask", "m.png", "--model", "w.safetensors", "-o", "out.h5").status == 0


def test_training_on_what_was_propagated(cli: Cli) -> None:
    cli("propagate", "clip.mp4", "--mask", "m.png", "--model", "dis", "-o", "tracks.h5")
    done = cli("train", "--data", "tracks.h5", "-o", "w.safetensors", *SHORT)
    assert done.status == 0, done.err
    assert Path("w.safetensors").exists()


@contextmanager
def asked(work: str) -> Iterator[Callable[[], bool]]:
    """In place of `stoppable`: somebody has asked to stop."""
    yield lambda: True


def test_an_interrupted_run_goes_on(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setattr("mugvos_cli.commands.train.stoppable", asked)
        done = cli("train", "--data", "synthetic", "-o", "w.safetensors", *SHORT)
    assert done.status == 130
    assert "what was finished is kept" in done.err
    assert not Path("w.safetensors").exists()
    done = cli("train", "--data", "synthetic", "-o", "w.safetensors", *SHORT)
    assert done.status == 0
    assert "went on from step 1" in done.err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--data", "none.h5"), "none.h5: no such data"),
        (("--data", "synthetic", "--size", "40"), "--size 40"),
        (("--data", "synthetic", "--model", "mmpm-tini"), "did you mean mmpm-tiny"),
        (("--data", "synthetic", "--hard-from", "9", "--hard-to", "9"), "--hard-from 9 --hard-to 9"),
        (("--data", "synthetic", "--init", "none.pth"), "none.pth"),
        ((), "--data"),
    ],
)
def test_what_cannot_be_done_is_told_in_one_line(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    done = cli("train", *arguments, "-o", "w.safetensors", "-q")
    assert done.status == 2
    assert len(done.err.splitlines()) == 1
    assert done.err.startswith("mugvos: error:")
    assert says in done.err
    assert not list(Path().glob("w.*"))
