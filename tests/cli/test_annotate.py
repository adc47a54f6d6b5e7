"""`mugvos annotate` up to where the page opens: what it takes, begins and refuses."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from annotation_clips import ANNA, SQUARE, open_project, write_project_store
from small_videos import scene, write_frames, write_mask

from engine.annotation import decisions
from engine.store import StoreReader

Cli = Callable[..., Any]


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The applications that would have been served; each ends at once."""
    apps: list[Any] = []

    def serve(app: Any, listening: Any) -> None:
        apps.append(listening.getsockname())
        listening.close()

    monkeypatch.setattr("mugvos_cli.annotate.server.serve", serve)
    return apps


def test_it_listens_on_this_machine_only_and_prints_two_links(cli: Cli, tmp_path: Path, served: list[Any]) -> None:
    store = write_project_store(tmp_path)
    outcome = cli("annotate", store, "--video", tmp_path / "frames", "--no-browser")
    assert outcome.status == 0, outcome.err
    ((host, port),) = served
    assert host == "127.0.0.1"
    lines = outcome.out.splitlines()
    assert [line.split(": ")[0] for line in lines] == ["annotator", "supervisor"]
    assert all(f"http://127.0.0.1:{port}/enter?token=" in line for line in lines)
    assert len({line.split("token=")[1] for line in lines}) == 2
    assert "unencrypted" not in outcome.err


def test_other_networks_are_warned_of(cli: Cli, tmp_path: Path, served: list[Any]) -> None:
    store = write_project_store(tmp_path)
    outcome = cli("annotate", store, "--video", tmp_path / "frames", "--host", "0.0.0.0", "--no-browser")
    assert (outcome.status, served[0][0]) == (0, "0.0.0.0")
    assert "served unencrypted" in outcome.err
    assert "token=" in outcome.out


def test_a_store_that_does_not_exist_begins_without_tracks(cli: Cli, tmp_path: Path, served: list[Any]) -> None:
    write_frames(tmp_path / "frames", scene(4)[0], ["3", "5", "9", "12"])
    new = tmp_path / "new.h5"
    assert cli("annotate", new, "--video", tmp_path / "frames", "--no-browser").status == 0
    with StoreReader(new) as store:
        assert (list(store.clip("frames").frames), list(store.clip("frames").tracks)) == ([3, 5, 9, 12], [])
    assert cli("annotate", new, "--no-browser").status == 0, "the store knows its video"
    assert len(served) == 2


def test_first_masks_of_the_papers_tool_are_taken_over(cli: Cli, tmp_path: Path, served: list[Any]) -> None:
    images, masks = scene(3)
    write_frames(tmp_path / "videos" / "clip", images, ["000", "001", "002"])
    (tmp_path / "annotations" / "clip" / "track_000").mkdir(parents=True)
    write_mask(tmp_path / "annotations" / "clip" / "track_000" / "000.png", masks[0])
    arguments = ["annotate", tmp_path / "annotations", "--video", tmp_path / "videos" / "clip", "--no-browser"]
    refused = cli(*arguments)
    assert (refused.status, "--store tracks.h5" in refused.err) == (2, True)
    for _ in range(2):
        outcome = cli(*arguments, "--store", tmp_path / "tracks.h5")
        assert outcome.status == 0, outcome.err
    assert "gone on with" in outcome.err
    with StoreReader(tmp_path / "tracks.h5") as store:
        assert np.array_equal(store.clip("clip").mask(0, store.clip("clip").tracks[0].id), masks[0])


def test_finish_writes_what_a_crash_left(cli: Cli, tmp_path: Path) -> None:
    path = write_project_store(tmp_path)
    with open_project(path) as project:
        project.decide("clip", ANNA, lambda d: decisions.accept_rest(d, SQUARE, 0, {}))
    arguments = ["annotate", path, "--video", tmp_path / "frames", "--finish"]
    assert "tracks.h5: written" in cli(*arguments).err
    with StoreReader(path) as store:
        assert [track.review for track in store.clip("clip").tracks] == ["accepted", ""]
    assert "nothing was left to write" in cli(*arguments).err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.h5"], "gone.h5: no such file: check the name; with --video a new store (.h5) is begun"),
        (["-"], "a store that is annotated is written again: name a file, not -"),
        (["tracks.h5", "--video", "gone.mp4"], "gone.mp4"),
        (["tracks.h5", "--video", "frames", "--sam", "sam-huge"], "no SAM is called 'sam-huge'"),
        (["tracks.h5", "--video", "frames", "--model", "mmpm-tny"], "'mmpm-tny': did you mean mmpm-tiny?"),
        (["tracks.h5", "--video", "frames", "--host", "203.0.113.1"], "203.0.113.1:0 cannot be listened on"),
        (["tracks.h5", "--video", "frames", "--store", "copy.h5"], "are written into it, not into copy.h5"),
        (["frames", "--store", "frames/00000.png", "--overwrite"], "00000.png: is an input of this command"),
        (["frames", "--video", "frames"], "is no mask store: name one to take it over into: --store tracks.h5"),
    ],
)
def test_what_is_refused_in_one_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    write_project_store(tmp_path)
    monkeypatch.chdir(tmp_path)
    outcome = cli("annotate", *arguments, "--no-browser")
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.count("mugvos: error:") == 1


def test_a_missing_package_is_named(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import util

    find = util.find_spec
    monkeypatch.setattr(util, "find_spec", lambda name: None if name == "uvicorn" else find(name))
    outcome = cli("annotate", "tracks.h5")
    assert (outcome.status, "uvicorn is not installed: pip install 'mugvos[annotate]'" in outcome.err) == (2, True)
