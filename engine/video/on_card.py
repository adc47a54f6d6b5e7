"""A video file decoded on a CUDA card (NVDEC) through torchcodec, where that is installed and the file is of a kind
whose frames are the same ones there.

Frame numbers, times, counts and errors are those of container.py: a file that is damaged, turned, mirrored, without
time stamps or of an unusual pixel format is decoded by the processor, and so is the rest of a file where the card
gives up. Knows torchcodec's decoder; imports it, and torch with it, only when a reader is made.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from engine.errors import UsageError
from engine.types import Frame, UInt8Array
from engine.video.container import ContainerReader, picture_stream
from engine.video.packets import StreamBroken, whole_packets
from engine.video.picture import is_upright

FORMATS = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
PIXELS = ("yuv420p", "yuvj420p", "nv12")
_HINT = "pip install 'mugvos[decode]' (it needs FFmpeg's libraries), or leave --decode out"


class CardPicture:
    """A picture that lies on a device: `tensor` is torch's, uint8 (H, W, 3), RGB. NumPy fetches it when asked to."""

    def __init__(self, tensor: Any) -> None:
        self.tensor = tensor

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W, 3)."""
        return tuple(self.tensor.shape)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        fetched: np.ndarray = self.tensor.cpu().numpy()
        return fetched if dtype is None else fetched.astype(dtype)


class CardReader(ContainerReader):
    """Frames whose `image` is a CardPicture on `device`, or an array where the processor decodes them.

    on_note: told, in words, where and why that is so. Raises UsageError without torchcodec, VideoError as
    ContainerReader does.
    """

    def __init__(
        self, path: Path, source: str, name: str, device: str, on_note: Callable[[str], None] = lambda note: None
    ) -> None:
        super().__init__(path, source, name)
        self._on_note = on_note
        self._decoder: Any = None
        make = _torchcodec()
        reason, stream = self._survey()
        if reason is None:
            try:
                self._decoder = make(
                    str(path.absolute()), stream_index=stream, dimension_order="NHWC", device=device, seek_mode="exact"
                )
            except (RuntimeError, ValueError) as error:
                reason = _first_line(error)
        if reason is not None:
            on_note(f"{source}: decoded by the processor, not on the card: {reason}")

    def count(self) -> int:
        return super().count() if self._decoder is None else len(self._decoder)

    def _frames(self, start: int, stop: int | None, step: int) -> Iterator[Frame]:
        decoder = self._decoder
        if decoder is None:
            yield from super()._frames(start, stop, step)
            return
        for index in range(start, len(decoder) if stop is None else min(stop, len(decoder)), step):
            try:
                found = decoder.get_frame_at(index)
            except (RuntimeError, IndexError) as error:
                self._give_up(index, _first_line(error))
            else:
                if tuple(found.data.shape) == (self.info.height, self.info.width, 3):
                    yield self._frame(index, found)
                    continue
                self._give_up(index, "its picture has another size")
            yield from super()._frames(index, stop, step)
            return

    def _frame(self, index: int, found: Any) -> Frame:
        picture = cast(UInt8Array, CardPicture(found.data))
        time = found.pts_seconds - self._decoder.metadata.begin_stream_seconds
        return Frame(index, picture, f"{index:05d}", time)

    def _give_up(self, index: int, reason: str) -> None:
        self._decoder = None
        self._on_note(f"{self.info.source}: decoded by the processor from frame {index} on: {reason}")

    def _survey(self) -> tuple[str | None, int]:
        """Why the card is not to decode this file (None: it may), and the number of its stream of pictures."""
        with self._open() as container:
            stream = picture_stream(container, self.info.source)
            if container.format.name not in FORMATS:
                return f"it is no mp4, mov, mkv or webm file ({container.format.name})", stream.index
            first = next(self._decode(container, stream)).picture
            if first.format.name not in PIXELS:
                return f"its pixels are {first.format.name}", stream.index
            if not is_upright(first):
                return "its pictures are turned or mirrored", stream.index
        with self._open() as container:
            stream = picture_stream(container, self.info.source)
            try:
                dated = all(
                    packet.pts is not None for packet in whole_packets(container, stream, self._path) if packet.size
                )
            except StreamBroken as broken:
                return str(broken), stream.index
            return None if dated else "it has no time stamps", stream.index


def _torchcodec() -> Callable[..., Any]:
    """Its decoder. Raises UsageError where it is missing, or lacks what it needs itself."""
    try:
        from torchcodec.decoders import VideoDecoder
    except (ImportError, RuntimeError, OSError) as error:  # without FFmpeg's libraries: RuntimeError
        missing = isinstance(error, ModuleNotFoundError) and error.name == "torchcodec"
        why = "is not installed" if missing else f"cannot be loaded ({_first_line(error)})"
        raise UsageError(f"--decode cuda needs torchcodec, which {why}", _HINT) from error
    return cast(Callable[..., Any], VideoDecoder)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
