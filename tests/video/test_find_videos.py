"""Inputs of a command -> one source a video; natural order; the codec report."""

from pathlib import Path

import pytest
from PIL import Image

from engine.errors import VideoError
from engine.names import path_key
from engine.video import codec_report, find_videos


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """videos/{clip2,clip10}.mp4, videos/frames9/1.png, mixed/{a.mp4,a.png}, empty/, and hidden entries."""
    for name in ("videos/frames9", "videos/.cache", "mixed", "empty"):
        (tmp_path / name).mkdir(parents=True)
    for name in ("videos/clip10.mp4", "videos/clip2.MP4", "videos/._clip2.mp4", "videos/notes.txt", "mixed/a.mp4"):
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "videos" / ".cache" / "b.mp4").write_bytes(b"x")
    for name in ("videos/frames9/1.png", "mixed/a.png"):
        Image.new("RGB", (2, 2)).save(tmp_path / name)
    (tmp_path / "videos" / "loop").symlink_to(tmp_path / "videos")
    return tmp_path


def test_folders_are_taken_apart(library: Path) -> None:
    found = find_videos([str(library / "videos")])
    assert [Path(video).name for video in found] == ["clip2.MP4", "clip10.mp4", "frames9"]


def test_inputs_keep_their_order(library: Path) -> None:
    inputs = ["-", str(library / "videos" / "frames9"), str(library / "videos" / "clip10.mp4")]
    assert find_videos(inputs) == inputs


def test_globs(library: Path) -> None:
    videos, frames = str(library / "videos" / "clip*"), str(library / "videos" / "frames9" / "*.png")
    assert [Path(video).name for video in find_videos([videos])] == ["clip2.MP4", "clip10.mp4"]
    assert find_videos([frames]) == [frames]
    assert [Path(video).name for video in find_videos([str(library / "videos" / "frame*")])] == ["frames9"]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("missing", "no such file or folder"),
        ("empty", "no video in this folder"),
        ("mixed", r"holds images \(a\.png\) and videos \(a\.mp4\): say which"),
        ("no*thing", "matches nothing"),
    ],
)
def test_unusable_inputs(library: Path, name: str, reason: str) -> None:
    with pytest.raises(VideoError, match=reason):
        find_videos([str(library / name)])


def test_natural_order() -> None:
    names = ["img10.png", "IMG2.png", "img1.png", "1.png", "img.png", "img01.png", "10.png", "2.png"]
    assert [path.name for path in sorted(map(Path, names), key=path_key)] == [
        "1.png", "2.png", "10.png", "img.png", "img01.png", "img1.png", "IMG2.png", "img10.png"
    ]  # fmt: skip
    assert sorted([Path("b/1.png"), Path("a/10.png"), Path("a/9.png")], key=path_key) == [
        Path("a/9.png"), Path("a/10.png"), Path("b/1.png")
    ]  # fmt: skip


def test_codec_report() -> None:
    report = {status.name: status for status in codec_report()}
    assert report["read H.264"].available
    assert report["write GIF"].detail == "gif"
    assert all(status.detail for status in report.values())
