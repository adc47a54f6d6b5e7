"""Pipes read as they come, cameras, and frames that are dropped rather than queued.

The fake camera gives a picture when the test says so, so what is dropped is known exactly.
"""

import io
import queue
import sys
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from video_clips import picture

from engine.errors import UsageError, VideoError
from engine.types import UInt8Array
from engine.video import LiveReader, VideoReader, frame_numbers, is_camera, open_stream
from engine.video.capture import Captured
from engine.video.fingerprint import identity
from engine.video.pipes import parse_raw
from engine.video.streaming import StreamReader

PATIENCE = 60.0


class FakeCamera:
    """A Capture that gives what is shown to it: numbers as grey pictures, None at the end, errors as they are."""

    rate: Fraction | None = Fraction(30)

    def __init__(self, *first: int | Exception | None) -> None:
        self.shown: queue.Queue[int | Exception | None] = queue.Queue()
        self.closed = 0
        self.show(*first)

    def show(self, *values: int | Exception | None) -> None:
        for value in values:
            self.shown.put(value)

    def read(self) -> Captured | None:
        value = self.shown.get()
        if isinstance(value, Exception):
            raise value
        return None if value is None else Captured(grey(value), value / 30)

    def close(self) -> None:
        self.closed += 1


def grey(value: int, size: tuple[int, int] = (4, 6)) -> UInt8Array:
    return np.full((*size, 3), value, np.uint8)


def wait_until(met: Callable[[], bool]) -> None:
    """Wait for other threads; the deadline is there for broken programs only."""
    limit = time.monotonic() + PATIENCE
    while not met():
        assert time.monotonic() < limit, "it never came to that"
        time.sleep(0.002)


def test_the_newest_frame_is_given_and_those_between_are_dropped() -> None:
    camera = FakeCamera(0)
    with LiveReader(camera, "0", "camera0", clock=iter(range(1000)).__next__) as live:
        frames = iter(live)
        assert next(frames).image[0, 0, 0] == 0
        camera.show(1, 2, 3)
        wait_until(lambda: live.captured == 4)
        third = next(frames)
        assert (third.index, third.name, third.time, third.image[0, 0, 0]) == (1, "00001", 0.1, 3)
        camera.show(4, 5)
        wait_until(lambda: live.captured == 6)
        camera.show(None)
        assert [frame.image[0, 0, 0] for frame in frames] == [5], "the last frame comes before the end"
        assert list(live.numbers()) == [0, 3, 5]
        assert frame_numbers(live) == live.numbers()
        assert (live.report().captured, live.report().dropped) == (6, 3)
        assert live.count() == 3
    assert camera.closed == 1
    live.close()
    assert camera.closed == 1


def test_the_first_frame_is_never_dropped() -> None:
    camera = FakeCamera(7, 8, 9, None)
    with LiveReader(camera, "0", "camera0") as live:
        assert next(live.frames(0, 1)).image[0, 0, 0] == 7
        frames = live.frames()
        wait_until(lambda: live.captured == 3)
        assert [frame.image[0, 0, 0] for frame in frames] == [7, 9]


def test_latency_runs_from_capture_to_mask() -> None:
    now = [0.0]
    camera = FakeCamera(0)
    with LiveReader(camera, "0", "camera0", clock=lambda: now[0]) as live:
        assert live.report().median is None
        frames = iter(live)
        next(frames)
        now[0] = 0.25
        live.done(0)
        for number in range(1, 20):
            camera.show(number)
            wait_until(lambda number=number: live.captured == number + 1)  # type: ignore[misc]
            next(frames)
            now[0] += 0.125
            live.done(number)
        assert live.report().as_dict() == {
            "captured": 20,
            "dropped": 0,
            "latency_ms_median": 125.0,
            "latency_ms_95": pytest.approx(131.25, abs=0.1),
        }
        camera.show(None)


def test_a_wish_to_stop_ends_the_video_while_nothing_comes() -> None:
    camera = FakeCamera(0)
    wanted = threading.Event()
    live = LiveReader(camera, "0", "camera0")
    live.stop_when(wanted.is_set)
    threading.Timer(0.05, wanted.set).start()
    assert [frame.index for frame in live] == [0]
    camera.show(None)
    live.close()


@pytest.mark.parametrize("fault", [VideoError("camera 0: gives no more pictures"), "another size"])
def test_a_source_that_breaks_off_ends_the_video_and_says_why(fault: Exception | str) -> None:
    camera = FakeCamera(0)
    if isinstance(fault, str):
        camera.read = iter([Captured(grey(0), 0.0), Captured(grey(1, (8, 8)), 0.1)]).__next__  # type: ignore[method-assign]
    else:
        camera.show(fault)
    with LiveReader(camera, "0", "camera0") as live:
        assert len(list(live)) == 1
        assert isinstance(live.fault, VideoError)
        assert "no more pictures" in str(live.fault) or "8x8, the first is 6x4" in str(live.fault)


def test_a_source_without_a_picture_is_closed_again() -> None:
    camera = FakeCamera(None)
    with pytest.raises(VideoError, match="holds no frame"):
        LiveReader(camera, "0", "camera0")
    assert camera.closed == 1


def test_a_capture_that_somebody_waits_for_is_not_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.video.live._FAREWELL", 0.01)
    camera = FakeCamera(0)
    live = LiveReader(camera, "0", "camera0")
    next(iter(live))
    wait_until(lambda: live._reading)
    live.close()
    assert camera.closed == 0, "FFmpeg would be closed under the hands of a thread"
    camera.show(None)
    wait_until(lambda: not live._reading)
    live.close()
    assert camera.closed == 1


def test_a_stream_gives_every_frame_once() -> None:
    camera = FakeCamera(*range(5), None)
    with StreamReader(camera, "-", "stdin") as stream:
        assert [next(stream.frames(0, 1)).index for _ in range(2)] == [0, 0]
        with pytest.raises(VideoError, match="no single frame can be looked at but the first"):
            next(stream.frames(2, 3))
        with pytest.raises(VideoError, match="known at its end only"):
            stream.count()
        assert [frame.index for frame in stream.frames(2)] == [2, 3, 4]
        assert stream.count() == 5
        assert frame_numbers(stream) is None and not stream.live
        with pytest.raises(VideoError, match="comes once"):
            next(iter(stream))


def test_which_sources_are_cameras(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_camera("0") and is_camera("12") and is_camera("/dev/video3")
    assert not any(is_camera(text) for text in ("-", "0.mp4", "/dev/video", "clip", "-1", "/dev/videos/0"))
    (tmp_path / "0").mkdir()
    assert not is_camera("0")


@pytest.mark.skipif(sys.platform != "linux", reason="devices are files on Linux")
def test_a_missing_camera_is_one_clear_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.video.cameras._FOLDER", tmp_path)
    with pytest.raises(VideoError, match=r"camera 7: not there .* plug it in; no camera was found here"):
        open_stream("7")
    (tmp_path / "video7").touch()
    with pytest.raises(VideoError, match="camera 7: cannot be opened: close other programs"):
        open_stream("/dev/video7")
    with pytest.raises(UsageError, match="is a camera"):
        open_stream("7", raw="4x4")


def encoded(form: str, codec: str, layout: str = "yuv420p", count: int = 12) -> bytes:
    """The test picture in a container for pipes."""
    file = io.BytesIO()
    with av.open(file, "w", format=form) as container:
        stream = container.add_stream(codec, rate=25)
        stream.height, stream.width = picture(0).shape[:2]
        stream.pix_fmt = layout
        for index in range(count):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture(index)), format="rgb24")
            container.mux(stream.encode(frame.reformat(format=layout)))
        container.mux(stream.encode())
    return file.getvalue()


def raw(count: int = 12) -> bytes:
    return b"".join(np.ascontiguousarray(picture(index)).tobytes() for index in range(count))


def size() -> str:
    height, width = picture(0).shape[:2]
    return f"{width}x{height}"


def test_y4m_is_read_as_it_comes(piped: Callable[[bytes], None]) -> None:
    piped(encoded("yuv4mpegpipe", "rawvideo", "yuv444p"))
    with open_stream("-") as stream:
        assert isinstance(stream, StreamReader) and stream.info.fps == 25 and stream.info.name == "stdin"
        frames = list(stream)
    assert [frame.index for frame in frames] == list(range(12))
    assert [frame.time for frame in frames] == [pytest.approx(index / 25) for index in range(12)]
    assert np.abs(frames[5].image.astype(int) - picture(5)).max() < 8


def test_raw_pictures_need_a_form(piped: Callable[[bytes], None]) -> None:
    piped(raw())
    with open_stream("-", raw=f"{size()}@50") as stream:
        frames = list(stream)
    assert all(np.array_equal(frame.image, picture(frame.index)) for frame in frames) and len(frames) == 12
    assert frames[5].time == 0.1 and stream.info.fps == 50
    piped(raw())
    with pytest.raises(VideoError, match="not a video file"):
        open_stream("-")


@pytest.mark.parametrize(("form", "codec"), [("mpegts", "libx264"), ("matroska", "libvpx"), ("nut", "libx264")])
def test_containers_are_read_live_without_a_copy(form: str, codec: str, piped: Callable[[bytes], None]) -> None:
    try:
        data = encoded(form, codec)
    except av.error.FFmpegError:
        pytest.skip(f"no {codec} here")
    piped(data)
    with open_stream("-", live=True) as stream:
        assert isinstance(stream, LiveReader)
        numbers = [frame.index for frame in stream]
    assert numbers == list(range(len(numbers)))
    found = stream.report()
    assert (found.captured, found.captured - found.dropped) == (12, len(numbers))
    assert list(stream.numbers())[-1] == 11 and stream.fault is None


def test_a_stream_that_ends_inside_a_picture(piped: Callable[[bytes], None]) -> None:
    y4m = encoded("yuv4mpegpipe", "rawvideo")
    for data, form, whole in ((y4m[:-100], None, 11), (raw()[:-100], size(), 11)):
        piped(data)
        seen = []
        with (
            open_stream("-", raw=form) as stream,
            pytest.raises(VideoError, match=f"broke off at frame {whole}: the stream ends inside a picture"),
        ):
            seen.extend(stream)
    assert len(seen) == 11


@pytest.mark.parametrize(
    ("data", "live", "said"),
    [(b"", True, "nothing came through the pipe"), (b"hello " * 99, True, "ffmpeg -i IN -f yuv4mpegpipe -")],
)
def test_pipes_without_video(data: bytes, live: bool, said: str, piped: Callable[[bytes], None]) -> None:
    piped(data)
    with pytest.raises(VideoError, match=said):
        open_stream("-", live=live)


def test_other_pipes_are_copied_and_files_are_no_pipes(clips: Path, piped: Callable[[bytes], None]) -> None:
    piped((clips / "kind.mp4").read_bytes())
    with open_stream("-") as reader:
        assert len(list(reader)) == len(list(reader)) == 12
    with open_stream(clips / "kind.mp4") as reader:
        assert reader.count() == 12
    for more in ({"live": True}, {"raw": "4x4"}):
        with pytest.raises(UsageError, match=f"--{next(iter(more))} goes with a camera or a pipe"):
            open_stream(clips / "kind.mp4", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("640x480", "640x480@25:rgb24"),
        ("2x4@30000/1001:yuv420p", "2x4@30000/1001:yuv420p"),
        ("2x4@29.5", "2x4@59/2:rgb24"),
    ],
)
def test_forms_of_raw_pictures(text: str, shown: str) -> None:
    assert str(parse_raw(text)) == shown


@pytest.mark.parametrize("text", ["", "640", "640x", "0x4", "4x4@0", "4x4@1/0", "4x4:nonsense", "99999x99999", "4x4@a"])
def test_what_is_no_form_of_raw_pictures(text: str) -> None:
    with pytest.raises(UsageError, match="--raw"):
        parse_raw(text)


def test_pipes_are_told_apart_by_their_first_picture() -> None:
    def of(reader: VideoReader) -> dict[str, str | int]:
        with reader:
            return identity(reader)

    one, same, other = (of(StreamReader(FakeCamera(value), "-", "stdin")) for value in (1, 1, 2))
    assert one == same != other
    camera = [of(LiveReader(FakeCamera(1, None), "0", "camera0")) for _ in range(2)]
    assert camera[0] != camera[1], "what is live never comes twice"
