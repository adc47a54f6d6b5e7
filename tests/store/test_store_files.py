"""Writing a store and reading it back: everything that was given, one mask at a time or in order."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import h5py
import numpy as np
import pytest
from store_samples import HEIGHT, TRACKS, WIDTH, add_sample, disc, masks, records, same, same_records, write_sample

from engine.errors import OutputError, StoreError
from engine.store import StoreReader, StoreWriter, merge_stores, open_source
from engine.store.atomic import temporary_beside
from engine.types import MaskRecord, Track

GOLDEN = Path(__file__).parents[1] / "golden" / "store"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[StoreReader]:
    with StoreReader(write_sample(tmp_path / "a.h5")) as reader:
        yield reader


def test_everything_comes_back(tmp_path: Path) -> None:
    void = disc(15, 3, 4)
    with StoreWriter(tmp_path / "a.h5") as writer:
        add_sample(
            writer,
            fps=Fraction(30000, 1001),
            provenance={"command": "propagate", "seed": 3},
            complete=False,
            times=[0.04 * frame for frame in range(6)],
            voids=[(2, void)],
        )
    with StoreReader(tmp_path / "a.h5") as reader:
        clip = reader.clip("street")
        assert (clip.name, clip.height, clip.width, clip.frame_count) == ("street", HEIGHT, WIDTH, 6)
        assert (clip.source, clip.fps, clip.complete) == ("street.mp4", Fraction(30000, 1001), False)
        assert clip.provenance == {"command": "propagate", "seed": 3}
        assert list(clip.frames) == list(range(6))
        assert clip.times == [0.04 * frame for frame in range(6)]
        assert list(clip.tracks) == TRACKS
        assert same_records(list(clip.records()), records())
        assert np.array_equal(clip.void(2), void)
        assert clip.void(1) is None


def test_single_masks(store: StoreReader) -> None:
    clip, known = store.clip("street"), masks()
    for frame in range(-1, 8):
        for track in range(11):
            found = clip.mask(frame, track)
            if (frame, track) in known:
                assert found is not None and found.dtype == bool
                assert np.array_equal(found, known[frame, track])
                assert clip.record(frame, track).area == known[frame, track].sum()
            else:
                assert found is None and clip.record(frame, track) is None


def test_rows_of_a_frame_and_of_a_track(store: StoreReader) -> None:
    clip, every = store.clip("street"), records()
    for frame in (0, 4, 5, 7):
        assert same_records(list(clip.records(frame=frame)), [r for r in every if r.frame == frame])
    for track in (1, 4, 9, 2):
        assert same_records(list(clip.records(track=track)), [r for r in every if r.track == track])
    assert same(next(clip.records(frame=3, track=9)), next(r for r in every if (r.frame, r.track) == (3, 9)))
    assert not list(clip.records(frame=0, track=9))


def test_many_rows_cross_chunks_and_flushes(tmp_path: Path) -> None:
    row = records()[0]
    tracks = [Track(track, str(track)) for track in range(30)]
    many = [MaskRecord(f, t, row.counts, row.area, row.box, f + t / 100) for f in range(0, 1200, 2) for t in range(30)]
    write_sample(tmp_path / "a.h5", tracks=tracks, records=iter(many), frame_count=1200)
    with StoreReader(tmp_path / "a.h5") as reader:
        clip = reader.clip("street")
        assert clip.rows == len(many)
        assert same_records(list(clip.records()), many)
        assert same_records(list(clip.records(track=29)), [r for r in many if r.track == 29])
        for frame, track in ((0, 0), (1198, 29), (682, 13), (68, 5)):
            assert clip.record(frame, track).score == frame + track / 100
        assert clip.mask(1, 3) is None


def test_clips_of_any_name(tmp_path: Path) -> None:
    names = ["a", "a/b", "../../etc/passwd", "/root", ".", "..", "%2F", "日本", "a b\n", "x" * 300, "\udce4", "nul\0"]
    with StoreWriter(tmp_path / "a.h5") as writer:
        for number, name in enumerate(names):
            add_sample(writer, name, source=name, frame_count=number)
    stored = [*names[:-2], "\ufffd", "nul\ufffd"]
    with StoreReader(tmp_path / "a.h5") as reader:
        assert sorted(reader.clips) == sorted(stored)
        assert [reader.clip(name).frame_count for name in stored] == list(range(len(names)))


def test_clips_without_masks_tracks_or_frames(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "a.h5") as writer:
        add_sample(writer, "nothing", tracks=[], records=[], frame_count=0)
        add_sample(writer, "frames", tracks=TRACKS, records=[])
    with StoreReader(tmp_path / "a.h5") as reader:
        assert not reader.clip("nothing").frames and not list(reader.clip("nothing").records())
        assert list(reader.clip("frames").frames) == list(range(6))
        assert reader.clip("frames").mask(0, 1) is None


def test_frames_may_start_anywhere(tmp_path: Path) -> None:
    shifted = [MaskRecord(r.frame * 10 + 7, *list(vars(r).values())[1:]) for r in records()]
    write_sample(tmp_path / "a.h5", records=shifted, frames=[7, 17, 27, 37, 47, 57, 67])
    with StoreReader(tmp_path / "a.h5") as reader:
        assert list(reader.clip("street").frames) == [7, 17, 27, 37, 47, 57, 67]
        assert same_records(list(reader.clip("street").records()), shifted)


def test_masks_beyond_the_announced_count_add_frames(tmp_path: Path) -> None:
    write_sample(tmp_path / "a.h5", frame_count=2)
    with StoreReader(tmp_path / "a.h5") as reader:
        assert list(reader.clip("street").frames) == list(range(6))


FAULTS = {
    "unknown track": ({"tracks": TRACKS[:2]}, "masks of track 9"),
    "unknown frame": ({"frames": [0, 1, 2]}, "masks in frame 3"),
    "frames not ascending": ({"frames": [0, 1, 2, 3, 5, 4]}, "not ascending"),
    "records not ascending": ({"records": records()[::-1]}, "after frame"),
    "two masks": ({"records": [records()[0], records()[0]]}, "two masks in frame 0"),
    "track id twice": ({"tracks": [*TRACKS, Track(4, "x")]}, "track id 4 is used twice"),
    "negative id": ({"tracks": [*TRACKS, Track(-1, "x")]}, "negative"),
    "no size": ({"width": 0}, "cannot be"),
    "huge size": ({"width": 60000, "height": 60000}, "cannot be"),
}


@pytest.mark.parametrize("case", FAULTS)
def test_faulty_clips_leave_no_file(tmp_path: Path, case: str) -> None:
    changes, message = FAULTS[case]
    with pytest.raises(StoreError, match=message):
        write_sample(tmp_path / "a.h5", **changes)
    assert not list(tmp_path.iterdir())


def test_names_are_used_once(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="'street' is there twice"), StoreWriter(tmp_path / "a.h5") as writer:
        add_sample(writer)
        add_sample(writer)


def test_an_existing_output_is_kept(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "a.h5")
    before = path.read_bytes()
    with pytest.raises(OutputError, match=r"exists already: pass --overwrite"):
        StoreWriter(path)
    with pytest.raises(ZeroDivisionError), StoreWriter(path, overwrite=True) as writer:
        add_sample(writer)
        raise ZeroDivisionError
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    temporary = temporary_beside(output)
    temporary.write_bytes(b"of this process, which lives")
    stale = tmp_path / temporary.name.replace(f"-{os.getpid()}-", "-4194305-")
    stale.write_bytes(b"of a process that is gone")
    temporary_beside(output)
    assert temporary.exists() and not stale.exists()


def test_outputs_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match=r"a part of its path is a file|cannot be written"):
        StoreWriter(tmp_path / "file" / "a.h5")
    (tmp_path / "folder.h5").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        StoreWriter(tmp_path / "folder.h5", overwrite=True)


FULL_DISK = """
import resource, sys
from pathlib import Path
import numpy as np
sys.path.insert(0, {folder!r})
from store_samples import HEIGHT, WIDTH, write_sample
from engine.errors import OutputError
from engine.masks import rle
from engine.types import Track
rng = np.random.default_rng(0)
noise = [rle.record(f, t, rng.random((HEIGHT, WIDTH)) > 0.5) for f in range(500) for t in range(3)]
tracks = [Track(t, str(t)) for t in range(3)]
path = Path(sys.argv[1])
for limit in [0, 1, 3_000, 500_000, *range(1_040_000, 1_240_000, 9_999)]:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        write_sample(path, tracks=tracks, records=noise)
    except OutputError as error:
        assert "larger than the system allows" in str(error), error
    else:
        sys.exit("written in spite of the limit")
    assert not list(path.parent.iterdir())
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
write_sample(path, tracks=tracks, records=noise)
"""


def test_a_full_disk_is_one_error_wherever_it_strikes(tmp_path: Path) -> None:
    """A file size limit stands in for the full disk: the system refuses to write on."""
    output = tmp_path / "a.h5"
    code = FULL_DISK.format(folder=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", code, str(output)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert not done.stderr and output.stat().st_size > 200_000


def test_missing_folders_are_made(tmp_path: Path) -> None:
    assert write_sample(tmp_path / "new" / "folder" / "a.h5").exists()


class Stdio:
    """sys.stdin or sys.stdout of bytes."""

    def __init__(self, data: bytes = b"") -> None:
        self.buffer = io.BytesIO(data)


def test_standard_output_and_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stdout = Stdio()
    monkeypatch.setattr(sys, "stdout", stdout)
    with StoreWriter("-") as writer:
        add_sample(writer)
        assert stdout.buffer.getvalue() == b""
    monkeypatch.setattr(sys, "stdin", Stdio(stdout.buffer.getvalue()))
    with open_source("-") as source:
        assert source.format == "store"
        spool = source.path
        assert same_records(list(source.clip("street").records()), records())
    assert not spool.exists()


def test_merging_keeps_bytes(tmp_path: Path) -> None:
    first = write_sample(tmp_path / "a.h5", "one", voids=[(1, disc(4, 4, 2))])
    second = write_sample(tmp_path / "b.h5", "two")
    seen: list[tuple[int, int]] = []
    merge_stores([first, second], tmp_path / "c.h5", on_progress=lambda *done: seen.append(done))
    with StoreReader(tmp_path / "c.h5") as merged:
        assert merged.clips == ["one", "two"]
        assert same_records(list(merged.clip("one").records()), records())
        assert merged.clip("one").void(1) is not None and merged.clip("two").fps == 25
    assert seen == [(1, 2), (2, 2)]


def test_merging_refuses_a_name_twice(tmp_path: Path) -> None:
    first, second = write_sample(tmp_path / "a.h5"), write_sample(tmp_path / "b.h5")
    with pytest.raises(StoreError, match=r"'street' is in .*a\.h5 and in .*b\.h5"):
        merge_stores([first, second], tmp_path / "c.h5")
    assert not (tmp_path / "c.h5").exists()


def test_plain_h5py_reads_it(tmp_path: Path) -> None:
    """The example of docs/store.md."""
    with h5py.File(write_sample(tmp_path / "a.h5")) as file:
        clip = file["clips/street"]
        row = clip["masks"][(clip["masks"]["frame"] == 3) & (clip["masks"]["track"] == 9)][0]
        counts = clip["counts"][row["offset"] : row["offset"] + row["length"]].tobytes()
        assert counts == next(r.counts for r in records() if (r.frame, r.track) == (3, 9))
        assert clip["tracks"][2]["name"].decode() == "späte Fußgängerin"
        assert file.attrs["format"] == b"mugvos" and file.attrs["schema"] == 1


def test_a_store_of_the_first_release_is_still_read() -> None:
    with StoreReader(GOLDEN / "schema1.h5") as reader:
        assert reader.clips == ["street"]
        clip = reader.clip("street")
        assert same_records(list(clip.records()), records()) and list(clip.tracks) == TRACKS
        assert clip.provenance == {"command": "test"} and clip.void(2) is not None


def test_masks_of_several_frames_at_once(tmp_path: Path) -> None:
    with StoreReader(write_sample(tmp_path / "a.h5")) as store:
        clip = store.clip("street")
        for track in (1, 4, 9, 77):
            frames = [0, 2, 3, 4, 9]
            for found, frame in zip(clip.masks(frames, track), frames, strict=True):
                wanted = clip.mask(frame, track)
                assert (found is None) == (wanted is None) and (wanted is None or np.array_equal(found, wanted))
