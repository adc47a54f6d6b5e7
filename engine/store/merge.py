"""Several stores, or other sources, into one. Clip by clip: a store's clips are copied as they are, never decoded.

Knows one clip at a time, whatever the number of clips; of those behind it, their names.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

from engine.errors import StoreError
from engine.names import path_key
from engine.store import suffixes
from engine.store.open import open_source
from engine.store.parts import Parts
from engine.store.reader import StoreReader
from engine.store.room import check_room
from engine.store.source import ClipMasks, MaskSource
from engine.store.spool import STDIO
from engine.store.writer import StoreWriter


def merge_stores(
    inputs: Sequence[str | Path],
    output: str | Path,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> Parts:
    """Write all clips of all inputs into one store; the shards that it holds. `on_progress` gets (inputs done, in all).

    Raises StoreError for a clip name that two inputs have, naming both, OutputError where the disk has no room for it.
    """
    if str(output) != STDIO:
        check_room(Path(output), map(Path, inputs))
    parts = Parts()
    with StoreWriter(output, overwrite) as writer:
        for done, path in enumerate(inputs, 1):
            with open_source(path) as source:
                for name in source.clips:
                    if name in writer:
                        raise _there_twice(name, path, inputs[: done - 1])
                    copy_clip(writer, source, name)
                parts = parts.joined(parts_of(source))
            if on_progress is not None:
                on_progress(done, len(inputs))
        writer.note_parts(parts)
    return parts


def expanded(inputs: Sequence[str]) -> list[str]:
    """The inputs, but for a folder that holds stores these in natural order; in its folders, too."""
    paths: list[str] = []
    for text in inputs:
        stores = _stores_in(Path(text)) if text != STDIO and Path(text).is_dir() else []
        paths += [str(path) for path in sorted(stores, key=path_key)] or [text]
    return paths


def parts_of(source: MaskSource) -> Parts:
    """The shards that a source holds. Raises StoreError where the store says so in a way that cannot be understood."""
    text = getattr(source, "attributes", {}).get("parts")
    if text is None:
        return Parts()
    try:
        return Parts.of_text(str(text))
    except (ValueError, TypeError) as error:
        path = getattr(source, "path", "the store")
        raise StoreError(f"{path}: what it is a part of cannot be understood", "write it again") from error


def copy_clip(writer: StoreWriter, source: MaskSource, name: str) -> None:
    """Write one clip of any source into a store that is being written."""
    if isinstance(source, StoreReader):
        writer.copy_clip(name, source.group(name))
    else:
        add_clip(writer, source.clip(name))


def add_clip(writer: StoreWriter, clip: ClipMasks, name: str | None = None) -> None:
    """Write a clip record by record, with all that it knows of itself."""
    frames = list(clip.frames)
    voids = ((frame, void) for frame in frames if (void := clip.void(frame)) is not None)
    writer.add_clip(
        name or clip.name,
        clip.width,
        clip.height,
        getattr(clip, "frame_count", len(frames)),
        clip.tracks,
        clip.records(),
        source=getattr(clip, "source", ""),
        fps=getattr(clip, "fps", None),
        provenance=getattr(clip, "provenance", None),
        complete=getattr(clip, "complete", True),
        frames=frames,
        times=getattr(clip, "times", None),
        voids=voids,
    )


def _there_twice(name: str, path: str | Path, before: Sequence[str | Path]) -> StoreError:
    """The error that names both inputs; the first is looked for only now, so that no names have to be kept."""
    owner: str | Path = path
    for other in before:
        with open_source(other) as source:
            if name in source.clips:
                owner = other
                break
    return StoreError(f"clip {name!r} is in {owner} and in {path}", "merge only one of the two, or rename it")


def _stores_in(folder: Path) -> list[Path]:
    """The stores of a folder and of its folders; none of what a running process writes."""
    found = (
        path for depth in ("*", "*/*") for suffix in sorted(suffixes.STORE) for path in folder.glob(depth + suffix)
    )
    return [p for p in found if not p.name.startswith(".") and p.parent.suffix != ".part"]
