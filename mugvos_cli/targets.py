"""What a command writes is never what it reads, whatever --overwrite says, and is called what it is.

Knows paths, patterns and lists as users write them. Opens no video and no masks.
"""

import glob
from collections.abc import Iterable, Sequence
from pathlib import Path

from engine.errors import OutputError, UsageError


def refuse_other_kinds(store: Path | None) -> None:
    """Raises UsageError where a mask store would be called like a film, a picture or a list."""
    from engine.store import suffixes
    from engine.video.container import VIDEO_SUFFIXES
    from engine.video.stills import STILL_SUFFIXES

    others = VIDEO_SUFFIXES | STILL_SUFFIXES | (suffixes.TRACKS - suffixes.STORE) | {".html", ".txt", ".zip"}
    if store is not None and store.suffix.lower() in others:
        raise UsageError(
            f"{store}: a mask store is written, which is no {store.suffix.lower()}",
            f"name it {store.stem}.h5; films and pictures are drawn from it by mugvos visualize, other formats written "
            "by mugvos convert",
        )


def refuse_inputs(target: Path | None, inputs: Iterable[str | Path | None]) -> None:
    """Raises OutputError where writing `target` would replace an input, or a folder of pictures that holds one.

    target: None and - replace nothing. inputs: files, folders, patterns and lists of images; what is no path (None, -,
    a camera, the name of a model) does no harm.
    """
    if target is None or str(target) == "-" or not target.exists():
        return
    for entry in inputs:
        if entry is not None and any(path.exists() and _replaces(target, path) for path in _paths(str(entry))):
            raise OutputError(f"{target}: is an input of this command, or holds one", "choose another output")


def keep_inputs(output: Path | None, profile: Path | None, inputs: Sequence[str | Path | None]) -> None:
    """Raises OutputError where an output would replace an input, or the profile the output."""
    refuse_inputs(output, inputs)
    refuse_inputs(profile, inputs)
    if output is not None and profile is not None and output.absolute() == profile.absolute():
        raise OutputError(f"{profile}: the store goes there already", "choose another file for --profile")


def _replaces(target: Path, path: Path) -> bool:
    """Whether an existing input would be lost with an existing target: it, the folder it lies in, a picture of it."""
    from engine.video.stills import is_still

    if target.samefile(path) or (target.is_dir() and target.samefile(path.parent)):
        return True
    return path.is_dir() and (target.is_dir() or is_still(target)) and path.resolve() in target.resolve().parents


def _paths(entry: str) -> Sequence[Path]:
    """All files that an input names."""
    from engine.video.image_lists import is_glob, listed_images

    path = Path(entry)
    if is_glob(entry):
        return [Path(match) for match in glob.glob(entry, recursive=True)]  # noqa: PTH207 (takes absolute patterns)
    if path.suffix.lower() == ".txt" and path.is_file():
        return [path, *listed_images(path)]
    return [path]
