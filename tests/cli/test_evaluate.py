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


@pytest.mark.parametrize("option", ["--csv", "--html"])
def test_what_is_judged_is_never_replaced(cli: Run, tmp_path: Path, option: str) -> None:
    tree, store = write_tracks(tmp_path / "t"), tmp_path / "t.h5"
    assert cli("convert", tree, store).status == 0
    before = store.read_bytes()
    for predicted, truth in ((store, tree), (tree, store)):
        done = cli("evaluate", predicted, "--gt", truth, option, store, "--overwrite")
        assert done.status == 2 and "t.h5: is an input of this command" in done.err
    assert store.read_bytes() == before


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
    lone = cli("evaluate", found, "--gt", truth, "--clip", "cow")
    assert lone.status == 1 and "(cow) without prediction" in lone.err, "bear's masks are not those of cow"
    every = cli("evaluate", truth, "--gt", truth, "--clip", "bear")
    assert every.status == 0 and "without truth" not in every.err, "cow has a truth, but was not asked for"
    (found / "bear").rename(found / "mine")
    assert cli("evaluate", found, "--gt", truth, "--clip", "bear").status == 0, "two lone clips belong together"
    wrong = cli("evaluate", found, "--gt", truth, "--clip", "beer")
    assert (wrong.status, "no clip 'beer'" in wrong.err) == (2, True)


# Further forms of the report


def test_the_worst_tracks_come_first(cli: Run, tmp_path: Path) -> None:
    predicted, truth = write_tracks(tmp_path / "p"), write_tracks(tmp_path / "t")
    for frame in (1, 2):
        Image.fromarray(np.zeros(SHAPE, np.uint8)).save(predicted / "cow" / "track_001" / f"{frame:03d}.png")
    lines = cli("evaluate", predicted, "--gt", truth, "--worst", 2).out.splitlines()
    assert lines[0].split()[-2:] == ["worst", "frame"] and len(lines) == 4
    assert lines[1].split()[:3] == ["cow", "track_001", "3"] and lines[1].split()[-1] == "1"


def test_the_breakdown_is_printed_and_in_the_document(cli: Run, tmp_path: Path) -> None:
    truth = write_tracks(tmp_path / "t")
    assert any(line.split()[:3] == ["size", "small", "4"] for line in cli_lines(cli, truth, "--breakdown"))
    got = document(cli, truth, "--gt", truth)
    assert set(got["breakdown"]) == {"size", "level", "motion", "occlusion"}
    assert got["breakdown"]["level"] == [{"group": "0", "tracks": 4, "J&F": 1.0, "J": 1.0, "F": 1.0}]
    assert got["metrics"]["J-Recall"] == 1.0


def cli_lines(cli: Run, truth: Path, *more: object) -> list[str]:
    lines: list[str] = cli("evaluate", truth, "--gt", truth, *more).out.splitlines()
    return lines


def test_every_frame_is_in_the_document_when_asked(cli: Run, tmp_path: Path) -> None:
    truth = write_tracks(tmp_path / "t")
    track = document(cli, truth, "--gt", truth, "--per-frame")["clips"][0]["tracks"][0]
    assert track["per_frame"] == {"frame": [1, 2, 3], "J": [1.0] * 3, "F": [1.0] * 3}
    assert "per_frame" not in document(cli, truth, "--gt", truth)["clips"][0]["tracks"][0]


def test_several_predictions_are_compared(cli: Run, tmp_path: Path) -> None:
    truth, good = write_tracks(tmp_path / "t"), write_tracks(tmp_path / "good", off=1)
    bad = write_tracks(tmp_path / "bad", off=5)
    outcome = cli("evaluate", "--compare", bad, good, truth, "--gt", truth)
    assert outcome.status == 0, outcome.err
    text = outcome.out
    assert f"{good} - {bad}" in text and "paired bootstrap over 2 clips" in text and "too narrow" in text
    assert len([line for line in text.splitlines() if " - " in line and line.endswith("yes")]) == 3
    got = json.loads(cli("evaluate", "--compare", bad, good, "--gt", truth, "--json").out)
    assert got["schema"] == 1 and got["mean"] == got["reports"][0]["mean"]
    assert [entry["name"] for entry in got["comparison"]["predictions"]] == [str(bad), str(good)]
    difference = got["comparison"]["differences"][0]["J&F"]
    assert difference["value"] == pytest.approx(got["reports"][1]["mean"]["J&F"] - got["reports"][0]["mean"]["J&F"])


def test_a_page_without_requests(cli: Run, tmp_path: Path) -> None:
    predicted, truth, page = write_tracks(tmp_path / "p", off=4), write_tracks(tmp_path / "t"), tmp_path / "r.html"
    assert cli("evaluate", predicted, "--gt", truth, "--html", page).status == 0
    text = page.read_text()
    assert text.count("<svg") == 4 and text.count("data:image/png") == 4 and "http" not in text
    assert "bear / track_000, frame" in text and "By granularity" in text
    assert cli("evaluate", predicted, "--gt", truth, "--html", page).status == 2, "it exists"
    done = cli("evaluate", "--compare", predicted, truth, "--gt", truth, "--html", page, "--overwrite")
    text = page.read_text()
    assert done.status == 0 and "Comparison" in text and "only 2 clips" in text
    assert (
        f"{truth} is better than {predicted}: J&amp;F +" in text and ">t less p<" in text and "J&amp;F by clip" in text
    )


def test_statistics_are_those_of_info(cli: Run, tmp_path: Path) -> None:
    truth = write_tracks(tmp_path / "t")
    got = json.loads(cli("evaluate", "--statistics", truth, "--json").out)
    assert {k: got[k] for k in got if k not in ("schema", "videos", "clips")} == json.loads(
        cli("info", truth, "--json").out
    )["statistics"]
    assert got["masks"] == 20 and got["mask_tracks"] == 4 and got["annotated_frames"] == 10
    lines = cli("evaluate", "--statistics", truth).out.splitlines()
    assert lines[1].split()[0] == "bear" and lines[-1].split()[1:] == ["20", "4", "2.0", "10"]


GRANULAR = ("case_granular_0", "case_granular_1")


def test_the_tables_of_the_davis_tool_byte_for_byte(cli: Run, tmp_path: Path) -> None:
    golden = Path(__file__).parents[1] / "golden" / "evaluate"
    for case in GRANULAR:
        z = np.load(golden / f"{case}.npz")
        shape = tuple(z["shape"])
        for side in ("gt", "pred"):
            masks = np.unpackbits(z[side])[: int(np.prod(shape))].reshape(shape)
            for k, of_track in enumerate(masks):
                folder = tmp_path / side / f"{case[5:]}_track_{k:03d}"
                folder.mkdir(parents=True)
                for frame, mask in enumerate(of_track):
                    Image.fromarray(mask).save(folder / f"{frame:05d}.png")
    outcome = cli("evaluate", tmp_path / "pred", "--gt", tmp_path / "gt", "--davis-csv", tmp_path / "out", *DAVIS)
    assert outcome.status in (0, 1), outcome.err
    for file in ("global_results-val.csv", "per-sequence_results-val.csv"):
        assert (tmp_path / "out" / file).read_bytes() == (golden / "tables" / f"davis_{file}").read_bytes()


DAVIS = ("--protocol", "davis", "--format", "davis", "--gt-format", "davis")


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("p",), "no ground truth"),
        (("p", "q", "--gt", "t"), "--compare"),
        (("--compare", "p", "--gt", "t"), "at least two"),
        (("--compare", "p", "p", "--gt", "t"), "named twice"),
        (("--statistics", "p", "--gt", "t"), "scores nothing"),
        (("--compare", "p", "q", "--gt", "t", "--csv", "x.csv"), "one prediction"),
        (("p", "--gt", "t", "--json", "--csv", "-"), "standard output"),
        (("p", "--gt", "t", "--match", "guess"), "overlap"),
        (("p", "--gt", "t", "--protocol", "lvos"), "--meta"),
    ],
)
def test_options_that_do_not_go_together(
    cli: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, args: tuple, words: str
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("p", "q", "t"):
        write_labels(tmp_path / name, clips=("bear",))
    outcome = cli("evaluate", *args)
    assert outcome.status == 2 and words in outcome.err and "Traceback" not in outcome.err


def test_the_names_of_protocols_and_matches_are_the_engine_s() -> None:
    from engine.evaluation import PROTOCOLS
    from engine.evaluation.settings import MATCHES
    from mugvos_cli.commands import evaluate as command

    assert tuple(PROTOCOLS) == command.PROTOCOLS and tuple(MATCHES) == command.MATCHES


# Bad input: one line, exit status 2; or the clip listed, exit status 1


def corrupt(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:60])


def sixteen_bits(file: Path) -> None:
    Image.fromarray(np.full(SHAPE, 1000, np.uint16)).save(file)


def expanded_palette(file: Path) -> None:
    Image.open(file).convert("RGB").save(file)


def no_png(file: Path) -> None:
    file.write_text("hello")


DAMAGES = {
    "corrupt": (corrupt, "damaged"),
    "16 bits": (sixteen_bits, "16 bits"),
    "expanded palette": (expanded_palette, "palette that OpenCV or imageio expanded"),
    "no PNG": (no_png, "no image"),
}


@pytest.mark.parametrize("side", ["predicted", "truth"])
@pytest.mark.parametrize("damage", DAMAGES)
def test_a_bad_png_is_one_line_or_a_clip_left_out(cli: Run, tmp_path: Path, damage: str, side: str) -> None:
    sides = {"predicted": write_labels(tmp_path / "p"), "truth": write_labels(tmp_path / "t")}
    spoil, words = DAMAGES[damage]
    spoil(sides[side] / "cow" / "00002.png")
    args = ("evaluate", sides["predicted"], "--gt", sides["truth"], "-q")
    outcome = cli(*args)
    assert outcome.status == 2 and outcome.out == ""
    assert outcome.err.count("\n") == 1 and "00002.png" in outcome.err and words in outcome.err
    outcome = cli(*args, "--keep-going", "--json")
    assert outcome.status == 1 and [clip["name"] for clip in json.loads(outcome.out)["clips"]] == ["bear"]
    problem = json.loads(outcome.out)["problems"][0]
    assert "cow" in problem and "clip left out" in problem


def empty_folder(path: Path) -> None:
    path.mkdir()


def empty_folders(path: Path) -> None:
    (path / "bear").mkdir(parents=True)


def truth_without_masks(path: Path) -> None:
    (path / "bear").mkdir(parents=True)
    for frame in range(5):
        Image.fromarray(np.zeros(SHAPE, np.uint8)).save(path / "bear" / f"{frame:05d}.png")


def other_json(path: Path) -> None:
    path.write_text('{"predictions": [1, 2]}')


def newer_store(path: Path) -> None:
    import h5py

    with h5py.File(path, "w") as file:
        file.attrs["format"], file.attrs["schema"] = "mugvos", 99


@pytest.mark.parametrize("make", [empty_folder, empty_folders, truth_without_masks, other_json, newer_store])
def test_a_truth_that_is_none_is_one_line(cli: Run, tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "truth")
    outcome = cli("evaluate", write_labels(tmp_path / "p"), "--gt", tmp_path / "truth", "-q")
    assert outcome.status == 2 and outcome.out == ""
    assert outcome.err.count("\n") == 1 and "Traceback" not in outcome.err
    if make is not truth_without_masks:
        assert "truth" in outcome.err


def test_a_csv_that_lies_about_is_never_read(cli: Run, tmp_path: Path) -> None:
    predicted, truth = write_labels(tmp_path / "p", off=2), write_labels(tmp_path / "t")
    wanted = document(cli, predicted, "--gt", truth)["mean"]
    (predicted / "global_results-val.csv").write_text("J&F-Mean\n0.999\n")
    (predicted / "results.csv").write_text("Global score, 99.9\n")
    assert document(cli, predicted, "--gt", truth)["mean"] == wanted


def write_detections(folder: Path) -> tuple[Path, Path]:
    """COCO truth of four images and a list of two scored masks for each, the first of them right."""
    from engine.masks import rle

    images, annotations, results = [], [], []
    for at in range(4):
        good, bad = ({"size": list(SHAPE), "counts": rle.encode(disc(at, 0, off)).decode()} for off in (0, 6))
        images.append({"id": at, "height": SHAPE[0], "width": SHAPE[1]})
        annotations.append({"id": at + 1, "image_id": at, "category_id": 1, "segmentation": good})
        results += [{"image_id": at, "score": s, "segmentation": c} for s, c in ((0.9, good), (0.3, bad))]
    (folder / "gt.json").write_text(json.dumps({"images": images, "annotations": annotations}))
    (folder / "found.json").write_text(json.dumps(results))
    return folder / "found.json", folder / "gt.json"


def test_scored_masks_print_the_figures_of_a2d(cli: Run, tmp_path: Path) -> None:
    found, truth = write_detections(tmp_path)
    lines = [line.split() for line in cli("evaluate", found, "--gt", truth).out.splitlines()]
    assert ["overall_iou", "100.0"] in lines and ["P@0.9", "100.0"] in lines
    got = document(cli, found, "--gt", truth, "--protocol", "referring")
    assert got["metrics"]["mAP 0.5:0.95"] == pytest.approx(1) and got["mean"] == {"J&F": None, "J": 1.0, "F": None}
    assert cli("evaluate", found, "--gt", truth, "--html", tmp_path / "x.html").status == 2


def test_the_davis_tables_of_any_protocol(cli: Run, tmp_path: Path) -> None:
    truth = write_labels(tmp_path / "t")
    done = cli("evaluate", truth, "--gt", truth, "--protocol", "youtube-vos", "--davis-csv", tmp_path / "out")
    assert done.status == 0, done.err
    assert (tmp_path / "out" / "global_results-val.csv").read_text().splitlines()[1].startswith("1.000,1.000,1.000,")
