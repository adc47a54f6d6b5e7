"""Paired bootstrap intervals: pairing, what is drawn, coverage on data whose truth is known."""

import numpy as np
import pytest

from engine.errors import EvaluationError
from engine.evaluation.comparison import Comparison, compare
from engine.evaluation.report import ClipScore, Mean, Report, TrackScore


def report(values: list[list[float]], group: str = "", headline: Mean | None = None) -> Report:
    """A clip for each list, a track for each value; J and F are equal."""
    clips = []
    for c, of_clip in enumerate(values):
        tracks = [
            TrackScore(t, f"t{t}", (1,), np.array([v]), np.array([v]), group=group) for t, v in enumerate(of_clip)
        ]
        clips.append(ClipScore(f"c{c}", tuple(tracks)))
    return Report("mug", tuple(clips), headline=headline)


def jf(comparison: Comparison, at: int = 0) -> tuple[float, float, float]:
    found = comparison.differences[at].by["J&F"]
    return found.value, found.low, found.high


def test_a_difference_that_holds_in_every_clip_is_sure_however_much_the_clips_differ() -> None:
    rng = np.random.default_rng(0)
    base = rng.random((12, 3))
    comparison = compare({"a": report(base.tolist()), "b": report((base + 0.02).tolist())})
    value, low, high = jf(comparison)
    assert value == pytest.approx(0.02) and (low, high) == pytest.approx((0.02, 0.02))
    assert comparison.differences[0].by["J"].sure
    alone = comparison.scores["a"]["J&F"]
    assert alone.high - alone.low > 0.1


def test_noise_is_not_sure() -> None:
    rng = np.random.default_rng(1)
    base = rng.random((20, 2))
    other = base + rng.normal(0, 0.1, base.shape)
    assert not compare({"a": report(base.tolist()), "b": report(other.tolist())}).differences[0].by["J&F"].sure


def test_tracks_of_a_clip_are_drawn_together() -> None:
    """Copies of a track in its clip add nothing to what is known; drawn track by track they would."""
    rng = np.random.default_rng(2)
    single = rng.random((8, 1))
    first, second = report(single.tolist()), report((single**2).tolist())
    many = [report(side.repeat(50, axis=1).tolist()) for side in (single, single**2)]
    assert jf(compare({"a": first, "b": second})) == pytest.approx(jf(compare({"a": many[0], "b": many[1]})))


def test_the_interval_covers_the_true_difference_about_as_often_as_it_says() -> None:
    rng, covered = np.random.default_rng(3), 0
    for seed in range(60):
        base = rng.random(30)
        other = base + rng.normal(0.05, 0.1, 30)
        sides = {"a": report([[v] for v in base]), "b": report([[v] for v in other])}
        _, low, high = jf(compare(sides, seed))
        covered += low <= 0.05 <= high
    assert 50 <= covered <= 60


def test_all_pairs_are_compared_on_the_tracks_that_all_have() -> None:
    a, b, c = report([[0.1, 0.2], [0.3]]), report([[0.2, 0.3], [0.4]]), report([[0.5], [0.6]])
    comparison = compare({"a": a, "b": b, "c": c})
    assert [(d.first, d.second) for d in comparison.differences] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert comparison.tracks == 2
    assert comparison.scores["a"]["J"].value == pytest.approx(0.2)
    assert "rather too narrow" in comparison.notes[1]


def test_one_clip_draws_tracks_and_one_track_nothing() -> None:
    comparison = compare({"a": report([[0.1, 0.5, 0.9]]), "b": report([[0.2, 0.4, 0.9]])})
    assert (comparison.unit, comparison.drawn) == ("track", 3)
    with pytest.raises(EvaluationError, match="one track alone"):
        compare({"a": report([[0.1]]), "b": report([[0.2]])})
    with pytest.raises(EvaluationError, match="no judged track in common"):
        compare({"a": report([[0.1]]), "b": report([[], [0.3]])})


def test_headlines_over_groups_are_compared_as_such() -> None:
    seen, unseen = report([[0.9, 0.8]] * 4, "seen"), report([[0.2]] * 2, "unseen")
    clips = seen.clips + tuple(ClipScore(f"u{i}", clip.tracks) for i, clip in enumerate(unseen.clips))
    both = Report("lvos", clips, headline=Mean(0.525, 0.525))
    assert compare({"a": both, "b": both}).scores["a"]["J&F"].value == pytest.approx((0.85 + 0.2) / 2)


def test_the_document_is_complete_and_repeatable() -> None:
    sides = {"a": report([[0.1], [0.5], [0.7]]), "b": report([[0.3], [0.4], [0.8]])}
    document = compare(sides).as_dict()
    assert document == compare(sides).as_dict()
    assert [entry["name"] for entry in document["predictions"]] == ["a", "b"]
    assert {"value", "low", "high", "sure"} == set(document["differences"][0]["J&F"])
