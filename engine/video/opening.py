"""From what the user typed to a reader of frames.

Knows how the kinds of sources are told apart. Reading them is the business of one module a kind.
"""

from pathlib import Path

from engine.errors import VideoError
from engine.video.container import ContainerReader
from engine.video.image_lists import folder_images, glob_images, is_glob, listed_images
from engine.video.images import ImageSequenceReader
from engine.video.reader import VideoReader
from engine.video.spool import read_pipe, read_stdin
from engine.video.stills import is_still


def open_video(source: str | Path) -> VideoReader:
    """The frames of `source`: a video file, a folder of images, a glob, a list file (.txt), one image, or '-'.

    Raises VideoError, in one line, for anything that yields no frame; damage further on is reported while iterating.
    """
    text = str(source)
    if text == "-":
        return read_stdin()
    if is_glob(text):
        return ImageSequenceReader(text, _glob_name(text), glob_images(text))
    path = Path(source)
    if path.is_dir():
        return ImageSequenceReader(text, path.absolute().name, folder_images(path))
    if not path.exists():
        raise VideoError(f"{text}: no such file or folder", "check the path; quote patterns such as 'frames/*.jpg'")
    if path.suffix.lower() == ".txt":
        return ImageSequenceReader(text, path.stem, listed_images(path))
    if is_still(path):
        return ImageSequenceReader(text, path.stem, [path])
    if path.is_file():
        return ContainerReader(path, text, path.stem)
    with path.open("rb") as pipe:
        return read_pipe(pipe, text, path.name)


def _glob_name(pattern: str) -> str:
    """The deepest folder of the pattern that holds no wildcard: clips/bear/*.jpg is `bear`."""
    plain = [part for part in Path(pattern).absolute().parts if not any(sign in part for sign in "*?[")]
    return plain[-1] if len(plain) > 1 else "images"
