"""Frames out: a video file or a folder of PNGs that appears whole or not at all.

Knows names, temporary names and what can go wrong on disks. Encoding is sinks.py.
"""

import math
import secrets
import shutil
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import av.error
import numpy as np

from engine.errors import OutputError, UsageError, VideoError
from engine.types import UInt8Array
from engine.video import sinks

_FORMATS = {
    ".mp4": ("mp4", sinks.H264),
    ".m4v": ("mp4", sinks.H264),
    ".mov": ("mov", sinks.H264),
    ".mkv": ("matroska", sinks.H264),
    ".webm": ("webm", sinks.VP9),
    ".gif": ("gif", sinks.GIF),
    ".webp": ("webp", sinks.WEBP),
}
_TRANSPARENT = (".webm", ".webp")


class VideoWriter:
    """Writes frames of one size to `path` at a constant rate; use it as a context manager.

    The suffix says what is made: .mp4 .m4v .mov .mkv (H.264, yuv420p), .webm (VP9, yuv420p), .gif, .webp (animated);
    no suffix, or an existing folder, means a folder 00000.png, 00001.png, ... (lossless). An odd width or height
    gains one pixel that repeats the edge in H.264, VP9 and WebP. `fps` is kept as a fraction; a float near 24000/1001,
    30000/1001 or 60000/1001 means that rate. (GIF has hundredths of a second only.)

    Work goes to a temporary name beside `path`; leaving the context without an exception puts it in place by one
    rename. With an exception, or without a single frame, nothing changes. A folder is replaced only if it holds
    nothing but PNGs.
    Raises OutputError (cannot be written), VideoError (frame of another size or kind), UsageError (rate or size).
    """

    def __init__(
        self, path: str | Path, fps: Fraction | float, width: int, height: int, transparent: bool = False
    ) -> None:
        """transparent: frames have a fourth channel, how opaque they are; .webm, .webp and folders only."""
        self.path = Path(path)
        self.rate = as_rate(fps)
        if width < 1 or height < 1:
            raise UsageError(f"{path}: a video of {width}x{height} pixels", "both sides need at least one pixel")
        self._transparent = transparent
        self._shape = (height, width, 4 if transparent else 3)
        self._count = 0
        self._is_folder = not self.path.suffix or self.path.is_dir()
        if not self._is_folder and self.path.suffix.lower() not in _FORMATS:
            known = ", ".join(_FORMATS)
            raise OutputError(f"{path}: unknown video suffix", f"use one of {known}, or a folder for PNGs")
        if transparent and not self._is_folder and self.path.suffix.lower() not in _TRANSPARENT:
            raise OutputError(f"{path}: cannot be transparent", f"use {', '.join(_TRANSPARENT)}, or a folder for PNGs")
        if self._is_folder:
            _check_replaceable(self.path)
        self._temporary = self.path.absolute().with_name(f".{self.path.absolute().name}.{secrets.token_hex(4)}.tmp")

    def write(self, image: UInt8Array) -> None:
        """Appends one frame: uint8 (height, width, 3), RGB; (height, width, 4) where transparent."""
        if image.shape != self._shape or image.dtype != np.uint8:
            raise VideoError(
                f"{self.path}: frame {self._count} is {image.dtype} {image.shape}, not uint8 {self._shape}",
                "all frames of a video have one size, given when it is opened",
            )
        try:
            self._sink.write(image)
        except (OSError, av.error.FFmpegError) as error:
            raise self._unwritable(error) from error
        self._count += 1

    def __enter__(self) -> Self:
        try:
            self._sink = self._open_sink()
        except (OSError, av.error.FFmpegError) as error:
            self._discard()
            raise self._unwritable(error) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self._finish()
        except (OSError, av.error.FFmpegError) as failure:
            raise self._unwritable(failure) from failure
        finally:
            self._sink.abandon()
            self._discard()

    def _open_sink(self) -> sinks.Sink:
        if self._is_folder:
            return sinks.FolderSink(self._temporary)
        height, width = self._shape[:2]
        muxer, choices = _FORMATS[self.path.suffix.lower()]
        if self._transparent:
            make: type[sinks.StreamSink] = sinks.AlphaSink
            choices = sinks.WEBP_ALPHA if choices is sinks.WEBP else choices
        else:
            make = sinks.GifSink if choices is sinks.GIF else sinks.StreamSink
        return make(self._temporary, muxer, sinks.available(choices), self.rate, width, height)

    def _finish(self) -> None:
        if not self._count:
            raise OutputError(f"{self.path}: no frame was written", "the video it is made from yielded none")
        self._sink.finish()
        if self._is_folder and self.path.exists():
            _swap_folder(self._temporary, self.path)
        else:
            self._temporary.replace(self.path)

    def _discard(self) -> None:
        """Removes the temporary file or folder if it is still there."""
        if self._temporary.is_dir():
            shutil.rmtree(self._temporary, ignore_errors=True)
        else:
            with suppress(OSError):  # what went wrong before is the better message
                self._temporary.unlink()

    def _unwritable(self, error: Exception) -> OutputError:
        """FFmpeg's errors are OSErrors too, but for a few without a number."""
        cause = error if isinstance(error, OSError) else OSError(str(error))
        return OutputError.of(self.path, cause)


def as_rate(fps: Fraction | float) -> Fraction:
    """Frames a second as a fraction: fractions as they are, floats near n * 1000 / 1001 as that, others rounded to
    1/1001 at most. Raises UsageError unless 0 < fps <= 1000."""
    if not (math.isfinite(fps) and 0 < fps <= 1000):
        raise UsageError(f"a frame rate of {fps}", "give frames a second, above 0 and at most 1000")
    if isinstance(fps, Fraction | int):
        return Fraction(fps)
    television = Fraction(round(fps) * 1000, 1001)
    if round(fps) in (24, 30, 48, 60, 120) and abs(fps - float(television)) < 0.005:
        return television
    return max(Fraction(fps).limit_denominator(1001), Fraction(1, 1001))


def _swap_folder(new: Path, path: Path) -> None:
    """Puts `new` in the place of the folder `path`; the old one goes last, so that one of them always exists."""
    old = new.with_suffix(".old")
    path.rename(old)
    new.rename(path)
    shutil.rmtree(old)


def _check_replaceable(folder: Path) -> None:
    if not folder.exists():
        return
    if not folder.is_dir():
        raise OutputError(f"{folder}: a file without suffix", "add .mp4 for a video, or give a folder for PNGs")
    strange = next((p for p in folder.iterdir() if p.suffix.lower() != ".png" or p.is_dir()), None)
    if strange is not None:
        raise OutputError(f"{folder}: holds {strange.name}, which is no frame", "give a new or an empty folder")
