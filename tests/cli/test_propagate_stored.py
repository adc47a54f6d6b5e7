"""`mugvos propagate --mask STORE`: what one command made, another carries on."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from small_videos import scene, write_mask, write_video

from engine.store import StoreReader

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The current folder: clip.mp4 of 6 frames, and first.h5 with a track from its third frame on."""
    images, masks = scene(6)
    write_video(tmp_path / "clip.mp4", images)
    write_mask(tmp_path / "m.png", masks[2])
    monkeypatch.chdir(tmp_path)


def test_tracks_of_a_store_go_on_under_their_names(cli: Cli) -> None:
    assert cli("propagate", "clip.mp4", "--mask", "car=m.png@2", "--model", "dis", "-o", "first.h5").status == 0
    done = cli("propagate", "clip.mp4", "--mask", "first.h5", "--model", "dis", "-o", "second.h5")
    assert done.status == 0, done.err
    with StoreReader("first.h5") as first, StoreReader("second.h5") as second:
        one, other = first.clip("clip"), second.clip("clip")
        assert [(track.id, track.name, track.first_frame) for track in other.tracks] == [(1, "car", 2)]
        assert [(r.frame, r.counts) for r in one.records()] == [(r.frame, r.counts) for r in other.records()]


def test_a_store_of_another_video_is_refused_in_one_line(cli: Cli) -> None:
    images, _ = scene(2)
    write_video(Path("other.mp4"), [image[:20, :20] for image in images])
    cli("propagate", "clip.mp4", "--mask", "car=m.png@2", "--model", "dis", "-o", "first.h5")
    done = cli("propagate", "other.mp4", "--mask", "first.h5", "--model", "dis", "-o", "second.h5")
    assert (done.status, done.out) == (2, "")
    assert "first.h5: the mask is" in done.err and len(done.err.strip().splitlines()) == 1


def test_a_store_comes_through_a_pipe(cli: Cli) -> None:
    cli("propagate", "clip.mp4", "--mask", "car=m.png@2", "--model", "dis", "-o", "first.h5")
    command = [sys.executable, "-m", "mugvos_cli.main", "propagate", "clip.mp4", "--mask", "-", "--model", "dis"]
    with Path("first.h5").open("rb") as pipe:
        done = subprocess.run([*command, "-o", "second.h5"], stdin=pipe, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    with StoreReader("first.h5") as first, StoreReader("second.h5") as second:
        pairs = zip(first.clip("clip").records(), second.clip("clip").records(), strict=True)
        assert all(one.counts == other.counts for one, other in pairs)


def test_one_pipe_cannot_be_two_things(cli: Cli) -> None:
    done = cli("propagate", "-", "--mask", "-", "--model", "dis", "-o", "second.h5")
    assert (done.status, done.out) == (2, "")
    assert "standard input is asked for more than once" in done.err
