"""A video that is a sequence of still images, one file a frame.

Knows image files and their order. How the files are found (folder, glob, list) is image_lists.py.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.errors import VideoError
from engine.types import Frame, UInt8Array, VideoInfo
from engine.video.reader import VideoReader
from engine.video.stills import read_image


class ImageSequenceReader(VideoReader):
    """Frames from image files, in the order given. Times and rate are unknown (None).

    `files` must not be empty. All images must have the size of the first: VideoError names the first that has not,
    when its turn comes (looking at 100,000 headers first would take longer than the work itself).
    """

    def __init__(self, source: str, name: str, files: Sequence[Path]) -> None:
        self._files = files
        height, width = read_image(files[0]).shape[:2]
        self.info = VideoInfo(source=source, name=name, width=width, height=height, frame_count=len(files))

    def count(self) -> int:
        return len(self._files)

    def names(self) -> list[str]:
        return [path.stem for path in self._files]

    def _frames(self, start: int, stop: int | None, step: int) -> Iterator[Frame]:
        for index in range(start, min(len(self._files), len(self._files) if stop is None else stop), step):
            path = self._files[index]
            yield Frame(index=index, image=self._read(path), name=path.stem)

    def _read(self, path: Path) -> UInt8Array:
        image = read_image(path)
        height, width = image.shape[:2]
        if (width, height) != (self.info.width, self.info.height):
            raise VideoError(
                f"{path}: {width}x{height} pixels, but the first image {self._files[0].name} has "
                f"{self.info.width}x{self.info.height}",
                "all frames of a video need one size: scale it, or move it elsewhere",
            )
        return image
