"""Frames of a video with the masks that belong to them.

Knows readers of frames and holders of masks. Knows nothing of how either is drawn.

Which mask belongs to which frame: masks carry frame numbers. For a video file the number is the index of the frame,
from 0. For images with ascending numbers in their names (`00012.jpg` is 12) it is that number, unless some mask's
number is no image's name and all of them are below the count of images: then they are indices.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from engine.errors import MaskError, UsageError
from engine.store.source import ClipMasks
from engine.types import BoolArray, Frame, UInt8Array
from engine.video import VideoReader, frame_numbers

BLANK_GREY = 96


@dataclass(frozen=True)
class Shot:
    """One frame to draw. `index` counts the video's frames from 0, `number` is the frame in the clip of masks.

    `image`: uint8 (H, W, 3); `masks`: track id -> bool (H, W), tracks without a mask in this frame left out.
    """

    index: int
    number: int
    image: UInt8Array
    masks: Mapping[int, BoolArray]


class Scene:
    """A clip of masks over its video, or over plain grey where `reader` is None.

    `tracks`: the ids to show, None for all. `names`: id -> name of these.
    Raises MaskError where video and masks differ in size, UsageError where the clip has none of the tracks.
    """

    def __init__(self, clip: ClipMasks, reader: VideoReader | None, tracks: Collection[int] | None = None) -> None:
        self.clip, self._reader = clip, reader
        if reader is not None:
            _check_size(clip, reader)
        self.names = {t.id: t.name for t in clip.tracks if tracks is None or t.id in tracks}
        if tracks is not None and not self.names:
            known = ", ".join(str(t.id) for t in clip.tracks[:20]) or "none"
            raise UsageError(f"clip {clip.name}: no track {', '.join(map(str, sorted(tracks)))}", f"it has {known}")
        self._number_of = _numbers_of_frames(clip.frames, reader)

    @property
    def length(self) -> int | None:
        """Frames of the video (of the clip where there is no video); None where only decoding can tell."""
        return len(self.clip.frames) if self._reader is None else self._reader.info.frame_count

    @property
    def rate(self) -> Fraction | None:
        """Frames a second of the video, else of the clip; None where neither knows."""
        known = self._reader.info.fps if self._reader is not None else None
        rate: Fraction | None = known or getattr(self.clip, "fps", None)
        return rate

    def beyond(self, length: int) -> list[int]:
        """Frame numbers of the clip that a video of `length` frames does not have."""
        present = set(range(length) if self._number_of is None else self._number_of)
        return [number for number in self.clip.frames if number not in present]

    def shots(self, start: int = 0, stop: int | None = None, step: int = 1) -> Iterator[Shot]:
        """Frames start, start + step, ... below stop, those without masks included. Raises VideoError."""
        frames = self._blank(start, stop, step) if self._reader is None else self._reader.frames(start, stop, step)
        for frame in frames:
            number = self.number_of(frame.index)
            yield Shot(frame.index, number, frame.image, self._masks(number))

    def chosen(self, indices: Collection[int]) -> Iterator[Shot]:
        """The frames of these indices, ascending; of images only these are read, a video file is decoded once."""
        if self._reader is not None and self._reader.names() is None:
            yield from self._sifted(sorted(set(indices)))
            return
        for index in sorted(set(indices)):
            yield from self.shots(index, index + 1)

    def number_of(self, index: int) -> int:
        """The number in the clip of the video's frame `index`."""
        return index if self._number_of is None else self._number_of[index]

    def indices(self, numbers: Collection[int], start: int = 0, stop: int | None = None, step: int = 1) -> list[int]:
        """Indices of those of the clip's frames that lie in range(start, stop, step), ascending."""
        if self._number_of is not None:
            wanted = set(numbers)
            found = [i for i, number in enumerate(self._number_of) if number in wanted]
        else:
            length = self.length
            found = [n for n in sorted(set(numbers)) if n >= 0 and (length is None or n < length)]
        return [i for i in found if i >= start and (stop is None or i < stop) and (i - start) % step == 0]

    def _masks(self, number: int) -> dict[int, BoolArray]:
        masks = {track: self.clip.mask(number, track) for track in self.names}
        return {track: mask for track, mask in masks.items() if mask is not None}

    def _sifted(self, wanted: Sequence[int]) -> Iterator[Shot]:
        assert self._reader is not None
        if not wanted:
            return
        for frame in self._reader.frames(wanted[0], wanted[-1] + 1):
            if frame.index in wanted:
                number = self.number_of(frame.index)
                yield Shot(frame.index, number, frame.image, self._masks(number))

    def _blank(self, start: int, stop: int | None, step: int) -> Iterator[Frame]:
        image = np.full((self.clip.height, self.clip.width, 3), BLANK_GREY, np.uint8)
        for index in range(len(self.clip.frames))[start:stop:step]:
            yield Frame(index=index, image=image, name=f"{self.clip.frames[index]:05d}")


def _check_size(clip: ClipMasks, reader: VideoReader) -> None:
    info = reader.info
    if (clip.width, clip.height) != (info.width, info.height):
        raise MaskError(
            f"clip {clip.name}: its masks are {clip.width}x{clip.height}, the video {info.source} is "
            f"{info.width}x{info.height}",
            "give the video that the masks were made from with --video",
        )


def _numbers_of_frames(numbers: Sequence[int], reader: VideoReader | None) -> Sequence[int] | None:
    """The clip's number of each frame of the video; None where numbers are indices."""
    if reader is None:
        return list(numbers)
    named = frame_numbers(reader)
    if named is None or (not set(numbers) <= set(named) and max(numbers, default=0) < len(named)):
        return None
    return named
