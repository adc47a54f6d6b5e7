"""`mugvos info`."""

import json

import numpy as np
import pytest

from engine.masks import rle
from engine.store import StoreWriter, export
from engine.types import MaskRecord, Track


@pytest.fixture
def store(tmp_path):
    """Two clips of four frames, each with a track and a part of it."""
    path = tmp_path / "tracks.h5"
    with StoreWriter(path) as writer:
        for name in ("bear", "bmx"):
            records = []
            for frame in range(4):
                for track in (1, 2):
                    mask = np.zeros((20, 30), bool)
                    mask[4 : 14 - 2 * track, frame + 3 : frame + 12] = True
                    counts = rle.encode(mask)
                    records.append(MaskRecord(frame, track, counts, int(mask.sum()), rle.box(counts, 20, 30)))
            tracks = [Track(1, "animal"), Track(2, "head", parent=1, level=1)]
            more = {"source": f"{name}.mp4", "fps": 24, "provenance": {"command": "test"}}
            writer.add_clip(name, 30, 20, 4, tracks, records, **more)
    return path


def test_a_line_a_clip(cli, store):
    done = cli("info", store)
    assert done.status == 0, done.err
    lines = done.out.splitlines()
    assert "store of schema 1, 2 clips, 4 tracks, 16 masks, " in lines[0]
    assert lines[3].split() == ["bear", "30x20", "4", "2", "8", "24", "complete"]


def test_one_clip_shows_its_tracks(cli, store):
    done = cli("info", store, "--clip", "bmx")
    assert "1 clip, 2 tracks, 8 masks" in done.out
    assert any(line.split() == ["2", "head", "0", "1", "1"] for line in done.out.splitlines())
    assert "source: bmx.mp4" in done.out and "command: test" in done.out


def test_json(cli, store):
    document = json.loads(cli("info", store, "--json").out)
    assert document["schema"] == 1 and document["format"] == "store" and document["store_schema"] == 1
    clip = document["clips"][0]
    assert (clip["name"], clip["width"], clip["height"], clip["masks"], clip["fps"]) == ("bear", 30, 20, 8, 24.0)
    assert clip["tracks"][1]["parent"] == 1 and clip["provenance"] == {"command": "test"} and clip["complete"] is True


def test_other_formats(cli, store, tmp_path):
    export(store, tmp_path / "tree", "mugvos")
    document = json.loads(cli("info", tmp_path / "tree", "--json").out)
    assert document["format"] == "mugvos" and [clip["masks"] for clip in document["clips"]] == [8, 8]
    assert document["clips"][0]["fps"] is None
    assert cli("info", tmp_path / "tree").status == 0


@pytest.mark.parametrize("content", [b"", b"hello", b"\x89HDF\r\n\x1a\nrest", b"{"])
def test_what_holds_no_masks(cli, tmp_path, content):
    path = tmp_path / "x.h5"
    path.write_bytes(content)
    done = cli("info", path)
    assert done.status == 2
    assert str(path) in done.err and done.err.count("\n") == 1


def test_missing_file_and_missing_clip(cli, store):
    assert "no such file" in cli("info", "nowhere.h5").err
    done = cli("info", store, "--clip", "cat")
    assert done.status == 2 and "'cat'" in done.err and done.err.count("\n") == 1


def test_the_statistics_of_table_1(cli, store):
    """Track 1 covers 8 of 20 rows and 9 of 30 columns, track 2 lies inside of it."""
    document = json.loads(cli("info", store, "--json").out)
    wanted = {"masks": 16, "mask_tracks": 4, "masks_per_frame": 2.0, "annotated_frames": 8}
    assert wanted.items() <= document["statistics"].items()
    assert document["statistics"]["density"] == pytest.approx(8 * 9 / 600)
    assert document["clips"][1]["statistics"]["masks"] == 8
    lines = cli("info", store).out.splitlines()
    assert lines[-2].split("  ")[0] == "density" and lines[-1].split() == ["0.120", "16", "4", "2.0", "8"]


def test_masks_without_a_pixel_are_told_apart(cli, tmp_path):
    mask = np.zeros((20, 30), bool)
    mask[3:9, 3:9] = True
    records = [rle.record(0, 1, mask), rle.record(1, 1, mask & False)]
    with StoreWriter(tmp_path / "t.h5") as writer:
        writer.add_clip("bear", 30, 20, 2, [Track(1, "animal")], records)
    lines = cli("info", tmp_path / "t.h5").out.splitlines()
    assert "2 masks (1 of them empty)" in lines[0] and lines[-1].split()[1] == "1"


def test_quick_reads_no_masks(cli, store):
    document = json.loads(cli("info", store, "--json", "--quick").out)
    assert document["statistics"] is None and document["clips"][0]["masks"] == 8
    assert "density" not in cli("info", store, "--quick").out
