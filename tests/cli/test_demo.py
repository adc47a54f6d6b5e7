"""`mugvos demo`: the whole chain in one folder, again and again, and quiet when told to."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engine.rendering.demo_clip import TRACKS, DemoClip
from engine.store import StoreReader

Cli = Callable[..., Any]


@pytest.fixture(autouse=True)
def small_and_fast(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A small clip, and DIS flow in place of the bundled weights."""
    import engine.rendering.demo_clip as module

    monkeypatch.setattr(module, "DemoClip", lambda frames: DemoClip(width=160, height=96, frames=frames))
    monkeypatch.setenv("MUGVOS_MODEL", "dis")
    monkeypatch.chdir(tmp_path)


def test_the_demo_makes_scores_and_draws(cli: Cli) -> None:
    done = cli("demo", "-o", "demo", "--frames", 6)
    assert done.status == 0, done.err
    for name in ("clip.mp4", "truth.h5", "tracks.h5", "overlay.mp4", "sheet.png"):
        assert (Path("demo") / name).stat().st_size > 0
        assert f"demo/{name}" in done.err
    for command in ("propagate", "evaluate", "visualize"):
        assert f"$ mugvos {command} " in done.err
    assert "J&F" in done.out
    with StoreReader("demo/tracks.h5") as store:
        assert {track.name for track in store.clip("clip").tracks} == {track.name for track in TRACKS}


def test_the_demo_can_be_repeated_and_told_to_be_quiet(cli: Cli) -> None:
    assert cli("demo", "-o", "demo", "--frames", 4).status == 0
    (Path("demo") / "tracks.h5").unlink()
    unfinished = Path("demo") / "tracks.h5.part"
    unfinished.mkdir()
    (unfinished / "manifest.json").write_text("of another day")
    done = cli("demo", "-o", "demo", "--frames", 4, "-q")
    assert done.status == 0, done.err
    assert done.err == ""


def test_a_folder_that_cannot_be_made(cli: Cli) -> None:
    Path("taken").write_text("a file")
    done = cli("demo", "-o", "taken")
    assert done.status == 2
    assert done.err.startswith("mugvos: error: taken")
    assert len(done.err.splitlines()) == 1
