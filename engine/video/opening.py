"""From what the user typed to a reader of frames.

Knows how the kinds of sources are told apart. Reading them is the business of one module a kind.
"""

from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, cast

from engine.errors import UsageError, VideoError
from engine.video.cameras import CameraCapture, is_camera
from engine.video.container import ContainerReader
from engine.video.image_lists import folder_images, glob_images, is_glob, listed_images
from engine.video.images import ImageSequenceReader
from engine.video.live import LiveReader
from engine.video.on_card import CardReader
from engine.video.pipes import Y4M, PipeCapture, parse_raw
from engine.video.reader import VideoReader
from engine.video.spool import read_pipe, read_stdin, reopenable, standard_input
from engine.video.stills import is_still
from engine.video.streaming import StreamReader


def open_video(source: str | Path) -> VideoReader:
    """The frames of `source`: a video file, a folder of images, a glob, a list file (.txt), one image, or '-'.

    Raises VideoError, in one line, for anything that yields no frame; damage further on is reported while iterating.
    """
    text = str(source)
    if text == "-":
        return read_stdin()
    if is_glob(text):
        return ImageSequenceReader(text, _glob_name(text), glob_images(text))
    path = Path(source)
    if path.is_dir():
        return ImageSequenceReader(text, path.absolute().name, folder_images(path))
    if not path.exists():
        raise VideoError(f"{text}: no such file or folder", "check the path; quote patterns such as 'frames/*.jpg'")
    if path.suffix.lower() == ".txt":
        return ImageSequenceReader(text, path.stem, listed_images(path))
    if is_still(path):
        return ImageSequenceReader(text, path.stem, [path])
    if path.is_file():
        return ContainerReader(path, text, path.stem)
    with path.open("rb") as pipe:
        return read_pipe(pipe, text, path.name)


def open_on_card(source: str | Path, device: str, on_note: Callable[[str], None] = lambda note: None) -> VideoReader:
    """The frames of a video file, decoded on a CUDA device (engine.video.on_card).

    on_note: told, in words, which frames are decoded by the processor after all. Raises UsageError for anything that
    is no video file, and without torchcodec; VideoError as `open_video` does.
    """
    reader = None if is_camera(str(source)) or _pipe_like(source) else open_video(source)
    if not isinstance(reader, ContainerReader):
        raise UsageError(f"{source}: --decode cuda reads video files, and this is none", "leave --decode out")
    return CardReader(Path(source), reader.info.source, reader.info.name, device, on_note)


def _pipe_like(source: str | Path) -> bool:
    return str(source) == "-" or Path(source).is_fifo()


def open_stream(source: str | Path, raw: str | None = None, live: bool = False) -> VideoReader:
    """As `open_video`, for those who read the frames once, in order: cameras too, and pipes as they come.

    A camera (a number, /dev/videoN) is live: frames that nobody asks for in time are dropped. A pipe is read as it
    comes where it holds y4m, where raw says what its bytes are (see engine.video.pipes.parse_raw), and where `live`
    is wanted; any other is copied first. Raises VideoError, and UsageError for options that do not fit the source.
    """
    text = str(source)
    if is_camera(text):
        if raw:
            raise UsageError(f"--raw {raw}: {text} is a camera", "leave --raw out, or read from a pipe: -")
        return LiveReader(CameraCapture(text), text, f"camera{Path(text).name.removeprefix('video')}")
    pipe = _pipe(text)
    if pipe is None:
        if raw or live:
            raise UsageError(
                f"{text}: no camera and no pipe", f"{'--raw' if raw else '--live'} goes with a camera or a pipe (-)"
            )
        return open_video(source)
    name = "stdin" if text == "-" else Path(text).name
    form = parse_raw(raw) if raw else None
    stream = _Peeked(pipe)
    if form is None and not live and stream.head(len(Y4M)) != Y4M:
        with stream:
            return read_pipe(cast(BinaryIO, stream), text, name)
    capture = PipeCapture(cast(BinaryIO, stream), text, form, live)
    return (LiveReader if live else StreamReader)(capture, text, name)


def _pipe(source: str) -> BinaryIO | None:
    """The pipe that a source is; None for files, folders and patterns, a redirected file included."""
    if source == "-":
        stream = standard_input()
        return stream if reopenable(stream) is None else None
    path = Path(source)
    return path.open("rb") if path.is_fifo() else None


class _Peeked:
    """A pipe of which the first bytes may be looked at before it is read."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._head = b""

    def head(self, size: int) -> bytes:
        """The first bytes, fewer at the end of the stream; to be asked for once, before anything is read."""
        self._head = self._stream.read(size)
        return self._head

    def read(self, size: int = -1) -> bytes:
        if self._head:
            head, self._head = self._head, b""
            return head
        return self._stream.read(size)

    def read1(self, size: int = -1) -> bytes:
        return self.read(size) if self._head else self._stream.read1(size)  # type: ignore[attr-defined]

    def close(self) -> None:
        self._stream.close()

    def __enter__(self) -> "_Peeked":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _glob_name(pattern: str) -> str:
    """The deepest folder of the pattern that holds no wildcard: clips/bear/*.jpg is `bear`."""
    plain = [part for part in Path(pattern).absolute().parts if not any(sign in part for sign in "*?[")]
    return plain[-1] if len(plain) > 1 else "images"
