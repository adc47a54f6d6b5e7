"""What is missing, too much, of another size or left out; processes; memory of long clips."""

import tracemalloc
from collections.abc import Iterator
from functools import partial

import numpy as np
import pytest
from evaluation_sources import MemoryClip, MemorySource, index_source, moving, source, square

from engine.errors import EvaluationError
from engine.evaluation import Report, evaluate, pool

TRUTH = {"a": {"x": moving(range(6)), "y": moving(range(6), 10)}, "b": {"x": moving(range(6))}}


def texts(report: Report) -> str:
    return "\n".join(problem.text for problem in report.problems)


def without(clip: str, track: str | None = None, frame: int | None = None) -> dict:
    """TRUTH less one clip, one track or one frame."""
    left = {c: {t: dict(masks) for t, masks in tracks.items()} for c, tracks in TRUTH.items()}
    if track is None:
        del left[clip]
    elif frame is None:
        del left[clip][track]
    else:
        del left[clip][track][frame]
    return left


def test_equal_masks_score_one() -> None:
    report = evaluate(source(TRUTH), source(TRUTH))
    assert (report.mean.J, report.mean.F) == (1, 1)
    assert report.complete and report.as_dict()["problems"] == []


@pytest.mark.parametrize(
    ("predicted", "format", "words", "J"),
    [
        pytest.param(without("b"), "store", ["1 clip (b)"], 2 / 3, id="clip"),
        pytest.param(without("a", "y"), "store", ["a: 1 track (y)"], 2 / 3, id="track"),
        pytest.param(without("b", "x", 3), "store", ["b/x: 1 judged frame (3)"], (2 + 3 / 4) / 3, id="frame"),
        pytest.param(without("a", "y", 2), "mugvos", ["a/y: 1 judged frame (2)"], (2 + 3 / 4) / 3, id="file"),
    ],
)
def test_what_is_missing_scores_zero_and_is_listed(predicted: dict, format: str, words: list[str], J: float) -> None:
    report = evaluate(source(predicted, format), source(TRUTH))
    assert report.mean.as_dict() == pytest.approx({"J&F": J, "J": J, "F": J})
    assert not report.complete
    assert all(word in texts(report) for word in words)
    with pytest.raises(EvaluationError, match="without prediction"):
        evaluate(source(predicted, format), source(TRUTH), strict=True)


def test_missing_scores_zero_even_where_nothing_is_to_be_found() -> None:
    empty = {f: np.zeros((40, 60), bool) for f in range(6)}
    report = evaluate(source({"v": {"x": moving([0])}}), source({"v": {"x": empty}}))
    assert report.mean.J == 0


def test_a_held_frame_without_the_track_counts_as_an_empty_mask() -> None:
    truth = {"v": {"x": {**moving(range(3)), 3: np.zeros((40, 60), bool), 4: square(9)}, "y": moving(range(5))}}
    predicted = {"v": {"x": moving(range(3)), "y": moving(range(5))}}
    report = evaluate(source(predicted), source(truth), strict=True)
    assert report.mean.J == 1


@pytest.mark.parametrize("frame", [0, 5])
def test_first_and_last_frame_may_be_missing(frame: int) -> None:
    assert evaluate(source(without("b", "x", frame), "mugvos"), source(TRUTH), strict=True).mean.J == 1


def test_extra_clips_tracks_and_frames_are_ignored_and_named() -> None:
    more = {**TRUTH, "a": {**TRUTH["a"], "z": moving(range(6))}, "c": TRUTH["b"], "b": {"x": moving(range(9))}}
    report = evaluate(source(more), source(TRUTH), strict=True)
    assert report.mean.J == 1
    assert "1 predicted clip (c)" in "\n".join(report.notes) and "1 predicted track (z)" in "\n".join(report.notes)


@pytest.mark.parametrize("protocol", ["mug", "davis"])
def test_clips_of_two_frames_are_left_out_and_named(protocol: str) -> None:
    values = np.stack([square(5 + i) for i in range(6)]).astype(np.uint8)
    sides = [index_source({"long": values, "short": values[:2]}) for _ in range(2)]
    report = evaluate(*sides, protocol)
    assert [clip.name for clip in report.clips] == ["long"]
    assert "short" in texts(report) and report.complete


def test_nothing_but_short_clips_is_an_error() -> None:
    short = source({"v": {"x": moving(range(2))}})
    with pytest.raises(EvaluationError, match="nothing to judge"):
        evaluate(short, short)


def test_predictions_that_match_nothing_are_an_error_with_both_names() -> None:
    two = source({"c": TRUTH["a"], "d": TRUTH["b"]})
    with pytest.raises(EvaluationError, match=r"\(c, d\).*\(a, b\)"):
        evaluate(two, source(TRUTH))


def test_an_empty_truth_is_an_error() -> None:
    with pytest.raises(EvaluationError, match="no clip"):
        evaluate(source(TRUTH), source({}))


def test_other_sizes_are_an_error_with_both_sizes_and_the_clip() -> None:
    wide = source({"a": {"x": {f: square(5, shape=(40, 64)) for f in range(6)}}})
    with pytest.raises(EvaluationError, match="a: the prediction is 64x40, the truth 60x40"):
        evaluate(wide, source(TRUTH))


def test_one_frame_of_another_size_is_named() -> None:
    odd = without("b", "x", 3)
    odd["b"]["x"][3] = square(5, shape=(41, 60))
    with pytest.raises(EvaluationError, match="b/x, frame 3: the prediction is 60x41, the truth 60x40"):
        evaluate(source(odd), source(TRUTH))


def test_progress_counts_tracks() -> None:
    seen: list[tuple[int, int]] = []
    evaluate(source(TRUTH), source(TRUTH), on_progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_processes_give_the_same_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "PIXELS_WORTH_A_PROCESS", 1.0)
    sides = source(without("b", "x", 3)), source(TRUTH)
    openers = partial(source, without("b", "x", 3)), partial(source, TRUTH)
    alone = evaluate(*sides)
    assert evaluate(*sides, jobs=2, openers=openers).as_dict() == alone.as_dict()


@pytest.mark.parametrize("names", ["ab", "abcdef"])
def test_processes_share_clips_or_tracks_and_report_the_same(monkeypatch: pytest.MonkeyPatch, names: str) -> None:
    """Few clips are shared out by tracks, many as a whole; faults and missing tracks come back the same way."""
    monkeypatch.setattr(pool, "PIXELS_WORTH_A_PROCESS", 1.0)
    truth = dict.fromkeys(names, TRUTH["a"])
    predicted = {**truth, "a": {"x": TRUTH["a"]["x"]}, "b": {t: {0: square(5, shape=(41, 60))} for t in "xy"}}
    sides = source(predicted), source(truth)
    openers = partial(source, predicted), partial(source, truth)
    alone = evaluate(*sides, keep_going=True)
    assert len(alone.clips) == len(names) - 1 and len(alone.problems) == 2
    assert evaluate(*sides, keep_going=True, jobs=2, openers=openers).as_dict() == alone.as_dict()
    with pytest.raises(EvaluationError, match="b: the prediction is 60x41"):
        evaluate(*sides, jobs=2, openers=openers)


class EndlessClip(MemoryClip):
    """A clip whose masks are made when asked for."""

    def __init__(self, name: str, count: int) -> None:
        super().__init__(name, {"x": {0: square(0)}}, frames=range(count))

    def mask(self, frame: int, track: int) -> np.ndarray:
        return square(frame % 40)


def peak(count: int) -> int:
    sides = [MemorySource([EndlessClip("v", count)]) for _ in range(2)]
    tracemalloc.start()
    report = evaluate(*sides)
    top = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert report.tracks[0].frames[-1] == count - 2
    return top


def test_memory_does_not_grow_with_the_length() -> None:
    """Only the scores themselves do: a few numbers a frame, against 2,400 bytes of one tiny mask."""
    peak(50)
    assert peak(2000) - peak(200) < 1800 * 400


@pytest.fixture(autouse=True)
def no_process_is_left() -> Iterator[None]:
    import multiprocessing

    yield
    assert not multiprocessing.active_children()
