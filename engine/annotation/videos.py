"""Which video belongs to which clip of a store under annotation, opened once, and checked against its masks.

Knows stores, readers of frames and how the two are paired; see engine.rendering.scene for frame numbers.
"""

from pathlib import Path

from engine.annotation.document import ClipDocument
from engine.annotation.shelf import Shelf
from engine.errors import StoreError
from engine.rendering.footage import video_of
from engine.rendering.scene import Scene
from engine.store import StoreReader, StoreWriter
from engine.store.clip_reader import ClipReader
from engine.video import VideoReader, find_videos, frame_numbers, open_video


class ClipVideos:
    """The videos of the clips of the store at `path`. video: as the command line takes it, None for each clip's own."""

    def __init__(self, path: Path, video: str | None) -> None:
        self._path = path
        self._videos = None if video is None else find_videos([video])
        self._opened: dict[str, tuple[VideoReader, int]] = {}

    def document(self, store: StoreReader, name: str) -> ClipDocument:
        """A clip with the frame numbers of its video. Raises VideoError, MaskError where they do not fit."""
        clip = store.clip(name)
        reader = open_video(video_of(clip, self._videos, self._path.parent, alone=len(store.clips) == 1))
        count = _count(clip, reader)
        scene = Scene(clip, reader)
        self._opened[name] = (reader, count)
        return ClipDocument(clip, [scene.number_of(index) for index in range(count)])

    def shelf(self, name: str) -> Shelf:
        """The frames of a clip whose document was opened."""
        return Shelf(*self._opened[name])


def write_empty_store(path: Path, video: str) -> None:
    """A store with a clip for each video and no track yet."""
    with StoreWriter(path) as writer:
        for source in find_videos([video]):
            with open_video(source) as reader:
                count, info = reader.count(), reader.info
                numbers = frame_numbers(reader) or range(count)
                where = str(Path(source).absolute()) if Path(source).exists() else source
                writer.add_clip(
                    info.name,
                    info.width,
                    info.height,
                    count,
                    [],
                    [],
                    source=where,
                    fps=info.fps,
                    provenance={"command": "annotate"},
                    frames=list(numbers),
                )


def _count(clip: ClipReader, reader: VideoReader) -> int:
    """Frames to annotate. A video file is not decoded to its end only to count what the store knows."""
    count = reader.info.frame_count or clip.frame_count or reader.count()
    if not count:
        raise StoreError(f"clip {clip.name}: its video has no frames", "give another one with --video")
    return count
