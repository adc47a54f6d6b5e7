"""Pictures out of a pipe, decoded as they come: a container (MPEG-TS, Matroska, fragmented mp4), y4m, raw pictures.

Nothing is sought or copied, so the length of the stream does not matter. Knows FFmpeg's demuxers; what is done with
pictures that come too fast is the reader's business.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, BinaryIO

import av
import av.error

from engine.errors import UsageError, VideoError
from engine.video.capture import Captured
from engine.video.container import FORMATS, picture_stream, rate_of, seconds
from engine.video.picture import RgbConverter
from engine.video.stills import MAX_PIXELS

Y4M = b"YUV4MPEG2 "
_RAW = re.compile(r"(\d+)x(\d+)(?:@([\d.]+(?:/\d+)?))?(?::(\w+))?")
_RAW_HINT = "write WIDTHxHEIGHT, @ frames a second and : FFmpeg's pixel format after it: 640x480@25:rgb24"


@dataclass(frozen=True)
class RawFormat:
    """Pictures without any header. layout: FFmpeg's name of the pixel format."""

    width: int
    height: int
    rate: Fraction
    layout: str

    def __str__(self) -> str:
        return f"{self.width}x{self.height}@{self.rate}:{self.layout}"


def parse_raw(text: str) -> RawFormat:
    """ "640x480@30:yuv420p"; 25 frames a second and rgb24 where not said. Raises UsageError for anything else."""
    found = _RAW.fullmatch(text.strip())
    if found is None:
        raise UsageError(f"--raw {text}: no form of raw pictures", _RAW_HINT)
    width, height, layout = int(found[1]), int(found[2]), found[4] or "rgb24"
    try:
        rate = Fraction(found[3] or 25)
        av.VideoFormat(layout, 16, 16)
    except (ValueError, ZeroDivisionError) as error:
        raise UsageError(f"--raw {text}: {error}", _RAW_HINT) from error
    if not (width and height and width * height <= MAX_PIXELS and 0 < rate <= 1000):
        raise UsageError(f"--raw {text}: out of range", f"1 to {MAX_PIXELS} pixels, at most 1000 frames a second")
    return RawFormat(width, height, rate, layout)


class PipeCapture:
    """A Capture (see engine.video.capture) of the first video stream that comes through `stream`.

    raw: of pictures without a header. live: decode without the delay of several threads. Raises VideoError, here, for
    what is no video or needs seeking; in `read` for a stream that breaks off.
    """

    def __init__(self, stream: BinaryIO, source: str, raw: RawFormat | None = None, live: bool = False) -> None:
        self._source = source
        self._bytes = _Counted(stream)
        self._count = 0
        self._container = self._open(raw, live)
        self._stream = picture_stream(self._container, source)
        if live:
            self._stream.thread_type = "SLICE"
        self.rate = raw.rate if raw else rate_of(self._stream)
        self._to_rgb = RgbConverter()
        self._framed = raw is not None or self._container.format.name == "yuv4mpegpipe"
        self._pictures = self._decode()

    def read(self) -> Captured | None:
        return next(self._pictures, None)

    def close(self) -> None:
        self._container.close()
        self._bytes.close()

    def _open(self, raw: RawFormat | None, live: bool) -> Any:
        options = {"format_whitelist": f"{FORMATS},rawvideo", "protocol_whitelist": ""}
        if live:
            options |= {"fpsprobesize": "2"}  # as many pictures as it takes to learn the rate are not waited for
        if raw:
            size = f"{raw.width}x{raw.height}"
            options |= {"video_size": size, "pixel_format": raw.layout, "framerate": str(raw.rate)}
        try:
            kind = "rawvideo" if raw else None
            return av.open(self._bytes, format=kind, options=options, metadata_errors="replace")
        except (av.error.FFmpegError, ValueError) as error:
            if not self._bytes.count:
                raise VideoError(
                    f"{self._source}: nothing came through the pipe", "check the command before it"
                ) from error
            raise VideoError(
                f"{self._source}: no video that can be read as it comes",
                "send y4m (ffmpeg -i IN -f yuv4mpegpipe -), MPEG-TS or Matroska, or say with --raw what the bytes are",
            ) from error

    def _decode(self) -> Iterator[Captured]:
        first, packed = None, 0
        try:
            for packet in self._container.demux(self._stream):
                packed = packed or packet.size
                for picture in packet.decode():
                    first = picture.pts if first is None else first
                    time = seconds(picture.pts, first, self._stream, self._count)
                    yield Captured(self._to_rgb(picture), time)
                    self._count += 1
        except (av.error.FFmpegError, OSError) as error:
            raise self._broken(self._cut(packed) or error.strerror or "decoding error") from error
        if self._cut(packed):
            raise self._broken(self._cut(packed))

    def _cut(self, packed: int) -> str:
        """What to say where pictures of one size have not come whole; FFmpeg drops the last one without a word."""
        ended_inside = self._framed and packed and self._bytes.rest(packed)
        return "the stream ends inside a picture" if ended_inside else ""

    def _broken(self, reason: str) -> VideoError:
        what = f"{self._source}: the stream broke off at frame {self._count}: {reason}"
        return VideoError(what, "check the command that sends it, and --raw where that was given")


class _Counted:
    """A pipe for PyAV: gives what there is instead of waiting for a full buffer, and counts bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._read = getattr(stream, "read1", stream.read)
        self._head = b""
        self.count = 0

    def read(self, size: int) -> bytes:
        data: bytes = self._read(size)
        self.count += len(data)
        if b"\n" not in self._head[:128]:
            self._head += data[:128]
        return data

    def rest(self, packed: int) -> int:
        """Bytes behind the last whole picture of `packed` bytes, where each picture has the same frame around it."""
        if not self._head.startswith(Y4M):
            return self.count % packed
        return (self.count - self._head.index(b"\n") - 1) % (packed + len(b"FRAME\n"))

    def close(self) -> None:
        self._stream.close()
