"""A reader on top of a capture: every picture once, in order, as fast as they are asked for.

Knows captures and the rules of a single pass. What to do with pictures that come too fast is live.py's business.
"""

from collections.abc import Iterator

from engine.errors import VideoError
from engine.types import Frame, VideoInfo
from engine.video.capture import Capture, Captured
from engine.video.reader import VideoReader


class StreamReader(VideoReader):
    """Frames of a capture. The first is there from the beginning and may be looked at as often as wanted (0:1); all
    others come once.

    Raises VideoError, here, where not one picture comes; while iterating, for a second pass, for a picture of another
    size than the first, and what the capture raises.
    """

    def __init__(self, capture: Capture, source: str, name: str) -> None:
        self._capture = capture
        self._closed = self._begun = self._reading = False
        self._number: int | None = None
        try:
            first = capture.read()
            if first is None:
                raise VideoError(f"{source}: holds no frame", "check what sends it")
        except BaseException:
            capture.close()
            raise
        self._first = first
        height, width = first.image.shape[:2]
        self.info = VideoInfo(source, name, width, height, capture.rate)

    def count(self) -> int:
        if self._number is None:
            raise VideoError(f"{self.info.source}: its length is known at its end only", "read it first")
        return self._number

    def close(self) -> None:
        """Closes the capture, unless another thread waits in it for a picture: that ends with the process."""
        if not self._closed and not self._reading:
            self._closed = True
            self._capture.close()

    def _frames(self, start: int, stop: int | None, step: int) -> Iterator[Frame]:
        if stop is not None and stop <= 1:
            if start < stop:
                yield self._frame(0, self._first)
            return
        if self._begun or stop is not None:
            raise VideoError(
                f"{self.info.source}: comes once, so no single frame can be looked at but the first",
                "give points and boxes on frame 0, or save the video to a file first",
            )
        self._begun = True
        for index, captured in enumerate(self._all()):
            if index >= start and (index - start) % step == 0:
                yield self._frame(index, captured)

    def _all(self) -> Iterator[Captured]:
        """Every picture from the first on."""
        captured: Captured | None = self._first
        number = 0
        while captured is not None:
            self._check_size(number, captured)
            yield captured
            number += 1
            captured = self._read()
        self._number = number

    def _read(self) -> Captured | None:
        self._reading = True
        try:
            return self._capture.read()
        finally:
            self._reading = False

    def _frame(self, index: int, captured: Captured) -> Frame:
        return Frame(index, captured.image, f"{index:05d}", captured.time)

    def _check_size(self, number: int, captured: Captured) -> None:
        height, width = captured.image.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            raise VideoError(
                f"{self.info.source}: frame {number} is {width}x{height}, the first is "
                f"{self.info.width}x{self.info.height}",
                "a video needs one size",
            )
