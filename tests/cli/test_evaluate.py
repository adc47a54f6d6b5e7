"""`mugvos evaluate` on small trees and stores: what is printed where, and the exit status."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SHAPE = (48, 64)
PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0] + [0] * 759

Run = Callable[..., Any]


def disc(frame: int, track: int, off: int = 0) -> np.ndarray:
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (y - 24) ** 2 + (x - 15 - 16 * track - frame - off) ** 2 < 49


def write_tracks(root: Path, clips: tuple[str, ...] = ("bear", "cow"), off: int = 0, name: str = "{:03d}") -> Path:
    """clip/track/frame.png, two tracks of five frames each."""
    for clip in clips:
        for track in range(2):
            folder = root / clip / f"track_{track:03d}"
            folder.mkdir(parents=True)
            for frame in range(5):
                mask = disc(frame, track, off)
                Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{name.format(frame)}.png")
    return root


def write_labels(root: Path, clips: tuple[str, ...] = ("bear", "cow"), off: int = 0) -> Path:
    """clip/frame.png with palette, two objects in five frames."""
    for clip in clips:
        (root / clip).mkdir(parents=True)
        for frame in range(5):
            values = disc(frame, 0, off).astype(np.uint8)
            values[disc(frame, 1, off)] = 2
            image = Image.fromarray(values, "P")
            image.putpalette(PALETTE)
            image.save(root / clip / f"{frame:05d}.png")
    return root


def document(run: Run, *args: object) -> dict[str, Any]:
    outcome = run("evaluate", *args, "--json")
    assert outcome.status == 0, outcome.err
    return json.loads(outcome.out)


def test_equal_trees_score_one_hundred(cli: Run, tmp_path: Path) -> None:
    predicted, truth = write_tracks(tmp_path / "p", name="{:05d}"), write_tracks(tmp_path / "t")
    outcome = cli("evaluate", predicted, "--gt", truth)
    assert outcome.status == 0
    lines = outcome.out.splitlines()
    assert lines[0].split() == ["clip", "tracks", "frames", "J&F", "J", "F"]
    assert lines[1].split() == ["bear", "2", "6", "100.0", "100.0", "100.0"]
    assert lines[-1] == "mug: J&F 100.0  J 100.0  F 100.0  (4 tracks, 12 judged frames)"
    assert "protocol mug" in outcome.err and "first and last" in outcome.err


def test_the_json_document_has_the_documented_form(cli: Run, tmp_path: Path) -> None:
    predicted, truth = write_tracks(tmp_path / "p", off=3), write_tracks(tmp_path / "t")
    got = document(cli, predicted, "--gt", truth)
    assert got["schema"] == 1 and got["protocol"] == "mug" and got["problems"] == []
    assert set(got["mean"]) == {"J&F", "J", "F"}
    assert [clip["name"] for clip in got["clips"]] == ["bear", "cow"]
    track = got["clips"][0]["tracks"][1]
    assert {"id", "name", "J", "F", "frames"} <= set(track)
    assert track["name"] == "track_001" and track["frames"] == 3 and 0 < track["J"] < 1
    assert got["mean"]["J&F"] == pytest.approx((got["mean"]["J"] + got["mean"]["F"]) / 2)


def test_label_images_are_judged_as_davis(cli: Run, tmp_path: Path) -> None:
    predicted, truth = write_labels(tmp_path / "p", off=2), write_labels(tmp_path / "t")
    got = document(cli, predicted, "--gt", truth)
    assert got["protocol"] == "davis"
    assert [track["id"] for track in got["clips"][0]["tracks"]] == [1, 2]


@pytest.mark.parametrize("kind", ["tree", "labels"])
def test_a_store_scores_like_what_it_was_made_from(cli: Run, tmp_path: Path, kind: str) -> None:
    from engine.store import StoreWriter, open_source

    write = {"tree": write_tracks, "labels": write_labels}[kind]
    predicted, truth = write(tmp_path / "p", off=2), write(tmp_path / "t")
    for side in (predicted, truth):
        source = open_source(str(side))
        with StoreWriter(side.with_suffix(".h5")) as store:
            for name in source.clips:
                clip = source.clip(name)
                store.add_clip(name, clip.width, clip.height, len(clip.frames), clip.tracks, clip.records())
    protocol = ("--protocol", "mug" if kind == "tree" else "davis")
    wanted = document(cli, predicted, "--gt", truth, *protocol)["mean"]
    for sides in ((".h5", ""), ("", ".h5"), (".h5", ".h5")):
        p, t = (side.with_suffix(s) for side, s in zip((predicted, truth), sides, strict=True))
        assert document(cli, p, "--gt", t, *protocol)["mean"] == wanted


@pytest.mark.parametrize("track", ["track_{:03d}", "part_{}_of_it"])
@pytest.mark.parametrize("above", [".", "0.5"])
def test_results_named_after_video_and_track(cli: Run, tmp_path: Path, track: str, above: str) -> None:
    if above != "." and track != "track_{:03d}":
        pytest.skip("such a tree is named by its inner folder")
    truth, predicted = write_tracks(tmp_path / "t"), write_tracks(tmp_path / "p", off=2, name="{:05d}")
    wanted = document(cli, predicted, "--gt", truth)["mean"]
    results = tmp_path / "r" / above
    results.mkdir(parents=True)
    for folder in [*predicted.glob("*/*")]:
        folder.rename(results / f"{folder.parent.name}_{track.format(int(folder.name[-3:]))}")
    for folder in [*truth.glob("*/*")]:
        folder.rename(folder.with_name(track.format(int(folder.name[-3:]))))
    assert document(cli, tmp_path / "r", "--gt", truth)["mean"] == wanted


def test_label_images_against_a_track_tree(cli: Run, tmp_path: Path) -> None:
    predicted, truth = write_labels(tmp_path / "p"), write_tracks(tmp_path / "t")
    wanted = document(cli, write_tracks(tmp_path / "same", off=0), "--gt", truth)
    got = document(cli, predicted, "--gt", truth)
    assert [len(clip["tracks"]) for clip in got["clips"]] == [2, 2]
    assert got["mean"]["J"] == pytest.approx(wanted["mean"]["J"], abs=0.1)


def test_csv_has_a_row_for_each_track_at_full_precision(cli: Run, tmp_path: Path) -> None:
    predicted, truth = write_tracks(tmp_path / "p", off=3), write_tracks(tmp_path / "t")
    file = tmp_path / "scores.csv"
    outcome = cli("evaluate", predicted, "--gt", truth, "--csv", file)
    assert outcome.status == 0 and "J&F" in outcome.out
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert list(rows[0]) == ["video", "track", "frames", "J", "F", "J&F", "J-Recall", "F-Recall", "J-Decay", "F-Decay"]
    tracks = document(cli, predicted, "--gt", truth)["clips"][0]["tracks"]
    assert float(rows[0]["J"]) == tracks[0]["J"] and rows[0]["video"] == "bear" and len(rows) == 4


def test_csv_on_standard_output_is_alone_there(cli: Run, tmp_path: Path) -> None:
    truth = write_tracks(tmp_path / "t")
    outcome = cli("evaluate", truth, "--gt", truth, "--csv", "-")
    assert len(list(csv.reader(outcome.out.splitlines()))) == 5


def test_an_existing_csv_is_kept_unless_asked(cli: Run, tmp_path: Path) -> None:
    truth, file = write_tracks(tmp_path / "t"), tmp_path / "scores.csv"
    file.write_text("mine")
    outcome = cli("evaluate", truth, "--gt", truth, "--csv", file)
    assert outcome.status == 2 and "scores.csv" in outcome.err and file.read_text() == "mine"
    assert cli("evaluate", truth, "--gt", truth, "--csv", file, "--overwrite").status == 0
    assert file.read_text().startswith("video,")


def test_per_track_prints_a_row_for_each_track(cli: Run, tmp_path: Path) -> None:
    truth = write_tracks(tmp_path / "t")
    rows = cli("evaluate", truth, "--gt", truth, "--per-track").out.splitlines()
    assert rows[2].split()[:2] == ["bear", "track_001"] and len(rows) == 7


def test_missing_predictions_are_listed_and_the_status_is_one(cli: Run, tmp_path: Path) -> None:
    predicted, truth = write_tracks(tmp_path / "p", ("bear",)), write_tracks(tmp_path / "t")
    (predicted / "bear" / "track_001" / "002.png").unlink()
    outcome = cli("evaluate", predicted, "--gt", truth, "--json")
    assert outcome.status == 1
    problems = "\n".join(json.loads(outcome.out)["problems"])
    assert "cow" in problems and "bear/track_001: 1 judged frame (2)" in problems
    assert "cow" in outcome.err and "Traceback" not in outcome.err


def test_strict_stops_at_missing_predictions(cli: Run, tmp_path: Path) -> None:
    predicted, truth = write_tracks(tmp_path / "p", ("bear",)), write_tracks(tmp_path / "t")
    outcome = cli("evaluate", predicted, "--gt", truth, "--strict")
    assert outcome.status == 2 and outcome.out == "" and "cow" in outcome.err


def test_other_sizes_are_named(cli: Run, tmp_path: Path) -> None:
    predicted, truth = write_tracks(tmp_path / "p"), write_tracks(tmp_path / "t")
    for file in predicted.rglob("*.png"):
        Image.open(file).resize((32, 24)).save(file)
    outcome = cli("evaluate", predicted, "--gt", truth)
    assert outcome.status == 2 and "32x24" in outcome.err and "64x48" in outcome.err


@pytest.mark.parametrize("args", [("nowhere", "--gt", "t"), ("t", "--gt", "nowhere")])
def test_a_path_that_is_not_there(cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple) -> None:
    monkeypatch.chdir(tmp_path)
    write_tracks(tmp_path / "t")
    outcome = cli("evaluate", *args)
    assert outcome.status == 2 and "nowhere" in outcome.err and outcome.out == ""


def test_both_from_standard_input_is_refused(cli: Run) -> None:
    outcome = cli("evaluate", "-", "--gt", "-")
    assert outcome.status == 2 and "standard input" in outcome.err


def test_an_unknown_protocol_is_refused(cli: Run) -> None:
    outcome = cli("evaluate", "p", "--gt", "t", "--protocol", "guess")
    assert outcome.status == 2 and "mug" in outcome.err


def test_colour_pngs_are_refused_by_name(cli: Run, tmp_path: Path) -> None:
    predicted, truth = write_tracks(tmp_path / "p"), write_tracks(tmp_path / "t")
    file = predicted / "bear" / "track_000" / "002.png"
    colours = np.zeros((*SHAPE, 3), np.uint8)
    colours[10:20, 10:20] = (200, 30, 0)
    Image.fromarray(colours).save(file)
    outcome = cli("evaluate", predicted, "--gt", truth)
    assert outcome.status == 2 and "002.png" in outcome.err and "Traceback" not in outcome.err


def test_a_corrupt_png_is_refused_by_name(cli: Run, tmp_path: Path) -> None:
    predicted, truth = write_tracks(tmp_path / "p"), write_tracks(tmp_path / "t")
    file = predicted / "cow" / "track_001" / "003.png"
    file.write_bytes(file.read_bytes()[:60])
    outcome = cli("evaluate", predicted, "--gt", truth)
    assert outcome.status == 2 and "003.png" in outcome.err and "Traceback" not in outcome.err


def test_chosen_clips_are_judged_alone(cli: Run, tmp_path: Path) -> None:
    truth = write_tracks(tmp_path / "truth")
    found = write_tracks(tmp_path / "found", clips=("bear",))
    assert cli("evaluate", found, "--gt", truth).status == 1, "a missing clip is a problem"
    done = cli("evaluate", found, "--gt", truth, "--clip", "bear")
    assert done.status == 0, done.err
    assert "cow" not in done.out
    wrong = cli("evaluate", found, "--gt", truth, "--clip", "beer")
    assert (wrong.status, "no clip 'beer'" in wrong.err) == (2, True)
