"""A video played backwards, without holding more than a few frames of it.

Knows readers by their interface. Decoders run forwards only, so short runs of frames are decoded and turned round.
"""

from collections.abc import Iterator
from dataclasses import replace

from engine.types import Frame
from engine.video import VideoReader

_AT_ONCE = 16


class Backwards(VideoReader):
    """The frames `last`, last - 1, ... 0 of another video, counted from 0 in that order.

    Closing it leaves the other video open.
    """

    def __init__(self, video: VideoReader, last: int) -> None:
        self._video, self._last = video, last
        self.info = replace(video.info, frame_count=last + 1)

    def count(self) -> int:
        return self._last + 1

    def _frames(self, start: int, stop: int | None, step: int) -> Iterator[Frame]:
        wanted = range(start, min(self.count(), self.count() if stop is None else stop), step)
        upper = self._last - start + 1
        while upper > 0 and wanted:
            lower = max(upper - _AT_ONCE, 0)
            for frame in reversed(list(self._video.frames(lower, upper))):
                index = self._last - frame.index
                if index in wanted:
                    yield replace(frame, index=index)
            upper = lower if self._last - lower + 1 < wanted.stop else 0
