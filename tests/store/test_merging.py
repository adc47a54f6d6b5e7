"""Many stores into one: shards that are missing, clips that are there twice, kills, full disks, very many clips."""

import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest
from store_samples import add_sample, write_sample

from engine.errors import OutputError, StoreError
from engine.store import StoreReader, StoreWriter, merge_stores
from engine.store.disk import NewFile
from engine.store.parts import Parts

MERGE = """
import sys, time
from pathlib import Path
from engine.store import StoreWriter, merge_stores
copy, done = StoreWriter.copy_clip, []
def slowly(self, name, group):
    copy(self, name, group)
    done.append(name)
    while len(done) == 2:
        Path(sys.argv[1]).write_text("")
        time.sleep(0.05)
StoreWriter.copy_clip = slowly
merge_stores(sys.argv[3:], sys.argv[2])
"""


def shard(folder: Path, index: int, count: int, *names: str, run: str = "r") -> Path:
    path = folder / f"part-{index}.h5"
    with StoreWriter(path, parts=Parts.of_shard(run, index, count)) as writer:
        for name in names:
            add_sample(writer, name)
    return path


def names(path: Path) -> list[str]:
    with StoreReader(path) as store:
        return list(store.clips)


def test_all_shards_of_a_run(cli: Callable[..., Any], tmp_path: Path) -> None:
    parts = [shard(tmp_path, i, 3, f"a{i}", f"b{i}") for i in (1, 2, 3)]
    done = cli("convert", *parts, tmp_path / "all.h5")
    assert done.status == 0, done.err
    assert names(tmp_path / "all.h5") == ["a1", "a2", "a3", "b1", "b2", "b3"]


def test_shards_that_are_missing_are_named(cli: Callable[..., Any], tmp_path: Path) -> None:
    parts = [shard(tmp_path, i, 4, f"a{i}") for i in (1, 3)]
    done = cli("convert", *parts, tmp_path / "some.h5")
    assert done.status == 1 and "made without shards 2 and 4 of 4" in done.err and done.err.count("\n") == 1
    assert names(tmp_path / "some.h5") == ["a1", "a3"]
    assert cli("convert", tmp_path / "some.h5", tmp_path / "copy.h5").status == 0
    (tmp_path / "some.h5").unlink()
    later = [shard(tmp_path, i, 4, f"a{i}") for i in (2, 4)]
    assert cli("convert", tmp_path / "copy.h5", *later, tmp_path / "all.h5").status == 0
    assert names(tmp_path / "all.h5") == ["a1", "a2", "a3", "a4"]


def test_shards_of_two_divisions(tmp_path: Path) -> None:
    parts = [shard(tmp_path, 1, 2, "a"), shard(tmp_path, 3, 3, "b")]
    with pytest.raises(StoreError, match="shards of 2 and of 3 are of one run"):
        merge_stores(parts, tmp_path / "all.h5")
    assert not (tmp_path / "all.h5").exists()


def test_missing_in_words() -> None:
    parts = Parts({"a": (3, frozenset({1, 3})), "b": (40, frozenset({1})), "c": (2, frozenset({1, 2}))})
    assert parts.missing() == ["shard 2 of 3", "shards 2, 3, 4, 5, 6, 7, 8, 9 and 31 more of 40"]
    assert Parts.of_text(parts.text()) == parts


@pytest.mark.parametrize("text", ["x", "[]", '{"a": 1}', '{"a": [1, "x"]}', '{"a": [1, null]}'])
def test_parts_that_cannot_be_understood(tmp_path: Path, text: str) -> None:
    path = shard(tmp_path, 1, 2, "a")
    with h5py.File(path, "r+") as file:
        file.attrs["parts"] = text
    with pytest.raises(StoreError, match="what it is a part of"):
        merge_stores([path, write_sample(tmp_path / "b.h5", "b")], tmp_path / "all.h5")


def test_a_clip_that_two_stores_have(cli: Callable[..., Any], tmp_path: Path) -> None:
    paths = [write_sample(tmp_path / f"{i}.h5", name) for i, name in enumerate(("a", "b", "a"))]
    done = cli("convert", *paths, tmp_path / "all.h5")
    assert done.status == 2 and done.err.count("\n") == 1
    assert f"clip 'a' is in {paths[0]} and in {paths[2]}" in done.err
    assert not (tmp_path / "all.h5").exists()


def test_a_folder_of_stores(cli: Callable[..., Any], tmp_path: Path) -> None:
    folder = tmp_path / "tracks.h5.clips"
    for place, name in enumerate(("a", "b", "c")):
        (folder / f"0{place}").mkdir(parents=True)
        write_sample(folder / f"0{place}" / f"{name}.h5", name)
    unfinished = folder / "00" / "d.h5.part"
    unfinished.mkdir()
    write_sample(unfinished / "merged.h5", "d")
    assert cli("convert", folder, tmp_path / "all.h5").status == 0
    assert names(tmp_path / "all.h5") == ["a", "b", "c"]


def test_a_merge_that_is_killed(tmp_path: Path) -> None:
    paths = [write_sample(tmp_path / f"{name}.h5", name) for name in "abc"]
    output = tmp_path / "all.h5"
    command = [sys.executable, "-c", MERGE, tmp_path / "sign", output, *paths]
    process = subprocess.Popen([str(word) for word in command])
    deadline = time.monotonic() + 240
    while not (tmp_path / "sign").exists():
        assert time.monotonic() < deadline and process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not output.exists() and list(tmp_path.glob(".all.h5.*.tmp"))
    merge_stores(paths, output)
    assert names(output) == ["a", "b", "c"] and not list(tmp_path.glob(".all.h5.*.tmp"))


def test_room_is_looked_for_first(cli: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [write_sample(tmp_path / f"{name}.h5", name) for name in "ab"]
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(10**9, 10**9, 4_100_000))
    done = cli("convert", *paths, tmp_path / "all.h5")
    assert done.status == 2 and done.err.count("\n") == 1
    assert "about 4.2 MB are needed, 4.1 MB are free" in done.err
    assert not (tmp_path / "all.h5").exists()


def test_a_damaged_clip_is_told_of(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "a.h5", "a")
    data = bytearray(path.read_bytes())
    at = data.rindex(b"OHDR")
    data[at + 8 : at + 40] = b"\xff" * 32
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged"):
        merge_stores([path, write_sample(tmp_path / "b.h5", "b")], tmp_path / "all.h5")
    assert not (tmp_path / "all.h5").exists()


def test_opening_reads_no_clip_and_no_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "many.h5"
    with StoreWriter(path) as writer:
        for place in range(120):
            writer.add_clip(f"clip {place}", 16, 16, 0, [], [])
    looked: list[str] = []
    monkeypatch.setattr("engine.store.schema.name_of_key", lambda key: looked.append(key) or key)
    with StoreReader(path) as store:
        assert store.clip("clip 7").width == 16 and store.tally("clip 7") == (0, 0)
        assert looked == []
        assert len(store.clips) == len(store.clips) == len(looked) == 120


def test_what_a_clip_holds_without_reading_it(tmp_path: Path) -> None:
    with StoreReader(write_sample(tmp_path / "a.h5")) as store:
        clip = store.clip("street")
        assert store.tally("street") == (len(clip.tracks), sum(1 for record in clip.records() if record.area))


def test_room_is_claimed_in_steps_from_where_the_last_one_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claims: list[tuple[int, int]] = []
    monkeypatch.setattr("os.posix_fallocate", lambda handle, begin, size: claims.append((begin, size)))
    file = NewFile(tmp_path / "x.h5")
    for _ in range(600):
        file.reserve(1000)
        file.hdf5.create_dataset(str(len(file.hdf5)), data=b"x" * 1000)
    file.close()
    grown = claims[2:]
    assert len(grown) < 40
    assert all(a + size == b for (a, size), (b, _) in zip(claims[1:], grown, strict=False))


def test_what_is_needed_is_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the disk has room for a write, but not for what is claimed ahead of it."""
    most = 6 << 20

    def claim(handle: int, begin: int, size: int) -> None:
        if begin + size > most:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", claim)
    file = NewFile(tmp_path / "x.h5")
    file.reserve(4 << 20)
    with pytest.raises(OSError, match="No space"):
        file.reserve(8 << 20)
    file.close()


def test_an_output_without_room_is_an_error_of_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(OutputError, match="are free"):
        merge_stores([write_sample(tmp_path / "a.h5")], tmp_path / "new" / "all.h5")
    assert not (tmp_path / "new").exists()
