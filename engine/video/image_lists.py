"""Which image files make up a video: those of a folder, those of a glob, or those a list file names.

Knows names and paths. Opens no image.
"""

import glob
from pathlib import Path

from engine.errors import VideoError
from engine.names import path_key
from engine.video.stills import STILL_SUFFIXES, is_still

_KINDS = ", ".join(sorted(STILL_SUFFIXES))


def is_glob(source: str) -> bool:
    """Whether the text is a pattern and no file of that very name exists."""
    return glob.has_magic(source) and not Path(source).exists()


def folder_images(folder: Path) -> list[Path]:
    """The images directly in `folder`, in natural order of their names.

    Raises VideoError when there are none, and when two differ only in suffix (frames and masks side by side).
    """
    try:
        files = sorted((p for p in folder.iterdir() if is_still(p) and p.is_file()), key=path_key)
    except OSError as error:
        raise VideoError(f"{folder}: cannot be listed ({error.strerror})", "check its permissions") from error
    if not files:
        raise VideoError(f"{folder}: a folder without images", f"frames are files with one of the suffixes {_KINDS}")
    _check_distinct(folder, files)
    return files


def _check_distinct(folder: Path, files: list[Path]) -> None:
    seen: dict[str, Path] = {}
    for path in files:
        other = seen.setdefault(path.stem, path)
        if other is not path:
            raise VideoError(
                f"{folder}: holds both {other.name} and {path.name}",
                f"say which are the frames, for example '{folder}/*{other.suffix}'",
            )


def glob_images(pattern: str) -> list[Path]:
    """The images that match `pattern` (`**` crosses folders), in natural order. Raises VideoError if there are none."""
    matches = [Path(match) for match in glob.glob(pattern, recursive=True)]  # noqa: PTH207 (takes absolute patterns)
    files = sorted((p for p in matches if is_still(p) and p.is_file()), key=path_key)
    if not files:
        found = f"matches {len(matches)} files, none of them an image" if matches else "matches nothing"
        raise VideoError(f"{pattern}: {found}", f"a pattern names the frames of one video ({_KINDS}); quote it")
    return files


def listed_images(listing: Path) -> list[Path]:
    """The images that the text file `listing` names, one path a line, relative to its folder, in the order given.

    Blank lines are skipped. Raises VideoError for a file that is no UTF-8 text, for an empty list, and for a line
    that names no file.
    """
    try:
        lines = listing.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise VideoError(f"{listing}: not a text file", "a list file holds one image path a line, UTF-8") from error
    except OSError as error:
        raise VideoError(f"{listing}: cannot be read ({error.strerror})", "check the path") from error
    files = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            files.append(_listed(listing, number, line.strip()))
    if not files:
        raise VideoError(f"{listing}: an empty list", "a list file holds one image path a line")
    return files


def _listed(listing: Path, number: int, entry: str) -> Path:
    path = listing.parent / entry
    if not path.is_file():
        raise VideoError(f"{listing}: line {number}: no such file: {entry}", "paths are relative to the list file")
    return path
