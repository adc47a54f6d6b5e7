"""Frame numbers: what a frame is called in mask stores, trees of PNGs and prompts."""

from collections.abc import Sequence
from itertools import pairwise

from engine.names import number_in
from engine.video.reader import VideoReader

LARGEST = 2**31


def frame_numbers(reader: VideoReader) -> Sequence[int] | None:
    """The number in each image's name (`00012.jpg` is 12), in order; None where frames are simply counted from 0.

    The last number of a name counts. Numbers are used only if every name has one, they ascend, and none is so large
    that it must be something else (a time in nanoseconds): otherwise, and for video files, frames are counted.
    """
    told = reader.numbers()
    if told is not None:
        return told
    names = reader.names()
    if not names:
        return None
    found = [number_in(name) for name in names]
    numbers = [number for number in found if number is not None]
    ascending = len(numbers) == len(found) and all(a < b for a, b in pairwise(numbers))
    return numbers if ascending and numbers[-1] < LARGEST else None
