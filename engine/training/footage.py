"""Reduced frames of many videos, decoded when they are wanted; those used last are kept, up to a bound on memory.

Knows videos and sizes. Knows nothing of masks. May be asked by several threads at once.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from threading import Lock

import cv2

from engine.errors import StoreError
from engine.types import Frame, UInt8Array
from engine.video import VideoReader, frame_numbers, open_video

KEPT_BYTES = 2 << 30


class Footage:
    """Frames by video and number."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        self.kept_bytes = kept_bytes
        self._frames: OrderedDict[tuple[Path, int], UInt8Array] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()
        self._decoding: defaultdict[Path, Lock] = defaultdict(Lock)

    def frames(self, video: Path, numbers: Sequence[int], size: tuple[int, int]) -> list[UInt8Array]:
        """uint8 (height, width, 3) of each number; `size` is (width, height), the same every time a video is asked.

        Of image files only those that are missing are read; a video file is decoded from its beginning and kept whole
        if there is room. Raises StoreError for numbers that the video does not have.
        """
        with self._lock:
            lock = self._decoding[video]
        with lock:
            found = self._kept(video, numbers)
            missing = [number for number in numbers if number not in found]
            if missing:
                found |= self._decode(video, missing, size)
        absent = [number for number in numbers if number not in found]
        if absent:
            raise StoreError(f"{video}: has no frame {absent[0]}", "give the video the masks were made on: --videos")
        return [found[number] for number in numbers]

    def _kept(self, video: Path, numbers: Sequence[int]) -> dict[int, UInt8Array]:
        with self._lock:
            found = {number: self._frames[video, number] for number in numbers if (video, number) in self._frames}
            for number in found:
                self._frames.move_to_end((video, number))
        return found

    def _decode(self, video: Path, wanted: Sequence[int], size: tuple[int, int]) -> dict[int, UInt8Array]:
        found: dict[int, UInt8Array] = {}
        room = self.kept_bytes // 4
        with open_video(video) as reader:
            for number, frame in _wanted_frames(reader, set(wanted)):
                small = cv2.resize(frame.image, size, interpolation=cv2.INTER_AREA)
                room -= small.nbytes
                if number in wanted:
                    found[number] = small
                if room > 0 or number in wanted:
                    self._keep(video, number, small)
                if room < 0 and len(found) == len(wanted):
                    break
        return found

    def _keep(self, video: Path, number: int, frame: UInt8Array) -> None:
        with self._lock:
            old = self._frames.pop((video, number), None)
            self._bytes += frame.nbytes - (0 if old is None else old.nbytes)
            self._frames[video, number] = frame
            while self._bytes > self.kept_bytes and len(self._frames) > 1:
                self._bytes -= self._frames.popitem(last=False)[1].nbytes


def _wanted_frames(reader: VideoReader, wanted: set[int]) -> Iterator[tuple[int, Frame]]:
    """Frames with their numbers: exactly those wanted of image files, all of a video file."""
    numbers = frame_numbers(reader)
    if reader.names() is None:
        for frame in reader:
            yield frame.index, frame
        return
    for index in range(reader.count()):
        number = index if numbers is None else numbers[index]
        if number in wanted:
            yield from ((number, frame) for frame in reader.frames(index, index + 1))
