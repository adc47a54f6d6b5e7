"""A resumable run: killed at any moment it goes on, and ends as an unbroken one does."""

import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from store_samples import HEIGHT, TRACKS, WIDTH, records, same_records

from engine.errors import OutputError, StoreError
from engine.store import SegmentedRun, StoreReader
from engine.store import state as states
from engine.types import MaskRecord

PARAMETERS = {"model": "none", "seed": 3, "video": {"path": "street.mp4", "bytes": 1234}}
WORKER = Path(__file__).with_name("segment_worker.py")


def of_frame(frame: int) -> list[MaskRecord]:
    return [record for record in records() if record.frame == frame]


def work(run: SegmentedRun, until: int = 6, every: int = 2) -> None:
    """The frames from where the run stands, a checkpoint after `every` of them."""
    for frame in range(run.next_frame, until):
        run.append(frame, of_frame(frame))
        if (frame + 1) % every == 0:
            run.checkpoint({"frame": frame, "seen": np.arange(frame)}, TRACKS)


def finish(run: SegmentedRun) -> None:
    run.finish("street", WIDTH, HEIGHT, 6, source="street.mp4", fps=25, tracks=TRACKS)


def part(output: Path) -> Path:
    return output.with_name(output.name + ".part")


def test_an_unbroken_run(tmp_path: Path) -> None:
    output = tmp_path / "new" / "a.h5"
    with SegmentedRun(output, PARAMETERS) as run:
        assert (run.next_frame, run.state, run.tracks) == (0, None, [])
        work(run, every=4)
        finish(run)
    with StoreReader(output) as reader:
        clip = reader.clip("street")
        assert same_records(list(clip.records()), records())
        assert (list(clip.tracks), clip.fps, clip.source) == (TRACKS, 25, "street.mp4")
    assert [entry.name for entry in output.parent.iterdir()] == ["a.h5"]


def test_going_on_after_the_last_checkpoint(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    with SegmentedRun(output, PARAMETERS) as run:
        work(run, until=5)
    with SegmentedRun(output, PARAMETERS) as run:
        assert run.next_frame == 4 and run.tracks == TRACKS
        assert run.state is not None and run.state["frame"] == 3 and run.state["seen"].tolist() == [0, 1, 2]
        work(run)
        finish(run)
    with StoreReader(output) as reader:
        assert same_records(list(reader.clip("street").records()), records())


def test_other_parameters_are_refused_and_named(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    with SegmentedRun(output, PARAMETERS) as run:
        work(run, until=3)
    other = {**PARAMETERS, "seed": 4, "model": "tiny"}
    with pytest.raises(StoreError, match=r"model \(was \"none\", now \"tiny\"\), seed \(was 3, now 4\).*--overwrite"):
        SegmentedRun(output, other)
    with SegmentedRun(output, PARAMETERS) as run:
        assert run.next_frame == 2
    with SegmentedRun(output, other, overwrite=True) as run:
        assert run.next_frame == 0 and run.state is None
        work(run)
        finish(run)
    assert output.exists()


def test_the_same_command_with_overwrite_goes_on(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    with SegmentedRun(output, PARAMETERS) as run:
        work(run)
        finish(run)
    before = output.read_bytes()
    with SegmentedRun(output, PARAMETERS, overwrite=True) as run:
        work(run, until=4)
    assert output.read_bytes() == before
    with SegmentedRun(output, PARAMETERS, overwrite=True) as run:
        assert run.next_frame == 4


def test_a_finished_output_needs_overwrite(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    with SegmentedRun(output, PARAMETERS) as run:
        work(run)
        finish(run)
    with pytest.raises(OutputError, match="exists already"):
        SegmentedRun(output, PARAMETERS)
    assert not part(output).exists()


def test_one_writer_at_a_time(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    with SegmentedRun(output, PARAMETERS) as run:
        with pytest.raises(StoreError, match="another process is writing"):
            SegmentedRun(output, PARAMETERS)
        work(run)
        finish(run)


def test_frames_ascend(tmp_path: Path) -> None:
    with SegmentedRun(tmp_path / "a.h5", PARAMETERS) as run:
        run.append(3, of_frame(3))
        with pytest.raises(StoreError, match="frame 3 was written already"):
            run.append(3, of_frame(3))
        with pytest.raises(StoreError, match="another frame"):
            run.append(4, of_frame(3))


@pytest.mark.parametrize("name", ["segment-000000.npz", "segment-000001.npz", "state-000001.npz", "manifest.json"])
@pytest.mark.parametrize("damage", ["cut", "gone", "flipped"])
def test_damage_is_found_at_the_start(tmp_path: Path, name: str, damage: str) -> None:
    output = tmp_path / "a.h5"
    with SegmentedRun(output, PARAMETERS) as run:
        work(run, until=4)
    path = part(output) / name
    data = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    else:
        data[len(data) // 3] ^= 0x55
        path.write_bytes(data[: len(data) // 2] if damage == "cut" else data)
    if (name, damage) == ("manifest.json", "gone"):
        with SegmentedRun(output, PARAMETERS) as run:
            assert run.next_frame == 0
    elif name != "manifest.json" or damage == "cut":
        with pytest.raises(StoreError, match=r"unfinished run.*--overwrite"):
            SegmentedRun(output, PARAMETERS)
    with SegmentedRun(output, PARAMETERS, overwrite=True) as run:
        work(run)
        finish(run)
    assert output.exists()


def test_leftovers_of_a_kill_are_removed(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    with SegmentedRun(output, PARAMETERS) as run:
        work(run, until=4)
    for name in ("segment-000002.npz", "segment-000002.npz.tmp", "state-000000.npz", "merged.h5", "manifest.json.tmp"):
        (part(output) / name).write_bytes(b"half")
    with SegmentedRun(output, PARAMETERS) as run:
        left = {entry.name for entry in part(output).iterdir()}
        assert left == {"lock", "manifest.json", "segment-000000.npz", "segment-000001.npz", "state-000001.npz"}
        assert run.next_frame == 4


def test_killed_between_the_rename_and_the_removal(tmp_path: Path) -> None:
    output = tmp_path / "a.h5"
    with SegmentedRun(output, PARAMETERS) as run:
        work(run)
        run._manifest.merged = True
        run.checkpoint({}, TRACKS)
    output.write_bytes(b"the finished store")
    with pytest.raises(OutputError, match="exists already"):
        SegmentedRun(output, PARAMETERS)
    assert not part(output).exists()


def test_states_come_back_as_given() -> None:
    state = {
        "array": np.arange(6, dtype=np.float16).reshape(2, 3),
        "scalar": np.float32(0.1),
        "flags": np.array([True, False]),
        "big": 2**80,
        "nested": [1, 2.5, None, "ü", {"a": (1, (2, [3]))}, b"\x00\xff"],
        5: {"empty": np.zeros((0, 4))},
        "special": [float("inf"), float("-inf")],
    }
    back = states.unpack(states.pack(state))
    np.testing.assert_equal(back, state)
    assert back["array"].dtype == np.float16 and isinstance(back["scalar"], np.float32)
    assert isinstance(back["nested"][4]["a"], tuple) and list(back) == list(state)


def test_states_say_what_they_cannot_hold() -> None:
    with pytest.raises(StoreError, match=r"state\['memory'\]\[1\]: a value of type object"):
        states.pack({"memory": [1, object()]})


def run_worker(output: Path, lines: int | None = None, delay: float = 0) -> int:
    """Run the worker, which says one line a frame; SIGKILL after some lines and seconds. Its exit status."""
    with subprocess.Popen([sys.executable, str(WORKER), str(output)], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        if lines is None:
            process.stdout.read()
        else:
            for line, _ in zip(process.stdout, range(lines), strict=False):
                if line == b"finishing\n":
                    break
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
        return process.wait(timeout=60)


def test_killed_at_any_moment_equals_unbroken(tmp_path: Path) -> None:
    """Kills at random frames, then some while the segments are merged."""
    assert run_worker(tmp_path / "whole.h5") == 0
    rng = random.Random(5)
    output = tmp_path / "killed.h5"
    assert run_worker(output, 10, 0.001) == -signal.SIGKILL
    for lines in (rng.randrange(1, 20), rng.randrange(1, 20), 1000, 1000):
        run_worker(output, lines, rng.uniform(0, 0.01))
        if output.exists():
            break
    if not output.exists():
        assert run_worker(output) == 0
    with StoreReader(tmp_path / "whole.h5") as whole, StoreReader(output) as killed:
        assert killed.clips == whole.clips == ["clip"]
        assert same_records(list(killed.clip("clip").records()), list(whole.clip("clip").records()))
        assert killed.clip("clip").provenance == whole.clip("clip").provenance
    with pytest.raises(OutputError, match="exists already"):
        SegmentedRun(output, {"seed": 1})
    assert sorted(entry.name for entry in tmp_path.iterdir() if "killed" in entry.name) == ["killed.h5"]


FULL_DISK = """
import resource, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_segments import PARAMETERS, SegmentedRun, TRACKS, finish, work
run = SegmentedRun(Path(sys.argv[1]), PARAMETERS)
work(run, until=4)
resource.setrlimit(resource.RLIMIT_FSIZE, ({limit}, resource.RLIM_INFINITY))
try:
    work(run)
    finish(run)
except Exception as error:
    print(type(error).__name__, error)
run.close()
"""


@pytest.mark.skipif(not hasattr(resource, "RLIMIT_FSIZE"), reason="no file size limits here")
@pytest.mark.parametrize("limit", [0, 500, 2500])
def test_a_full_disk_loses_nothing_that_was_certain(tmp_path: Path, limit: int) -> None:
    """A file size limit stands in for the full disk: the system refuses to write on."""
    output = tmp_path / "a.h5"
    code = FULL_DISK.format(folder=str(Path(__file__).parent), limit=limit)
    done = subprocess.run([sys.executable, "-c", code, str(output)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("OutputError") and "a.h5" in done.stdout and not output.exists()
    with SegmentedRun(output, PARAMETERS) as run:
        assert run.next_frame >= 4
        work(run)
        finish(run)
    with StoreReader(output) as reader:
        assert same_records(list(reader.clip("street").records()), records())
