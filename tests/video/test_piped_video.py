"""Videos through standard input and named pipes."""

import io
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from video_clips import picture

from engine.errors import VideoError
from engine.video import open_video
from engine.video.spool import stdin_again


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that spooled copies go to."""
    folder = tmp_path / "spool"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def test_piped_video_is_spooled_and_removed(clips: Path, temporary: Path, piped: Callable[[bytes], None]) -> None:
    piped((clips / "kind.mp4").read_bytes())
    with open_video("-") as reader:
        assert reader.info.name == "stdin"
        assert len(list(reader)) == len(list(reader)) == 12
        assert list(temporary.iterdir())
    assert not list(temporary.iterdir())
    reader.close()


def test_nothing_is_left_of_a_pipe_without_video(temporary: Path, piped: Callable[[bytes], None]) -> None:
    for data, reason in ((b"", "-: the file is empty"), (b"hello " * 100, "-: not a video file")):
        piped(data)
        with pytest.raises(VideoError, match=reason):
            open_video("-")
    assert not list(temporary.iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_redirected_file_is_not_copied(clips: Path, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (clips / "cfr.mkv").open("rb") as file:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(file))
        frames = list(open_video("-"))
        assert not list(temporary.iterdir())
    assert len(frames) == 12
    assert np.array_equal(frames[5].image, picture(5))


def test_named_pipe(clips: Path, tmp_path: Path, temporary: Path) -> None:
    fifo = tmp_path / "pipe.mp4"
    os.mkfifo(fifo)
    threading.Thread(target=lambda: fifo.write_bytes((clips / "kind.mp4").read_bytes()), daemon=True).start()
    with open_video(fifo) as reader:
        assert reader.count() == 12


def send(write_end: int, data: bytes) -> None:
    with suppress(BrokenPipeError), os.fdopen(write_end, "wb") as stream:
        stream.write(data)


def test_full_disk(monkeypatch: pytest.MonkeyPatch, temporary: Path, piped: Callable[[bytes], None]) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    piped(b"data")
    monkeypatch.setattr("shutil.copyfileobj", full)
    with pytest.raises(VideoError, match=r"No space left on device\): free some space there, or set TMPDIR"):
        open_video("-")
    assert not list(temporary.iterdir())


def test_a_pipe_that_is_read_again(clips: Path, temporary: Path, piped: Callable[[bytes], None]) -> None:
    piped((clips / "kind.mp4").read_bytes())
    with stdin_again():
        for _ in range(2):
            with open_video("-") as reader:
                assert reader.count() == 12
        assert len(list(temporary.iterdir())) == 1
    assert not list(temporary.iterdir())
