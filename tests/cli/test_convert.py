"""`mugvos convert`: exact both ways, several into one, and what is refused."""

import subprocess
import sys

import numpy as np
import pytest

from engine.masks import rle
from engine.store import StoreWriter, open_source
from engine.types import MaskRecord, Track
from mugvos_cli.options import FORMATS


def _write(path, names, overlapping=False):
    with StoreWriter(path) as writer:
        for name in names:
            records = []
            for frame in range(3):
                for track in (1, 2):
                    mask = np.zeros((20, 30), bool)
                    start = 2 if overlapping else 2 + 9 * (track - 1)
                    mask[start : start + 8, frame + track : frame + 12] = True
                    counts = rle.encode(mask)
                    records.append(MaskRecord(frame, track, counts, int(mask.sum()), rle.box(counts, 20, 30)))
            writer.add_clip(name, 30, 20, 3, [Track(1, "1"), Track(2, "2")], records)
    return path


def _masks(path, format=None):
    with open_source(path, format) as source:
        clips = [source.clip(name) for name in source.clips]
        return {(c.name, r.frame, r.track, rle.decode(r.counts, 20, 30).tobytes()) for c in clips for r in c.records()}


@pytest.fixture
def store(tmp_path):
    return _write(tmp_path / "a.h5", ["bear"])


def test_options_know_the_formats_of_the_engine():
    from engine.store import FORMATS as WRITABLE
    from engine.store import READABLE

    assert set(FORMATS) == set(WRITABLE) == set(READABLE)


@pytest.mark.parametrize("format", [name for name in FORMATS if name not in {"pipeline"}])
def test_there_and_back(cli, store, tmp_path, format):
    there, back = tmp_path / "there", tmp_path / "back.h5"
    assert cli("convert", store, there, "--to", format).status == 0
    done = cli("convert", there, back, "--from", format)
    assert done.status == 0, done.err
    assert _masks(back) == _masks(store)
    assert f"wrote {back}" in done.err and done.out == ""


def test_the_format_is_found_out_by_looking(cli, store, tmp_path):
    cli("convert", store, tmp_path / "tree", "--to", "davis")
    assert cli("convert", tmp_path / "tree", tmp_path / "b.h5").status == 0
    assert _masks(tmp_path / "b.h5") == _masks(store)


def test_several_are_merged(cli, store, tmp_path):
    other = _write(tmp_path / "b.h5", ["bmx", "cat"])
    done = cli("convert", store, other, tmp_path / "all.h5")
    assert done.status == 0, done.err
    assert _masks(tmp_path / "all.h5") == _masks(store) | _masks(other)


def test_two_inputs_with_the_same_clip(cli, store, tmp_path):
    done = cli("convert", store, _write(tmp_path / "b.h5", ["bear"]), tmp_path / "all.h5")
    assert done.status == 2 and "'bear'" in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "all.h5").exists()


@pytest.mark.parametrize("args", [["--to", "coco"], ["--from", "store"], ["--clip", "bear"], ["--flatten"]])
def test_options_for_one_input_only(cli, store, tmp_path, args):
    done = cli("convert", store, store, tmp_path / "x.h5", *args)
    assert done.status == 2 and done.err.count("\n") == 1


def test_one_clip_of_many(cli, tmp_path):
    many = _write(tmp_path / "many.h5", ["bear", "bmx"])
    assert cli("convert", many, tmp_path / "one.h5", "--clip", "bmx").status == 0
    assert {name for name, *_ in _masks(tmp_path / "one.h5")} == {"bmx"}


def test_overlaps_are_flattened_only_when_asked(cli, tmp_path):
    store = _write(tmp_path / "o.h5", ["bear"], overlapping=True)
    done = cli("convert", store, tmp_path / "tree", "--to", "davis")
    assert done.status == 2 and "--flatten" in done.err
    assert not (tmp_path / "tree").exists()
    assert cli("convert", store, tmp_path / "tree", "--to", "davis", "--flatten").status == 0


def test_an_existing_output_is_kept(cli, store, tmp_path):
    other = _write(tmp_path / "b.h5", ["bmx"])
    before = other.read_bytes()
    done = cli("convert", store, other)
    assert done.status == 2 and "--overwrite" in done.err
    assert other.read_bytes() == before
    assert cli("convert", store, other, "--overwrite").status == 0
    assert _masks(other) == _masks(store)


def test_input_and_output_at_once(cli, store):
    before = store.read_bytes()
    assert "input and output at once" in cli("convert", store, store, "--overwrite").err
    assert store.read_bytes() == before


def test_a_folder_that_holds_the_input_is_not_replaced(cli, store, tmp_path):
    (tmp_path / "kept").mkdir()
    listed = tmp_path / "kept" / "masks.json"
    assert cli("convert", store, listed, "--to", "coco").status == 0
    before = listed.read_bytes()
    done = cli("convert", listed, listed.parent, "--to", "mugvos", "--overwrite")
    assert done.status == 2 and "holds one" in done.err
    assert listed.read_bytes() == before


@pytest.mark.parametrize(
    ("args", "part"),
    [
        (["x"], "does not say which format"),
        (["x.h5", "--to", "bogus"], "is not one of"),
        (["x.h5", "--flatten"], "--flatten is for --to davis, not store"),
        (["x", "--to", "davis", "--predictions"], "--predictions is for --to mugvos, not davis"),
        (["x", "--to", "coco", "--nested"], "--nested is for --to pipeline, not coco"),
        (["x.zip", "--to", "mugvos"], "zips are read, not written"),
    ],
)
def test_formats_that_are_not_clear(cli, store, tmp_path, args, part):
    done = cli("convert", store, tmp_path / args[0], *args[1:])
    assert done.status == 2 and part in done.err and done.err.count("\n") == 1


def test_through_a_pipe(store, tmp_path):
    mugvos = [sys.executable, "-m", "mugvos_cli.main", "convert"]
    first = subprocess.run([*mugvos, str(store), "-"], capture_output=True, check=True)
    subprocess.run([*mugvos, "-", str(tmp_path / "b.h5")], input=first.stdout, capture_output=True, check=True)
    assert _masks(tmp_path / "b.h5") == _masks(store)


def test_an_output_that_cannot_be_written(cli, store):
    done = cli("convert", store, "/proc/nowhere/x.h5")
    assert done.status == 2 and done.err.count("\n") == 1
