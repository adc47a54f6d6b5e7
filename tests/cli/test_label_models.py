"""MAVOS and BMVOS on the command line: terms of weights, random weights, errors of one line."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bmvos_golden
import pytest
import torch
from small_videos import scene, write_mask, write_video

from engine.store import StoreReader

Cli = Callable[..., Any]
TERMS = "non-commercial research only"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: clip.mp4 of 3 frames, a.png and b.png, which overlap, on its first; no weights."""
    images, masks = scene(3)
    write_video(tmp_path / "clip.mp4", images)
    write_mask(tmp_path / "a.png", masks[0])
    write_mask(tmp_path / "b.png", masks[0])
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUGVOS_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path


def run(cli: Cli, *words: str) -> Any:
    return cli("propagate", "clip.mp4", "--mask", "a.png", "--precision", "fp32", "-o", "t.h5", *words)


def test_published_weights_say_their_terms_once_a_run(cli: Cli, here: Path) -> None:
    torch.save(bmvos_golden.golden_network().state_dict(), here / "BMVOS_davis.pth")
    done = run(cli, "--model", "BMVOS_davis.pth")
    assert done.status == 0, done.err
    assert done.err.count(TERMS) == 1
    (here / "weights").mkdir()
    (here / "BMVOS_davis.pth").rename(here / "weights" / "BMVOS_davis.pth")
    done = run(cli, "--model", "bmvos", "--overwrite")
    assert (done.status, done.err.count(TERMS)) == (0, 1)
    assert TERMS in next(line for line in cli("models").out.splitlines() if line.startswith("bmvos "))


def test_overlapping_tracks_through_mavos_with_random_weights(cli: Cli) -> None:
    done = run(cli, "--mask", "b.png", "--model", "mavos", "--random-weights")
    assert done.status == 0, done.err
    assert "mavos has random weights; its masks mean nothing" in done.err
    assert TERMS not in done.err
    with StoreReader("t.h5") as store:
        assert len(store.clip("clip").tracks) == 2
        assert store.clip("clip").provenance["model"] == "mavos"


def test_what_cannot_be_run_is_told_in_one_line(cli: Cli) -> None:
    for words, told in (
        (("--model", "mavos"), "drive.google.com"),
        (("--model", "mavos", "--random-weights", "--top-k", "3"), "--top-k means nothing to mavos"),
    ):
        done = run(cli, *words)
        assert done.status == 2
        assert told in done.err
        assert len(done.err.strip().splitlines()) == 1
