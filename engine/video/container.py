"""A video file: mp4, mkv, webm, avi, mov, gif and what else FFmpeg demuxes, decoded frame by frame through PyAV.

Knows containers, time stamps and what goes wrong in damaged files. Pixel conversion is picture.py.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import av.error

from engine.errors import VideoError
from engine.types import Frame, VideoInfo
from engine.video.damage import lacks_index
from engine.video.packets import StreamBroken, whole_packets
from engine.video.picture import RgbConverter, upright_size
from engine.video.reader import VideoReader
from engine.video.stills import MAX_PIXELS

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".3gp", ".mkv", ".webm", ".avi", ".gif", ".mpg", ".mpeg"}
    | {".ts", ".m2ts", ".mts", ".flv", ".wmv", ".ogv", ".y4m"}
)
# Play lists and the like are left out: a file must not make FFmpeg open other files.
FORMATS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,gif,mpeg,mpegts,mpegvideo,flv,live_flv,asf,ogg,yuv4mpegpipe,"
    "h264,hevc,m4v,ivf,av1,obu,nut,mxf,apng,mp3,wav,flac,aac"
)
_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "file"}


@dataclass(frozen=True)
class _Decoded:
    """A decoded `av.VideoFrame` and its seconds from the first one."""

    picture: Any
    time: float | None


class ContainerReader(VideoReader):
    """Frames of a video file. Every pass opens the file anew, so several passes may run at once.

    `Frame.time` comes from the presentation time stamps (variable frame rate is kept), from the nominal rate where the
    file has none. Raises VideoError, here, for a file that is no video, has no picture stream or not one frame; while
    iterating, for a stream that breaks off or changes its size.
    """

    def __init__(self, path: Path, source: str, name: str) -> None:
        self._path = path
        self._count: int | None = None
        self.info = VideoInfo(source=source, name=name, width=0, height=0)
        with self._open() as container:
            stream = picture_stream(container, self.info.source)
            rate = rate_of(stream)
            first = next(self._decode(container, stream), None)
        if first is None:
            raise _no_frame(source)
        width, height = upright_size(first.picture)
        self.info = replace(self.info, width=width, height=height, fps=rate)

    def count(self) -> int:
        if self._count is None:
            for _ in self._pictures():
                pass
        assert self._count is not None
        return self._count

    def _frames(self, start: int, stop: int | None, step: int) -> Iterator[Frame]:
        if stop is not None and stop <= start:
            return
        to_rgb = RgbConverter()
        for index, decoded in enumerate(self._pictures()):
            if index >= start and (index - start) % step == 0:
                yield Frame(index=index, image=to_rgb(decoded.picture), name=f"{index:05d}", time=decoded.time)
            if stop is not None and index + 1 >= stop:
                return

    def _pictures(self) -> Iterator[_Decoded]:
        """All decoded frames of one pass, each checked for its size; remembers how many there were."""
        size = (self.info.width, self.info.height)
        index = -1
        with self._open() as container:
            for index, decoded in enumerate(self._decode(container, picture_stream(container, self.info.source))):
                if upright_size(decoded.picture) != size:
                    raise self._other_size(index, upright_size(decoded.picture))
                yield decoded
        self._count = index + 1

    def _open(self) -> Any:
        """The container, opened. No path that the user gave is ever read as a URL or a pattern."""
        source = self.info.source
        try:
            if not self._path.stat().st_size:
                raise VideoError(f"{source}: the file is empty", "export or copy the video again")
            if lacks_index(self._path):
                raise VideoError(
                    f"{source}: cut off, its index is missing (moov atom not found)",
                    "copy or record the file again; without the index no frame can be found",
                )
            return av.open(str(self._path.absolute()), options=_OPTIONS, metadata_errors="replace")
        except OSError as error:
            reason = error.strerror or str(error)
            raise VideoError(f"{source}: cannot be opened ({reason})", "check the path and its permissions") from error
        except (av.error.FFmpegError, ValueError) as error:
            raise VideoError(
                f"{source}: not a video file, or damaged at its beginning",
                "check it with a player, or convert it: ffmpeg -i IN OUT.mp4",
            ) from error

    def _decode(self, container: Any, stream: Any) -> Iterator[_Decoded]:
        """Frames up to the end; VideoError where the stream breaks, or where it ends before the file says it should."""
        index, first = 0, None
        try:
            for packet in whole_packets(container, stream, self._path):
                for picture in packet.decode():
                    if picture.is_corrupt:
                        raise StreamBroken("the picture is damaged")
                    first = picture.pts if first is None else first
                    yield _Decoded(picture, seconds(picture.pts, first, stream, index))
                    index += 1
        except StreamBroken as error:
            raise self._broken(index, stream, str(error)) from error
        except (av.error.FFmpegError, OSError) as error:
            raise self._broken(index, stream, error.strerror or "decoding error") from error

    def _broken(self, index: int, stream: Any, reason: str) -> VideoError:
        declared = f" of {stream.frames}" if stream.frames else ""
        return VideoError(
            f"{self.info.source}: decoding stopped at frame {index}{declared}: {reason}",
            "copy or download the file again, or cut it before that frame",
        )

    def _other_size(self, index: int, size: tuple[int, int]) -> VideoError:
        return VideoError(
            f"{self.info.source}: frame {index} is {size[0]}x{size[1]}, the first is "
            f"{self.info.width}x{self.info.height}",
            "a video needs one size; convert it: ffmpeg -i IN -vf scale=WIDTH:HEIGHT OUT.mp4",
        )


def picture_stream(container: Any, source: str) -> Any:
    """The first stream of moving pictures. Raises VideoError where there is none that can be decoded."""
    streams = [s for s in container.streams.video if not s.disposition & av.stream.Disposition.attached_pic]
    if not len(container.streams):
        raise _no_frame(source)
    if not streams:
        kinds = ", ".join(sorted({s.type for s in container.streams}))
        raise VideoError(f"{source}: has no video stream, only {kinds}", "give a file with moving pictures")
    stream = streams[0]
    if stream.codec_context is None:
        raise VideoError(f"{source}: its codec cannot be decoded here", "convert it to H.264: ffmpeg -i IN OUT.mp4")
    if stream.codec_context.width * stream.codec_context.height > MAX_PIXELS:
        raise VideoError(f"{source}: frames of more than {MAX_PIXELS} pixels", "scale the video down first")
    stream.thread_type = "AUTO"
    return stream


def _no_frame(source: str) -> VideoError:
    return VideoError(f"{source}: holds no frame", "the recording is empty; export the video again")


def seconds(pts: int | None, first: int | None, stream: Any, index: int) -> float | None:
    """Seconds from the first picture: by its time stamp, else by the nominal rate, None if there is neither."""
    if pts is not None and first is not None:
        return float((pts - first) * stream.time_base)
    rate = rate_of(stream)
    return float(index / rate) if rate else None


def rate_of(stream: Any) -> Fraction | None:
    """Frames a second of a stream, as it says."""
    rate = stream.average_rate or stream.guessed_rate
    return Fraction(rate) if rate else None
