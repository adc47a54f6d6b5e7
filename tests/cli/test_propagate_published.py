"""`mugvos propagate --model xmem` and `--model deva` from the outside, with random weights or unfit ones."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from small_videos import scene, write_mask, write_video

from engine.store import StoreReader

Cli = Callable[..., Any]
SMALL = ("--random-weights", "--short-side", 129)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: clip.mp4 of 3 frames, and two masks of its first frame that overlap."""
    images, masks = scene(3)
    write_video(tmp_path / "clip.mp4", images)
    write_mask(tmp_path / "whole.png", masks[0])
    masks[0][:20] = False
    write_mask(tmp_path / "part.png", masks[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_random_weights_are_announced(cli: Cli) -> None:
    model = "xmem-no-sensory"
    done = cli("propagate", "clip.mp4", "--mask", "whole.png", "--mask", "part.png", "--model", model, *SMALL)
    assert done.status == 0
    assert f"{model} has random weights; its masks mean nothing" in done.err
    with StoreReader("clip.h5") as store:
        clip = store.clip("clip")
        assert [track.name for track in clip.tracks] == ["whole", "part"]
        assert len(clip.frames) == 3
        assert clip.provenance["model"] == model


def test_objects_are_found(cli: Cli) -> None:
    done = cli("propagate", "clip.mp4", "--model", "deva", "--detect-every", 2, "--voting", 1, "--grid", 3, *SMALL)
    assert done.status == 0
    assert "deva has random weights" in done.err
    with StoreReader("clip.h5") as store:
        clip = store.clip("clip")
        assert clip.provenance["detecting"]["every"] == 2
        assert clip.tracks
        assert all(clip.mask(track.first_frame, track.id).any() for track in clip.tracks)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--model", "deva", "--detect-every", 5, "--mask", "part.png"), "finds its objects itself"),
        (("--model", "xmem", "--detect-every", 5), "it finds nothing: give --model deva"),
        (("--model", "deva"), "--model deva --detect-every 5"),
        (("--model", "xmem", "--mask", "part.png"), "fetch it: mugvos models fetch xmem"),
    ],
)
def test_what_cannot_be_done_is_said(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[Any, ...], message: str
) -> None:
    monkeypatch.setenv("MUGVOS_WEIGHTS", str(tmp_path))
    done = cli("propagate", "clip.mp4", *words)
    assert done.status == 2
    assert message in done.err
    assert done.err.count("\n") == 1


def test_weights_of_another_model_are_named(cli: Cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MUGVOS_WEIGHTS", str(tmp_path))
    deva = {"pixel_encoder.a": torch.zeros(1), "mask_encoder.b": torch.zeros(1), "key_proj.d_proj.c": torch.zeros(1)}
    save_file(deva, tmp_path / "XMem.pth")
    done = cli("propagate", "clip.mp4", "--mask", "part.png", "--model", "xmem")
    assert done.status == 2
    assert "does not fit xmem" in done.err
    assert "it looks like DEVA" in done.err
