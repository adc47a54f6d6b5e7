"""The two protocols on the reference cases: which frames and objects count, set means, what is missing or too much."""

from typing import Any

import evaluation_golden as golden
import numpy as np
import pytest
from evaluation_sources import MemoryClip, MemorySource, index_source, moving, source, square

from engine.errors import EvaluationError
from engine.evaluation import evaluate

GRANULAR = ("case_granular_0", "case_granular_1")


def granular(side: str) -> MemorySource:
    clips = []
    for case in GRANULAR:
        _, predicted, truth = golden.masks(case)
        arrays = {"pred": predicted, "gt": truth}[side]
        tracks = {f"track_{k:03d}": dict(enumerate(masks)) for k, masks in enumerate(arrays)}
        clips.append(MemoryClip(case, tracks))
    return MemorySource(clips)


def test_mug_means_equal_the_reference() -> None:
    report = evaluate(granular("pred"), granular("gt"), "mug")
    wanted = golden.document("case_granular")["mean_over_tracks, frames 1..T-2"]
    assert (report.mean.J, report.mean.F, report.mean.j_and_f) == pytest.approx(
        (wanted["J"], wanted["F"], wanted["JF"]), abs=1e-9
    )
    for clip, means in zip(report.clips, wanted["per_video"], strict=True):
        assert clip.mean.as_dict() == pytest.approx({**means, "J&F": (means["J"] + means["F"]) / 2}, abs=1e-9)
    assert report.complete and not report.problems


@pytest.mark.parametrize("case", ["case_half", "case_full", *GRANULAR])
def test_mug_tracks_equal_the_reference(case: str) -> None:
    z, predicted, truth = golden.masks(case)
    names = [str(name) for name in z["names"]]
    sides = [
        source({case: {name: dict(enumerate(masks)) for name, masks in zip(names, side, strict=True)}})
        for side in (predicted, truth)
    ]
    tracks = evaluate(*sides, "mug").clips[0].tracks
    assert [track.name for track in tracks] == names
    for k, track in enumerate(tracks):
        assert np.array_equal(track.J, z["J"][k, 1:-1]) and np.array_equal(track.F, z["F"][k, 1:-1])
        got = [[m.mean, m.recall, m.decay] for m in (track.region, track.boundary)]
        if z["davis_kept"][k]:
            assert got == pytest.approx(z["davis_stats"][k], abs=1e-9)


def objects(name: str) -> tuple[MemorySource, MemorySource, Any]:
    z = np.load(golden.GOLDEN / "case_objects.npz")
    wanted = golden.document("case_objects")[name]["davis_semi_supervised"]
    return index_source({"v": z[f"pred_{name}"]}), index_source({"v": z[f"gt_{name}"]}, void=255), wanted


VARIANTS = golden.document("case_objects")


@pytest.mark.parametrize("name", [n for n in VARIANTS if "exit" not in VARIANTS[n]["davis_semi_supervised"]])
def test_davis_objects_equal_the_reference(name: str) -> None:
    predicted, truth, wanted = objects(name)
    report = evaluate(predicted, truth, "davis")
    tracks = report.clips[0].tracks
    for measure, values in (("J", [t.region for t in tracks]), ("F", [t.boundary for t in tracks])):
        per_object = wanted[measure]["M_per_object"]
        per_object = list(per_object.values()) if isinstance(per_object, dict) else per_object
        assert [v.mean for v in values] == pytest.approx(per_object, abs=1e-9)
        for letter, field in (("M", "mean"), ("R", "recall"), ("D", "decay")):
            set_mean = np.mean([getattr(v, field) for v in values])
            assert set_mean == pytest.approx(np.mean(wanted[measure][letter]), abs=1e-9)


@pytest.mark.parametrize("name", [n for n in VARIANTS if "exit" in VARIANTS[n]["davis_semi_supervised"]])
def test_davis_names_objects_that_the_reference_stops_at(name: str) -> None:
    predicted, truth, _ = objects(name)
    report = evaluate(predicted, truth, "davis")
    assert not report.complete and "not in the first true frame" in report.problems[0].text
    assert len(report.clips[0].tracks) == np.load(golden.GOLDEN / "case_objects.npz")[f"gt_{name}"][0].max()
    with pytest.raises(EvaluationError, match="not in the first true frame"):
        evaluate(predicted, truth, "davis", strict=True)


def test_davis_never_opens_the_first_and_last_predicted_frame() -> None:
    predicted, truth, _ = objects("plain")
    evaluate(predicted, truth, "davis")
    assert set(predicted.clip("v").read) == set(range(1, 8))


def test_mug_takes_each_track_over_its_own_frames() -> None:
    late = moving(range(4, 9))
    truth = source({"v": {"whole": moving(range(10)), "late": late}})
    predicted = source({"v": {"whole": moving(range(10)), "late": {f: m for f, m in late.items() if 4 < f < 8}}})
    whole, late_score = evaluate(predicted, truth, "mug").clips[0].tracks
    assert whole.frames == tuple(range(1, 9))
    assert late_score.frames == (5, 6, 7)
    assert late_score.region.mean == 1


def test_mug_on_label_images_judges_frames_without_the_object_too() -> None:
    values = np.stack([square(5), square(6), np.zeros((40, 60), bool), square(8), square(9)]).astype(np.uint8)
    report = evaluate(index_source({"v": values}), index_source({"v": values}), "mug")
    assert report.tracks[0].frames == (1, 2, 3)


def test_mug_takes_void_out_and_davis_does_not() -> None:
    values = np.stack([square(5 + i) for i in range(4)]).astype(np.uint8)
    truth, predicted = values.copy(), values.copy()
    truth[:, :8] = 255
    predicted[:, :4] = 1
    sides = index_source({"v": predicted}), index_source({"v": truth}, void=255)
    assert evaluate(*sides, "mug").mean.J == 1
    assert evaluate(*sides, "davis").mean.J < 1


def test_label_images_against_a_track_tree_count_from_one_in_the_order_of_names() -> None:
    tracks = {"track_000": moving(range(5)), "track_001": moving(range(5), offset=20)}
    values = np.stack([tracks["track_000"][f] + 2 * tracks["track_001"][f].astype(np.uint8) for f in range(5)])
    report = evaluate(index_source({"v": values}), source({"v": tracks}, "mugvos"), "mug")
    assert report.mean.J == 1 and len(report.tracks) == 2


def test_an_unknown_protocol_is_refused_with_the_known_ones() -> None:
    with pytest.raises(EvaluationError, match="mug, davis"):
        evaluate(granular("pred"), granular("gt"), "guess")
