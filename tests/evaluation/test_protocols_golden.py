"""The protocols that assign, that count sparsely and that count as vos-benchmark does, against the public tools."""

import json
from pathlib import Path
from typing import Any

import evaluation_golden as golden
import numpy as np
import pytest
from evaluation_sources import MemoryClip, MemorySource, index_source

from engine.errors import EvaluationError
from engine.evaluation import Report, evaluate
from engine.evaluation.meta import Meta, read_meta
from engine.types import Track

OBJECTS = golden.document("case_objects")
Z = np.load(golden.GOLDEN / "case_objects.npz")


def sides(name: str, void: int | None = 255) -> tuple[MemorySource, MemorySource]:
    return index_source({"v": Z[f"pred_{name}"]}), index_source({"v": Z[f"gt_{name}"]}, void)


def per_object(wanted: Any) -> list[float]:
    return list(wanted.values()) if isinstance(wanted, dict) else wanted


@pytest.mark.parametrize("name", [n for n in OBJECTS if "exit" not in OBJECTS[n]["davis_unsupervised"]])
def test_unsupervised_davis_equals_the_reference(name: str) -> None:
    report = evaluate(*sides(name), "davis-unsupervised")
    wanted = OBJECTS[name]["davis_unsupervised"]
    tracks = sorted(report.clips[0].tracks, key=lambda track: track.place)
    for measure, values in (("J", [t.region for t in tracks]), ("F", [t.boundary for t in tracks])):
        assert [v.mean for v in values] == pytest.approx(per_object(wanted[measure]["M_per_object"]), abs=1e-9)
        for letter, field in (("M", "mean"), ("R", "recall"), ("D", "decay")):
            assert [getattr(v, field) for v in values] == pytest.approx(per_object(wanted[measure][letter]), abs=1e-9)
        assert report.metrics[f"{measure}-Recall"] == pytest.approx(np.mean(per_object(wanted[measure]["R"])), abs=1e-9)


@pytest.mark.parametrize("name", [n for n in OBJECTS if "exit" in OBJECTS[n]["davis_unsupervised"]])
def test_unsupervised_davis_stops_where_the_reference_stops(name: str) -> None:
    with pytest.raises(EvaluationError, match="21 proposals, this protocol takes at most 20"):
        evaluate(*sides(name), "davis-unsupervised")


@pytest.mark.parametrize("name", OBJECTS)
def test_vos_benchmark_equals_the_reference(name: str) -> None:
    wanted = OBJECTS[name]["vos_benchmark_skip"]
    found = evaluate(*sides(name), "vos-benchmark").clips[0].tracks
    got = {str(track.id): [100 * track.mean.J, 100 * track.mean.F] for track in found}
    assert got == {key: pytest.approx(values, abs=1e-9) for key, values in wanted.items()}


def test_vos_benchmark_means_equal_the_reference() -> None:
    wanted = golden.document("case_granular")["vos_benchmark mean over tracks (x100)"]
    clips: dict[str, list[MemoryClip]] = {"pred": [], "gt": []}
    for case in ("case_granular_0", "case_granular_1"):
        _, predicted, truth = golden.masks(case)
        for side, arrays in (("pred", predicted), ("gt", truth)):
            clips[side].append(MemoryClip(case, {f"t{k}": dict(enumerate(m)) for k, m in enumerate(arrays)}))
    mean = evaluate(MemorySource(clips["pred"]), MemorySource(clips["gt"]), "vos-benchmark").mean
    assert pytest.approx((wanted["J"], wanted["F"]), abs=1e-9) == (100 * mean.J, 100 * mean.F)


LVOS = golden.document("case_lvos")
TASKS = {
    "semi-supervised": ("lvos", "pred"),
    "unsupervised_single": ("lvos-unsupervised-single", "salient"),
    "unsupervised_multiple": ("lvos-unsupervised-multiple", "prop"),
}


def lvos_source(kind: str) -> MemorySource:
    """Array frame t is file number 1 + 5 t."""
    z, clips = np.load(golden.GOLDEN / "case_lvos.npz"), []
    for video in LVOS["meta"]:
        values = z[f"{kind}_{video}"]
        ids = [int(i) for i in np.unique(values) if i]
        tracks = {str(i): {1 + 5 * t: image == i for t, image in enumerate(values)} for i in ids}
        clip = MemoryClip(video, tracks, frames=range(1, 1 + 5 * len(values), 5))
        clip.tracks = [Track(i, str(i)) for i in ids]
        clip._masks = {i: tracks[str(i)] for i in ids}
        clip.height, clip.width = values.shape[1:]
        clips.append(clip)
    return MemorySource(clips, "davis")


def lvos_meta(folder: Path) -> Meta:
    (folder / "meta.json").write_text(json.dumps({"videos": LVOS["meta"]}))
    (folder / "unseen.txt").write_text("\n".join(LVOS["unseen"]) + "\n")
    return read_meta(folder / "meta.json", folder / "unseen.txt")


def lvos(task: str, folder: Path) -> Report:
    protocol, kind = TASKS[task]
    return evaluate(lvos_source(kind), lvos_source("gt"), protocol, meta=lvos_meta(folder))


@pytest.mark.parametrize("task", LVOS["results"])
def test_lvos_equals_the_reference(task: str, tmp_path: Path) -> None:
    report, wanted = lvos(task, tmp_path), LVOS["results"][task]
    assert report.metrics == {key: pytest.approx(value, abs=1e-9) for key, value in wanted["global"].items()}
    assert report.mean.j_and_f == pytest.approx(wanted["global"]["J&F-Mean"], abs=1e-9)
    for clip in report.clips:
        by_place = sorted(clip.tracks, key=lambda track: track.id if track.place is None else track.place)
        for number, track in enumerate(by_place, 1):
            figures = wanted["per_object"][f"{clip.name}_{number if track.place is not None else track.id}"]
            assert pytest.approx((figures["J"], figures["F"]), abs=1e-9) == (track.mean.J, track.mean.F)
            assert track.stability == pytest.approx(figures["V"], abs=1e-9)


def test_without_unseen_objects_the_headline_is_the_plain_mean(tmp_path: Path) -> None:
    meta = Meta(lvos_meta(tmp_path).objects)
    report = evaluate(lvos_source("pred"), lvos_source("gt"), "lvos", meta=meta)
    assert np.isnan(report.metrics["J&F-Mean"])
    assert pytest.approx(np.mean([track.mean.J for track in report.tracks])) == report.mean.J
    assert any("unseen" in note for note in report.notes)


def test_lvos_without_a_meta_file_says_so() -> None:
    with pytest.raises(EvaluationError, match="needs the meta file"):
        evaluate(lvos_source("pred"), lvos_source("gt"), "lvos")
