"""`mugvos propagate` with what comes once: pipes, cameras, Ctrl-C at a live video; profiles and the memory limit."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from small_videos import HEIGHT, WIDTH, scene, write_frames, write_mask

from engine.store import StoreReader
from engine.video import open_stream
from engine.video.capture import Captured

Cli = Callable[..., Any]
FAST = ("--model", "dis")
RAW = f"{WIDTH}x{HEIGHT}@25"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: frames/ of 8 pictures and m.png, the mask on the first."""
    images, masks = scene(8)
    write_frames(tmp_path / "frames", images)
    write_mask(tmp_path / "m.png", masks[0])
    monkeypatch.chdir(tmp_path)
    return tmp_path


def raw(count: int = 8) -> bytes:
    return b"".join(image.tobytes() for image in scene(count)[0])


def masks_of(path: str, clip: str) -> list[tuple[int, int, bytes]]:
    with StoreReader(path) as store:
        return [(r.frame, r.track, r.counts) for r in store.clip(clip).records()]


class Camera:
    """In place of a camera: the pictures of the scene, then the end."""

    rate = None

    def __init__(self, source: str) -> None:
        assert source == "0"
        self._left = iter(scene(8)[0])
        self._count = 0

    def read(self) -> Captured | None:
        image = next(self._left, None)
        self._count += 1
        return None if image is None else Captured(image, (self._count - 1) / 10)

    def close(self) -> None:
        return


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.video.opening.CameraCapture", Camera)


def test_a_pipe_gives_what_the_files_give(cli: Cli, piped: Callable[[bytes], None]) -> None:
    assert cli("propagate", "frames", "--mask", "m.png", *FAST).status == 0
    piped(raw())
    done = cli("propagate", "-", "--raw", RAW, "--mask", "m.png", *FAST, "--json")
    assert done.status == 0, done.err
    assert masks_of("stdin.h5", "stdin") == masks_of("frames.h5", "frames")
    assert json.loads(done.out) == {
        "schema": 1,
        "output": "stdin.h5",
        "model": "dis",
        "tracks": [{"id": 1, "name": "m", "first_frame": 0}],
        "frames": 8,
        "resumed_at": 0,
    }


def test_a_stopped_pipe_goes_on_with_the_same_pictures_only(
    cli: Cli, piped: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = ("propagate", "-", "--raw", RAW, "--mask", "m.png", *FAST)
    with monkeypatch.context() as patched:
        patched.setattr("mugvos_cli.propagate_run.stoppable", lambda **_: nullcontext(lambda: True))
        piped(raw())
        assert cli(*command).status == 130
    piped(raw()[::-1])
    refused = cli(*command)
    assert refused.status == 2 and "with other parameters is there: video" in refused.err
    piped(raw())
    done = cli(*command)
    assert done.status == 0 and "went on from frame 1" in done.err
    assert len(masks_of("stdin.h5", "stdin")) == 8


@pytest.mark.usefixtures("camera")
def test_a_camera_is_followed_and_says_what_it_lost(cli: Cli) -> None:
    done = cli("propagate", "0", "--mask", "m.png", *FAST, "-o", "live.h5", "--json")
    assert done.status == 0, done.err
    found = json.loads(done.out)["live"]
    with StoreReader("live.h5") as store:
        clip = store.clip("camera0")
        frames, made = list(clip.frames), clip.provenance["live"]
        assert clip.times == pytest.approx([frame / 10 for frame in frames]), "frames keep the number they came with"
    assert found == made and frames[0] == 0 and frames[-1] == 7
    assert (found["captured"], found["dropped"]) == (8, 8 - len(frames))
    assert found["latency_ms_95"] >= found["latency_ms_median"] > 0
    assert f"8 frames came, {found['dropped']} were dropped; latency" in done.err


@pytest.mark.usefixtures("camera")
def test_a_camera_that_breaks_off_leaves_a_whole_store(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from engine.errors import VideoError

    def read(self: Camera) -> Captured:
        if self._count == 3:
            raise VideoError("camera 0: gives no more pictures")
        self._count += 1
        return Captured(scene(8)[0][0], None)

    monkeypatch.setattr(Camera, "read", read)
    done = cli("propagate", "0", "--mask", "m.png", *FAST)
    assert done.status == 1
    assert "gives no more pictures: camera0.h5 is complete up to there" in done.err.splitlines()[-1]
    with StoreReader("camera0.h5") as store:
        assert store.clip("camera0").complete


@pytest.mark.usefixtures("camera")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--mask", "m.png@3"), "frame 3 of a live video"),
        (("--point", "20,20@3"), "frame 3 of a live video"),
        (("--mask", "m.png", "--raw", "4x4"), "is a camera"),
        (("--mask", "m.png", "--json", "--ndjson"), "--ndjson and --json both write"),
        (("--model", "deva", "--detect-every", "5"), "follows no camera"),
        (("--model", "deva", "--detect-every", "5", "--live"), "so --live cannot be had"),
        (("--text", "a dog", "--live"), "so --live cannot be had"),
        (("--mask", "m.png", "--memory-limit", "lots"), "'lots' is no amount of memory"),
    ],
)
def test_what_cannot_be_done_live(cli: Cli, options: tuple[str, ...], said: str) -> None:
    done = cli("propagate", "0", *options, *(FAST if "--model" not in options else ()))
    assert done.status == 2
    assert said in done.err.splitlines()[-1] and done.err.count("error") == 1


ENDLESS = """
import itertools, sys, time
sys.path[:0] = [{tests!r}]
from small_videos import scene
from engine.video import opening
from engine.video.capture import Captured
class Camera:
    rate = None
    def __init__(self, source):
        self.images = itertools.cycle(scene(8)[0])
    def read(self):
        time.sleep(0.01)
        return Captured(next(self.images), None)
    def close(self): pass
opening.CameraCapture = Camera
from mugvos_cli.main import run
run()
"""


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_live_video_and_the_store_is_whole(number: signal.Signals, status: int) -> None:
    code = ENDLESS.format(tests=str(Path(__file__).parents[1]))
    command = ["propagate", "0", "--mask", "m.png", "--ndjson", "-o", "out.h5", *FAST]
    with subprocess.Popen(
        [sys.executable, "-c", code, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(3)]
        process.send_signal(number)
        rest, err = process.communicate(timeout=120)
    assert process.returncode == status
    assert err.splitlines()[-1] == "mugvos: error: stopped as asked; out.h5 is complete up to there"
    printed = [json.loads(line)["frame"] for line in [*lines, *rest.splitlines()]]
    with StoreReader("out.h5") as store:
        clip = store.clip("camera0")
        assert clip.complete and list(clip.frames) == printed
        assert clip.provenance["live"]["captured"] >= len(printed) >= 3


def test_a_profile_is_a_trace_that_adds_up(cli: Cli) -> None:
    done = cli("propagate", "frames", "--mask", "m.png", *FAST, "--profile", "trace.json")
    assert done.status == 0, done.err
    events = json.loads(Path("trace.json").read_text())["traceEvents"]
    spans = [event for event in events if event["ph"] == "X"]
    assert all(event["dur"] >= 0 and event["ts"] >= 0 and event["pid"] and event["tid"] for event in spans)
    names = {event["name"] for event in spans}
    assert {"decode", "waiting for frames", "optical flow", "rest of the tracker", "masks to runs", "store"} <= names
    assert sum(event["name"] == "decode" for event in spans) == 9, "eight frames and the end"
    threads = {event["args"]["name"] for event in events if event["ph"] == "M"}
    assert {"MainThread", "frames ahead"} <= threads
    rows = [line.split("x  ", 1) for line in done.err.splitlines() if "%" in line]
    shares = [float(row[0].split()[2].rstrip("%")) for row in rows if "thread" not in row[1]]
    assert sum(shares) == pytest.approx(100, abs=1)
    assert sorted(path.name for path in Path().iterdir()) == ["frames", "frames.h5", "m.png", "trace.json"]


def test_without_a_profile_nothing_is_watched(cli: Cli) -> None:
    from engine.flow.dis import DISFlow
    from engine.masks import rle

    before = rle.record, DISFlow.__call__
    cli("propagate", "frames", "--mask", "m.png", *FAST, "--profile", "trace.json")
    assert (rle.record, DISFlow.__call__) == before, "and with one it is put back"


def test_a_profile_that_cannot_be_written(cli: Cli) -> None:
    done = cli("propagate", "frames", "--mask", "m.png", *FAST, "--profile", "no-folder/trace.json")
    assert done.status == 2
    assert "no-folder/trace.json: cannot be written, its folder does not exist" in done.err


def test_a_memory_limit_changes_nothing_or_is_an_error(cli: Cli) -> None:
    toys = ("--random-weights", "--seed", 1, "--mask", "a=m.png", "--mask", "b=m.png", "-q")
    assert cli("propagate", "frames", *toys, "-o", "free.h5", "--chunk", 1).status == 0
    done = cli("propagate", "frames", *toys, "-o", "limited.h5", "--memory-limit", "1TiB")
    assert done.status == 0, done.err
    same = [a[2] == b[2] for a, b in zip(masks_of("free.h5", "frames"), masks_of("limited.h5", "frames"), strict=True)]
    assert all(same[:2]) and sum(same) >= len(same) - 2, "to rounding"
    refused = cli("propagate", "frames", *toys, "-o", "small.h5", "--memory-limit", "1MB")
    assert refused.status == 2
    assert "of the limit of 1 MiB 0 MiB are left: raise --memory-limit" in refused.err


def test_streams_of_other_commands(cli: Cli, piped: Callable[[bytes], None]) -> None:
    """`-` is a video for visualize too; a stream that comes once cannot be looked at twice."""
    cli("propagate", "frames", "--mask", "m.png", *FAST)
    import av

    file = io.BytesIO()
    with av.open(file, "w", format="yuv4mpegpipe") as container:
        stream = container.add_stream("rawvideo", rate=25)
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv444p"
        for image in scene(8)[0]:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv444p")))
    piped(file.getvalue())
    done = cli("visualize", "frames.h5", "--video", "-", "-o", "out.mp4")
    assert done.status == 0, done.err
    with open_stream("out.mp4") as reader:
        assert reader.count() == 8
