"""How tracks are paired when asked to, mistakes of other programs, clips that fail, other sizes, kinds of tracks."""

from pathlib import Path

import numpy as np
import pytest
from evaluation_sources import MemoryClip, MemorySource, index_source, moving, source, square

from engine.errors import EvaluationError, FormatError
from engine.evaluation import evaluate
from engine.evaluation.reading import resized, salient_mask
from engine.evaluation.report import breakdown
from engine.evaluation.traits import traits_of
from engine.evaluation.worst import worst_frames

TRACKS = {"1": moving(range(5)), "2": moving(range(5), 20)}
SWAPPED = {"1": TRACKS["2"], "2": TRACKS["1"]}
RENAMED = {"left_01": TRACKS["1"], "right_02": TRACKS["2"]}


@pytest.mark.parametrize(
    ("predicted", "match", "J"),
    [
        pytest.param(SWAPPED, "overlap", 1, id="overlap-whatever-the-names"),
        pytest.param(SWAPPED, "name", 0, id="name"),
        pytest.param(RENAMED, "number", 1, id="number"),
        pytest.param(RENAMED, "name", 0, id="no-name-agrees"),
        pytest.param({"9": TRACKS["2"]}, "overlap", 0.5, id="only-what-overlaps"),
    ],
)
def test_tracks_are_paired_as_asked(predicted: dict, match: str, J: float) -> None:
    assert evaluate(source({"v": predicted}), source({"v": TRACKS}), match=match).mean.J == J


def test_overlap_looks_where_each_track_is_first_seen() -> None:
    truth = {"a": moving(range(6)), "late": moving(range(3, 6), 20)}
    predicted = {"x": moving(range(3, 6), 20), "y": moving(range(6))}
    assert evaluate(source({"v": predicted}), source({"v": truth}), match="overlap").mean.J == 1


def test_grey_values_of_an_expanded_palette_are_named() -> None:
    values = np.stack([square(5 + f) for f in range(4)]).astype(np.uint8)
    with pytest.raises(EvaluationError, match=r"grey values of palette colours \(38 for 1\).*Pillow"):
        evaluate(index_source({"v": values * 38}), index_source({"v": values}), "davis")


def test_void_in_a_prediction_is_listed() -> None:
    values = np.stack([square(5 + f) for f in range(4)]).astype(np.uint8)
    spoilt = values.copy()
    spoilt[2, :3] = 255
    report = evaluate(index_source({"v": spoilt}, void=255), index_source({"v": values}), "davis")
    assert "v: 1 predicted frame (2) with pixels of value 255" in report.problems[0].text and report.mean.J == 1


class BrokenClip(MemoryClip):
    def mask(self, frame: int, track: int) -> np.ndarray | None:
        raise FormatError("bad/000.png: the image is damaged", "write it again")


@pytest.mark.parametrize("side", ["predicted", "truth"])
def test_a_clip_that_cannot_be_read_ends_the_work_or_is_left_out(side: str) -> None:
    good, bad = MemoryClip("good", TRACKS), BrokenClip("bad", TRACKS)
    sides = [MemorySource([good, bad]), MemorySource([good, MemoryClip("bad", TRACKS)])]
    predicted, truth = sides if side == "predicted" else sides[::-1]
    with pytest.raises(FormatError, match="damaged"):
        evaluate(predicted, truth)
    report = evaluate(predicted, truth, keep_going=True)
    assert [clip.name for clip in report.clips] == ["good"] and report.mean.J == 1
    assert not report.complete and len(report.problems) == 1
    assert report.problems[0].text == "bad/000.png: the image is damaged, clip left out"


def test_predictions_are_resized_when_asked() -> None:
    small = {f: mask[::2, ::2] for f, mask in TRACKS["1"].items()}
    truth = {f: mask[::2, ::2].repeat(2, 0).repeat(2, 1) for f, mask in TRACKS["1"].items()}
    sides = source({"v": {"1": small}}), source({"v": {"1": truth}})
    with pytest.raises(EvaluationError, match="--resize"):
        evaluate(*sides)
    assert evaluate(*sides, resize=True).mean.J == 1


@pytest.mark.parametrize("size", [(40, 60), (20, 30), (80, 120), (13, 71), (1, 1)])
def test_resizing_takes_the_pixel_under_each_centre(size: tuple[int, int]) -> None:
    mask = np.random.default_rng(0).random((40, 60)) < 0.5
    rows = [int((y + 0.5) * 40 / size[0]) for y in range(size[0])]
    columns = [int((x + 0.5) * 60 / size[1]) for x in range(size[1])]
    assert np.array_equal(resized(mask, *size), mask[np.ix_(rows, columns)])


@pytest.mark.parametrize(
    ("values", "wanted"), [([0, 1], [0, 1]), ([0, 255], [0, 1]), ([0, 126, 127, 200], [0, 0, 1, 1])]
)
def test_salient_maps_of_every_kind(tmp_path: Path, values: list[int], wanted: list[int]) -> None:
    from PIL import Image

    from engine.store import open_source

    (tmp_path / "v").mkdir()
    Image.fromarray(np.array([values], np.uint8).repeat(3, 0)).save(tmp_path / "v" / "00001.png")
    clip = open_source(tmp_path, "davis").clip("v")
    assert salient_mask(clip, 1)[0].astype(int).tolist() == wanted
    assert salient_mask(clip, 2) is None


def test_the_salient_object_of_tracks_is_their_union() -> None:
    clip = MemoryClip("v", TRACKS)
    assert np.array_equal(salient_mask(clip, 0), TRACKS["1"][0] | TRACKS["2"][0])


@pytest.mark.parametrize(
    ("areas", "overlaps", "size", "motion", "occlusion"),
    [
        ([2000, 2000, 2000], [2000, 1990, 1990], "medium", "slow", "visible"),
        ([100, 100, 100], [100, 90, 90], "small", "medium", "visible"),
        ([20000, 20000, 8000], [0, 9000, 7000], "large", "fast", "shrinks"),
        ([100, 0, 100], [100, 0, 0], "small", "", "vanishes"),
        ([0, 100, 100, 0], [0, 0, 95, 0], "small", "slow", "visible"),
        ([0, 0], [0, 0], "", "", "visible"),
    ],
)
def test_kinds_of_tracks(areas: list, overlaps: list, size: str, motion: str, occlusion: str) -> None:
    traits = traits_of(areas, overlaps)
    assert (traits.size, traits.motion, traits.occlusion) == (size, motion, occlusion)


def test_the_breakdown_measures_the_truth_whatever_was_predicted() -> None:
    still = {f: square(5) for f in range(20)}
    gone = {f: square(5 + 6 * f % 40) if f != 9 else np.zeros((40, 60), bool) for f in range(20)}
    truth = source({"v": {"1": still, "2": gone}})
    for predicted in (truth, source({"v": {"1": still}}), source({"v": {"2": still}})):
        tracks = evaluate(predicted, truth).tracks
        assert [t.traits.motion for t in tracks] == ["slow", "fast"]
        assert [t.traits.occlusion for t in tracks] == ["visible", "vanishes"]
        assert tracks[0].traits.area == 144 and tracks[0].traits.steadiness == 1
    groups = breakdown(evaluate(truth, truth).tracks)
    assert [(g.name, g.tracks) for g in groups["motion"]] == [("slow", 1), ("fast", 1)]
    assert {g.name for g in groups["level"]} == {"0"}


def test_the_worst_frames_come_with_both_masks() -> None:
    predicted = {"1": {**TRACKS["1"], 2: square(40)}, "2": TRACKS["2"]}
    sides = source({"v": predicted}), source({"v": TRACKS})
    worst, other = worst_frames(evaluate(*sides), *sides, count=5)
    assert (worst.track, worst.frame, worst.J) == ("1", 2, 0) and other.J == 1
    assert np.array_equal(worst.predicted, square(40)) and np.array_equal(worst.truth, TRACKS["1"][2])
