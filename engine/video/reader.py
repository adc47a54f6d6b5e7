"""What every source of frames looks like to the rest of the engine, whatever kind of file it comes from.

Knows the interface only. See container.py (video files) and images.py (stills) for those who fill it in.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Self

from engine.errors import UsageError
from engine.types import Frame, VideoInfo


class VideoReader(ABC):
    """Frames of one video, in order, as often as asked for. Holds one frame at a time, whatever the length.

    `info` is known before any frame is asked for; its size is that of the upright picture.
    """

    info: VideoInfo
    live = False  # whether frames are given up that nobody asks for in time, so that none may be asked for early

    @abstractmethod
    def count(self) -> int:
        """Exact number of frames: by decoding where only that can tell, then remembered. Raises VideoError."""

    def names(self) -> Sequence[str] | None:
        """Stems of the image files in order, without opening them; None for video files, which have no such names."""
        return None

    def numbers(self) -> Sequence[int] | None:
        """What frames are called where that is neither counted nor found in names; grows while frames are read."""
        return None

    @abstractmethod
    def _frames(self, start: int, stop: int | None, step: int) -> Iterator[Frame]:
        """Frames start, start + step, ... below stop. The arguments are checked already."""

    def frames(self, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[Frame]:
        """Frames `start`, `start + step`, ... below `stop` (None: to the end). Indices are those of the whole video.

        Raises VideoError at the frame that cannot be decoded, UsageError for a negative start or stop or step < 1.
        """
        if start < 0 or step < 1 or (stop is not None and stop < 0):
            raise UsageError(f"frames {start}:{stop}:{step}", "start and stop are 0 or more, step is 1 or more")
        return self._frames(start, stop, step)

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def close(self) -> None:
        """Gives back what the reader holds (a spooled copy of standard input). Safe to call twice."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
