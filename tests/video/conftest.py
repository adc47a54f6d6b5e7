"""Clips that several test files use, made once a session."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image
from video_clips import cut, encode, pictures


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of healthy clips: cfr.mkv (12 frames, lossless), long.mp4 (60 frames, index first), ..."""
    folder = tmp_path_factory.mktemp("clips")
    encode(folder / "cfr.mkv", pictures(12), rate=Fraction(30000, 1001))
    for suffix, codec in ((".mp4", "libx264"), (".mov", "libx264"), (".avi", "mpeg4"), (".webm", "libvpx-vp9")):
        encode(folder / f"kind{suffix}", pictures(12), codec=codec, pix_fmt="yuv420p")
    encode(folder / "kind.gif", pictures(12), codec="gif", pix_fmt="rgb8")
    faststart = {"movflags": "faststart"}
    encode(folder / "long.mp4", pictures(60), codec="libx264", pix_fmt="yuv420p", muxer_options=faststart)
    encode(folder / "long.mkv", pictures(60), codec="libx264", pix_fmt="yuv420p")
    encode(folder / "long.avi", pictures(60), codec="mpeg4", pix_fmt="yuv420p")
    encode(folder / "long.gif", pictures(60), codec="gif", pix_fmt="rgb8")
    return folder


@pytest.fixture(scope="session")
def damaged(clips: Path) -> Path:
    """The same folder, with clips that are cut off, scrambled, empty or no videos at all."""
    for suffix in (".mp4", ".mkv", ".avi", ".gif"):
        cut(clips / f"long{suffix}", 0.85 if suffix == ".avi" else 0.6, f"cut{suffix}")
    cut(clips / "kind.mp4", 0.7, "no-index.mp4")
    scrambled = bytearray((clips / "long.mp4").read_bytes())
    middle = scrambled.index(b"mdat") + (len(scrambled) - scrambled.index(b"mdat")) // 2
    scrambled[middle : middle + 300] = bytes(300)
    (clips / "scrambled.mp4").write_bytes(scrambled)
    (clips / "text.mp4").write_text("This is a shopping list.\n" * 50)
    (clips / "playlist.mp4").write_text(f"#EXTM3U\n#EXTINF:10,\n{clips / 'kind.mp4'}\n#EXT-X-ENDLIST\n")
    (clips / "empty.mp4").write_bytes(b"")
    (clips / "noise.mp4").write_bytes(np.random.default_rng(0).bytes(5000))
    for suffix in (".mp4", ".avi"):
        _without_frames(clips / f"zero{suffix}")
    _sound_only(clips / "sound.mp4")
    return clips


@pytest.fixture
def folder_of_frames(tmp_path: Path) -> Path:
    """Twelve PNGs, 1.png to 12.png, whose natural order is not the alphabetical one; some files that are no frames."""
    folder = tmp_path / "bear"
    folder.mkdir()
    for index, image in enumerate(pictures(12), start=1):
        Image.fromarray(image).save(folder / f"{index}.png")
    (folder / "notes.md").write_text("no frame")
    (folder / "._1.png").write_bytes(b"hidden rubbish")
    return folder


def _without_frames(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        container.start_encoding()


def _sound_only(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
