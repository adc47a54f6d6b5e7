"""From the inputs of a command to one source a video: folders of videos and of frame folders are taken apart.

Knows names and folders. Opens no video; what it returns is for `open_video`.
"""

import glob
from collections.abc import Iterator, Sequence
from pathlib import Path

from engine.errors import VideoError
from engine.names import path_key
from engine.video.container import VIDEO_SUFFIXES
from engine.video.image_lists import is_glob
from engine.video.stills import is_still


def find_videos(inputs: Sequence[str]) -> list[str]:
    """The videos that `inputs` stand for, one source each, in the order given and in natural order inside folders.

    Files and '-' stand for themselves. A folder that holds images directly is one video; any other folder stands for
    the video files and frame folders below it. A glob that matches images is one video, any other glob is expanded.
    Hidden entries are skipped. Raises VideoError for what does not exist, for a folder without videos, and for one
    with images and videos side by side.
    """
    return [video for text in inputs for video in _expand(str(text))]


def _expand(text: str) -> list[str]:
    if text == "-":
        return [text]
    if is_glob(text):
        return _expand_glob(text)
    path = Path(text)
    if not path.exists():
        raise VideoError(f"{text}: no such file or folder", "check the path; quote patterns such as 'clips/*.mp4'")
    if not path.is_dir():
        return [text]
    videos = list(_below(path, frozenset()))
    if not videos:
        raise VideoError(f"{text}: no video in this folder", "give video files, folders of images, or folders of those")
    return videos


def _expand_glob(pattern: str) -> list[str]:
    matches = sorted((Path(match) for match in glob.glob(pattern, recursive=True)), key=path_key)  # noqa: PTH207
    if not matches:
        raise VideoError(f"{pattern}: matches nothing", "check the pattern and the folder it is used in")
    if any(is_still(match) for match in matches):
        return [pattern]
    return [video for match in matches for video in (_below(match, frozenset()) if match.is_dir() else [str(match)])]


def _below(folder: Path, above: frozenset[Path]) -> Iterator[str]:
    """The videos of a folder. `above`: real paths of the folders on the way here; a link back to one is not entered."""
    real = folder.resolve()
    if real in above:
        return
    entries = sorted((p for p in _entries(folder) if not p.name.startswith(".")), key=path_key)
    images = [p for p in entries if is_still(p)]
    videos = [p for p in entries if p.suffix.lower() in VIDEO_SUFFIXES]
    if images and videos:
        raise VideoError(
            f"{folder}: holds images ({images[0].name}) and videos ({videos[0].name})",
            f"say which are meant, for example '{folder}/*{videos[0].suffix}'",
        )
    if images:
        yield str(folder)
        return
    for entry in entries:
        if entry.is_dir():
            yield from _below(entry, above | {real})
        elif entry in videos:
            yield str(entry)


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError as error:
        raise VideoError(f"{folder}: cannot be listed ({error.strerror})", "check its permissions") from error
