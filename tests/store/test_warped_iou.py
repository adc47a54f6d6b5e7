"""The IoU with the warped mask: kept by stores and running segments, written by the pipeline's format."""

import json
import math
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from engine.errors import StoreError
from engine.masks import rle
from engine.store import SegmentedRun, StoreReader, StoreWriter, export, merge_stores, open_source
from engine.types import MaskRecord, Track

TRACKS = [Track(0, "a"), Track(1, "b")]


def _records(known: bool) -> list[MaskRecord]:
    mask = np.zeros((6, 7), np.bool_)
    mask[2:4, 1:5] = True
    plain = [rle.record(frame, track, mask, 0.5) for frame in range(700) for track in (0, 1)]
    if not known:
        return plain
    return [replace(r, warped_iou=math.nan if r.track else r.frame / 1000) for r in plain]


def _write(path: Path, records: list[MaskRecord]) -> Path:
    with StoreWriter(path) as writer:
        writer.add_clip("clip", 7, 6, 700, TRACKS, records)
    return path


def _values(path: Path) -> list[float]:
    with StoreReader(path) as store:
        clip = store.clip("clip")
        assert clip.record(650, 0).warped_iou == pytest.approx(0.65)
        return [record.warped_iou for record in clip.records()]


def test_values_come_back(tmp_path: Path) -> None:
    records = _records(True)
    expected = [record.warped_iou for record in records]
    path = _write(tmp_path / "a.h5", records)
    assert np.array_equal(_values(path), expected, equal_nan=True)
    merge_stores([path], tmp_path / "b.h5")
    assert np.array_equal(_values(tmp_path / "b.h5"), expected, equal_nan=True)


def test_nothing_is_written_where_nothing_is_known(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.h5", _records(False))
    with h5py.File(path) as file:
        assert "warped_iou" not in file["clips/clip"]
    with StoreReader(path) as store:
        assert all(math.isnan(record.warped_iou) for record in store.clip("clip").records())


def test_a_running_clip_keeps_them(tmp_path: Path) -> None:
    records = _records(True)
    with SegmentedRun(tmp_path / "a.h5", {}) as run:
        run.append(0, records[:2])
        run.checkpoint({}, TRACKS)
    with SegmentedRun(tmp_path / "a.h5", {}) as run:
        for frame in range(1, 700):
            run.append(frame, records[2 * frame : 2 * frame + 2])
        run.finish("clip", 7, 6, 700, tracks=TRACKS)
    assert np.array_equal(_values(tmp_path / "a.h5"), [r.warped_iou for r in records], equal_nan=True)


def test_another_number_of_values_is_damage(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.h5", _records(True))
    with h5py.File(path, "r+") as file:
        values = file["clips/clip/warped_iou"][:-1]
        del file["clips/clip/warped_iou"]
        file["clips/clip/warped_iou"] = values
    with StoreReader(path) as store, pytest.raises(StoreError, match="warped_iou"):
        store.clip("clip")


def test_the_pipeline_format_writes_it_as_iou(tmp_path: Path) -> None:
    path = _write(tmp_path / "a.h5", _records(True))
    with open_source(path) as source:
        export(source, tmp_path / "json", "pipeline")
    entries = json.loads((tmp_path / "json" / "clip" / "00300.json").read_text())
    assert [entry["iou"] for entry in entries] == [0.3, 0.5]
