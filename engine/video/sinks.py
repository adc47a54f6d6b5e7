"""Where written frames go: a video stream in a file, a GIF, or a folder of PNGs. Written under a temporary name.

Knows encoders. Knows nothing of final names or of who writes; see writer.py.
"""

import os
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import av
import numpy as np
from PIL import Image

from engine.errors import OutputError
from engine.types import UInt8Array

_BT601, _LIMITED_RANGE = 6, 1  # what swscale makes of RGB; said in the file so that players show the same colours
_PNG_EFFORT = 3


class Sink(Protocol):
    """Takes frames of one size, uint8 (H, W, 3). Raises OSError or FFmpegError where they cannot be stored."""

    def write(self, image: UInt8Array) -> None: ...

    def finish(self) -> None:
        """Everything on disk. Afterwards the file or folder is whole."""

    def abandon(self) -> None:
        """Lets go of open files; what was written is no use. Never raises."""


class Encoder(NamedTuple):
    """An encoder of the FFmpeg build and how it is run."""

    name: str
    options: dict[str, str]


H264 = (
    Encoder("libx264", {"preset": "fast", "crf": "18"}),
    Encoder("libopenh264", {"b": "8M"}),
    Encoder("mpeg4", {"qscale": "3", "flags": "qscale"}),
)
VP9 = (Encoder("libvpx-vp9", {"crf": "24", "b": "0", "deadline": "realtime", "cpu-used": "6", "row-mt": "1"}),)
GIF = (Encoder("gif", {}),)
WEBP = (Encoder("libwebp_anim", {"quality": "80", "loop": "0", "compression_level": "3"}),)
WEBP_ALPHA = (Encoder("libwebp_anim", {"lossless": "1", "loop": "0", "compression_level": "3"}),)
"""Lossless: in lossy mode libwebp's animations lost their transparency for some frames (seen in FFmpeg 8)."""


def available(choices: tuple[Encoder, ...]) -> Encoder:
    """The first encoder of `choices` that this FFmpeg has. Raises OutputError if it has none of them."""
    for encoder in choices:
        try:
            av.codec.Codec(encoder.name, "w")
        except av.codec.codec.UnknownCodecError:
            continue
        return encoder
    names = ", ".join(encoder.name for encoder in choices)
    raise OutputError(f"this build of FFmpeg has no encoder {names}", "write PNGs to a folder, or `pip install av`")


class StreamSink:
    """One video stream, yuv420p. Odd sizes gain one pixel to the right or below that repeats the edge: 4:2:0 colour
    has one sample for two pixels."""

    def __init__(self, path: Path, muxer: str, encoder: Encoder, rate: Fraction, width: int, height: int) -> None:
        # A Python file, not a path: FFmpeg drops errors of the last write, Python does not.
        self._file = path.open("xb")
        self._container = av.open(self._file, "w", format=muxer)
        self._stream = self._container.add_stream(encoder.name, rate=rate, options=encoder.options)
        self._stream.width, self._stream.height = width + width % 2, height + height % 2
        self._count = 0
        self._configure(self._stream)

    def _configure(self, stream: Any) -> None:
        stream.pix_fmt = "yuv420p"
        stream.codec_context.colorspace = _BT601
        stream.codec_context.color_range = _LIMITED_RANGE

    def write(self, image: UInt8Array) -> None:
        height, width = image.shape[:2]
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        self._encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"))

    def _encode(self, picture: Any) -> None:
        picture.pts, picture.time_base = self._count, 1 / self._stream.codec_context.framerate
        self._count += 1
        self._container.mux(self._stream.encode(picture))

    def finish(self) -> None:
        self._container.mux(self._stream.encode(None))
        self._container.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()

    def abandon(self) -> None:
        for thing in (self._container, self._file):
            try:
                thing.close()
            except (OSError, ValueError, av.error.FFmpegError):
                continue


class AlphaSink(StreamSink):
    """A video stream with transparency, frames uint8 (H, W, 4), colours not multiplied with it; VP9 or WebP."""

    def _configure(self, stream: Any) -> None:
        super()._configure(stream)
        self._format = "bgra" if stream.codec_context.name.startswith("libwebp") else "yuva420p"
        stream.pix_fmt = self._format
        if self._format == "yuva420p":
            stream.options = {**stream.options, "auto-alt-ref": "0"}  # libvpx cannot have both

    def write(self, image: UInt8Array) -> None:
        height, width = image.shape[:2]
        if width % 2 or height % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgba")
        self._encode(picture.reformat(format=self._format))


class GifSink(StreamSink):
    """An animation with a palette of its own for every frame, so that none need be held back to look for colours."""

    def __init__(self, path: Path, muxer: str, encoder: Encoder, rate: Fraction, width: int, height: int) -> None:
        super().__init__(path, muxer, encoder, rate, width, height)
        self._stream.width, self._stream.height = width, height
        self._graph = _palette_graph(rate, width, height)

    def _configure(self, stream: Any) -> None:
        stream.pix_fmt = "pal8"

    def write(self, image: UInt8Array) -> None:
        picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        picture.pts, picture.time_base = self._count, 1 / self._stream.codec_context.framerate
        self._graph.push(picture)
        self._encode(self._graph.pull())


def _palette_graph(rate: Fraction, width: int, height: int) -> Any:
    graph = av.filter.Graph()
    source = graph.add_buffer(width=width, height=height, format=av.VideoFormat("rgb24"), time_base=1 / rate)
    split = graph.add("split")
    generate = graph.add("palettegen", "stats_mode=single:reserve_transparent=0")
    use = graph.add("paletteuse", "new=1:dither=bayer:bayer_scale=4")
    sink = graph.add("buffersink")
    source.link_to(split)
    split.link_to(use, 0, 0)
    split.link_to(generate, 1, 0)
    generate.link_to(use, 0, 1)
    use.link_to(sink)
    graph.configure()
    return graph


class FolderSink:
    """A folder of PNGs, 00000.png and on: lossless, any size."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._count = 0
        path.mkdir()

    def write(self, image: UInt8Array) -> None:
        Image.fromarray(np.ascontiguousarray(image)).save(
            self._path / f"{self._count:05d}.png", compress_level=_PNG_EFFORT
        )
        self._count += 1

    def finish(self) -> None:
        return

    def abandon(self) -> None:
        return
