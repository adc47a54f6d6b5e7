"""Clips of masks and videos that live in memory, for tests of what is drawn from them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from engine.masks import rle
from engine.types import BoolArray, Frame, MaskRecord, Track, VideoInfo
from engine.video.reader import VideoReader


@dataclass
class MemoryClip:
    """Masks by (frame, track). A ClipMasks."""

    masks: dict[tuple[int, int], BoolArray]
    name: str = "clip"
    height: int = 24
    width: int = 32
    frame_numbers: Sequence[int] = ()
    source: str = ""
    fps: Fraction | None = None
    extra_tracks: Sequence[Track] = field(default=())

    @property
    def frames(self) -> Sequence[int]:
        return sorted(self.frame_numbers or {frame for frame, _ in self.masks})

    @property
    def tracks(self) -> Sequence[Track]:
        ids = sorted({track for _, track in self.masks})
        return [*(Track(i, f"thing {i}") for i in ids), *self.extra_tracks]

    def mask(self, frame: int, track: int) -> BoolArray | None:
        return self.masks.get((frame, track))

    def void(self, frame: int) -> BoolArray | None:
        return None

    def records(self, frame: int | None = None, track: int | None = None) -> Iterator[MaskRecord]:
        for (f, t), mask in sorted(self.masks.items(), key=lambda item: item[0]):
            if frame in (None, f) and track in (None, t):
                yield rle.record(f, t, mask)


class MemoryVideo(VideoReader):
    """`count` frames whose pixels all have the value of their index. `stems`: names of images, None for a file."""

    def __init__(self, count: int, stems: list[str] | None = None, width: int = 32, height: int = 24) -> None:
        self._count, self._stems = count, stems
        self.asked: list[int] = []
        self.info = VideoInfo("memory", "memory", width, height, Fraction(25), count)

    def count(self) -> int:
        return self._count

    def names(self) -> Sequence[str] | None:
        return self._stems

    def _frames(self, start: int, stop: int | None, step: int) -> Iterator[Frame]:
        for index in range(self._count)[start:stop:step]:
            self.asked.append(index)
            image = np.full((self.info.height, self.info.width, 3), index, np.uint8)
            yield Frame(index, image, self._stems[index] if self._stems else f"{index:05d}")


def block(top: int, left: int, bottom: int, right: int, height: int = 24, width: int = 32) -> BoolArray:
    """A rectangle."""
    mask = np.zeros((height, width), bool)
    mask[top:bottom, left:right] = True
    return mask
