"""Decoding through torchcodec: the same frames, numbers, times and errors as the reader of every other run.

On the processor, with torchcodec itself where it can be loaded and with a decoder of its shape everywhere; what only a
card can show is in tests/cuda.
"""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from video_clips import encode, picture, pictures

from engine.errors import UsageError, VideoError
from engine.types import Frame
from engine.video import open_on_card, open_video
from engine.video.container import ContainerReader
from engine.video.on_card import CardPicture, CardReader


class FakeDecoder:
    """torchcodec's decoder as far as it is used; fails at frame `broken`."""

    broken = 1 << 30

    def __init__(
        self, source: str, *, stream_index: int, dimension_order: str, device: str, seek_mode: str = "exact"
    ) -> None:
        assert Path(source).is_absolute() and dimension_order == "NHWC" and seek_mode == "exact"
        self.device = torch.device(device)
        self._frames = list(ContainerReader(Path(source), source, "fake"))
        self.metadata = SimpleNamespace(begin_stream_seconds=7.0)

    def __len__(self) -> int:
        return len(self._frames)

    def get_frame_at(self, index: int) -> Any:
        if index >= self.broken:
            raise RuntimeError("Could not push packet to decoder\nand more")
        frame = self._frames[index]
        data = torch.from_numpy(np.asarray(frame.image)).to(self.device)
        return SimpleNamespace(data=data, pts_seconds=7.0 + (frame.time or 0.0), duration_seconds=0.04)


def _real() -> type | None:
    try:
        from torchcodec.decoders import VideoDecoder
    except (ImportError, RuntimeError, OSError):
        return None
    return VideoDecoder


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> type[FakeDecoder]:
    _install(monkeypatch, FakeDecoder)
    return FakeDecoder


@pytest.fixture(params=["fake", "torchcodec"])
def decoder(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "fake":
        _install(monkeypatch, FakeDecoder)
    elif _real() is None:
        pytest.skip("torchcodec cannot be loaded")


def _install(monkeypatch: pytest.MonkeyPatch, made: type) -> None:
    package, module = ModuleType("torchcodec"), ModuleType("torchcodec.decoders")
    module.VideoDecoder = made  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torchcodec", package)
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", module)


def assert_same(found: list[Frame], wanted: list[Frame]) -> None:
    assert [frame.index for frame in found] == [frame.index for frame in wanted]
    assert [frame.name for frame in found] == [frame.name for frame in wanted]
    assert [frame.time for frame in found] == pytest.approx([frame.time for frame in wanted])
    for ours, theirs in zip(found, wanted, strict=True):
        assert tuple(ours.image.shape) == theirs.image.shape
        assert np.array_equal(np.asarray(ours.image), theirs.image)


def x264(path: Path, **more: Any) -> Path:
    return encode(path, pictures(12), codec="libx264", **{"pix_fmt": "yuv420p", **more})


MADE: dict[str, Callable[[Path], Path]] = {
    "usual": lambda folder: x264(folder / "clip.mp4"),
    "full range": lambda folder: x264(folder / "clip.mov", pix_fmt="yuvj420p"),
    "uneven times": lambda folder: x264(folder / "clip.mkv", milliseconds=[40 * k * k for k in range(12)]),
    "late beginning": lambda folder: x264(folder / "late.mkv", milliseconds=[2000 + 40 * k for k in range(12)]),
    "vp9": lambda folder: encode(folder / "clip.webm", pictures(12), codec="libvpx-vp9", pix_fmt="yuv420p"),
}


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("kind", MADE)
def test_the_same_frames(tmp_path: Path, kind: str) -> None:
    path = MADE[kind](tmp_path)
    notes: list[str] = []
    plain = open_video(path)
    with open_on_card(path, "cpu", notes.append) as reader:
        assert not notes
        assert reader.info == plain.info and reader.count() == plain.count() == 12
        frames = list(reader)
        assert all(isinstance(frame.image, CardPicture) for frame in frames)
        assert_same(frames, list(plain))
        assert_same(list(reader), list(plain))  # a second pass
        for part in ((5, None, 1), (2, 9, 3), (11, 40, 1), (12, None, 1), (4, 4, 1)):
            assert_same(list(reader.frames(*part)), list(plain.frames(*part)))
    assert_same(list(open_on_card(path, "cpu", notes.append).frames(9)), list(plain.frames(9)))


BY_THE_PROCESSOR: dict[str, tuple[str, Callable[[Path], Path]]] = {
    "turned": (
        "turned",
        lambda f: x264(f / "t.mp4", before=lambda stream: stream.set_display_rotation(90, hflip=False)),
    ),
    "upside down": ("turned", lambda f: x264(f / "u.mp4", before=lambda s: s.set_display_rotation(180, hflip=False))),
    "mirrored": ("mirrored", lambda f: x264(f / "m.mp4", before=lambda s: s.set_display_rotation(0, hflip=True))),
    "deep": ("yuv420p10le", lambda f: x264(f / "deep.mp4", pix_fmt="yuv420p10le")),
    "fine colour": ("yuv444p", lambda f: x264(f / "fine.mp4", pix_fmt="yuv444p")),
    "lossless": ("bgr0", lambda f: encode(f / "clip.mkv", pictures(12))),
    "gif": ("gif", lambda f: encode(f / "clip.gif", pictures(12), codec="gif", pix_fmt="rgb8")),
    "transport stream": ("mpegts", lambda f: x264(f / "clip.ts")),
    "bare stream": ("h264", lambda f: x264(f / "clip.h264")),
}


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("kind", BY_THE_PROCESSOR)
def test_unusual_files_are_decoded_as_ever(tmp_path: Path, kind: str) -> None:
    reason, make = BY_THE_PROCESSOR[kind]
    path, notes = make(tmp_path), []
    reader, plain = open_on_card(path, "cpu", notes.append), open_video(path)
    assert len(notes) == 1 and str(path) in notes[0] and reason in notes[0]
    frames = list(reader)
    assert all(isinstance(frame.image, np.ndarray) for frame in frames)
    assert reader.info == plain.info and reader.count() == plain.count()
    assert [frame.time for frame in frames] == [frame.time for frame in plain]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(frames, plain, strict=True))


@pytest.mark.usefixtures("decoder")
@pytest.mark.parametrize("name", ["cut.mp4", "cut.mkv", "cut.avi", "cut.gif"])
def test_files_that_are_cut_off_end_as_ever(damaged: Path, name: str) -> None:
    notes: list[str] = []
    with pytest.raises(VideoError) as wanted:
        list(open_video(damaged / name))
    with pytest.raises(VideoError) as found:
        list(open_on_card(damaged / name, "cpu", notes.append))
    assert str(found.value) == str(wanted.value) and len(notes) == 1


@pytest.mark.usefixtures("fake")
@pytest.mark.parametrize("name", ["missing.mp4", "text.mp4", "playlist.mp4", "empty.mp4", "no-index.mp4", "sound.mp4"])
def test_unusable_files_are_refused_as_ever(damaged: Path, name: str) -> None:
    with pytest.raises(VideoError) as wanted:
        open_video(damaged / name)
    with pytest.raises(VideoError) as found:
        open_on_card(damaged / name, "cpu")
    assert str(found.value) == str(wanted.value)


def test_where_the_card_gives_up_the_processor_goes_on(tmp_path: Path, fake: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(fake, "broken", 5)
    path, notes = MADE["usual"](tmp_path), []
    reader = open_on_card(path, "cpu", notes.append)
    frames = list(reader)
    assert [isinstance(frame.image, CardPicture) for frame in frames] == [True] * 5 + [False] * 7
    assert_same(frames, list(open_video(path)))
    assert len(notes) == 1 and "from frame 5 on: Could not push packet to decoder" in notes[0]
    assert_same(list(reader.frames(3, 9, 2)), list(open_video(path).frames(3, 9, 2)))


def test_a_card_that_cannot_decode_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*given: Any, **more: Any) -> None:
        raise RuntimeError("Unsupported device: cpu")

    _install(monkeypatch, broken)  # type: ignore[arg-type]
    path, notes = MADE["usual"](tmp_path), []
    assert_same(list(open_on_card(path, "cpu", notes.append)), list(open_video(path)))
    assert len(notes) == 1 and "Unsupported device" in notes[0]


def test_without_torchcodec_one_line_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torchcodec.decoders", None)
    with pytest.raises(UsageError, match="needs torchcodec") as error:
        open_on_card(MADE["usual"](tmp_path), "cpu")
    assert "mugvos[decode]" in error.value.hint and "\n" not in str(error.value)


@pytest.mark.usefixtures("fake")
def test_what_is_no_video_file_is_refused(tmp_path: Path) -> None:
    Image.fromarray(picture(0)).save(tmp_path / "0.png")
    for source in (tmp_path, tmp_path / "0.png", tmp_path / "*.png", "0", "-"):
        with pytest.raises(UsageError, match="reads video files"):
            open_on_card(source, "cpu")


def test_numpy_fetches_a_picture() -> None:
    card = CardPicture(torch.arange(12, dtype=torch.uint8).view(2, 2, 3))
    assert card.shape == (2, 2, 3)
    assert np.asarray(card).tolist() == np.arange(12).reshape(2, 2, 3).tolist()
    assert np.asarray(card, np.float32).dtype == np.float32


def test_a_reader_on_a_card_is_a_reader(tmp_path: Path, fake: Any) -> None:
    reader = open_on_card(MADE["usual"](tmp_path), "cpu")
    assert isinstance(reader, CardReader) and reader.names() is None and not reader.live
    with pytest.raises(UsageError, match="step is 1 or more"):
        reader.frames(0, None, 0)
