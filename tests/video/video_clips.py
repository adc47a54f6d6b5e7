"""Small synthetic videos for the tests of this folder; every frame is known exactly."""

from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from engine.types import UInt8Array

LOSSLESS = ("ffv1", "bgr0")


def picture(index: int, width: int = 64, height: int = 48) -> UInt8Array:
    """Frame `index` of every clip: four corners of different colour and a bar that moves; uint8 (H, W, 3)."""
    image = np.zeros((height, width, 3), np.uint8)
    image[: height // 2, : width // 2] = (200, 30, 30)
    image[: height // 2, width // 2 :] = (30, 200, 30)
    image[height // 2 :, : width // 2] = (30, 30, 200)
    image[height // 2 :, width // 2 :] = (120, 120, 120)
    image[:, index % width] = (index % 256, index // 256, 255)
    return image


def pictures(count: int, width: int = 64, height: int = 48) -> list[UInt8Array]:
    return [picture(index, width, height) for index in range(count)]


def encode(
    path: Path,
    images: Iterable[UInt8Array],
    codec: str = "ffv1",
    pix_fmt: str = "bgr0",
    rate: Fraction = Fraction(25),
    array_format: str = "rgb24",
    milliseconds: Sequence[int] | None = None,
    before: Callable[[Any], None] = lambda stream: None,
    options: dict[str, str] | None = None,
    muxer_options: dict[str, str] | None = None,
) -> Path:
    """Encodes `images`; `milliseconds` gives each its own time stamp, `before` may set the stream up further."""
    with av.open(str(path), "w", options=muxer_options or {}) as container:
        stream: Any = None
        for index, image in enumerate(images):
            if stream is None:
                stream = container.add_stream(codec, rate=rate, options=options or {})
                stream.height, stream.width = image.shape[:2]
                stream.pix_fmt = pix_fmt
                if milliseconds is not None:
                    stream.codec_context.time_base = Fraction(1, 1000)
                before(stream)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format=array_format)
            if milliseconds is not None:
                frame.pts, frame.time_base = milliseconds[index], Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path


def cut(path: Path, fraction: float, name: str) -> Path:
    """A copy of the first `fraction` of a file's bytes."""
    copy = path.with_name(name)
    data = path.read_bytes()
    copy.write_bytes(data[: int(len(data) * fraction)])
    return copy
