"""Several stores, or other sources, into one. Clip by clip: a store's clips are copied as they are, never decoded."""

from collections.abc import Callable, Sequence
from pathlib import Path

from engine.errors import StoreError
from engine.store.open import open_source
from engine.store.reader import StoreReader
from engine.store.source import ClipMasks, MaskSource
from engine.store.writer import StoreWriter


def merge_stores(
    inputs: Sequence[str | Path],
    output: str | Path,
    overwrite: bool = False,
    on_progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write all clips of all inputs into one store. `on_progress` gets (inputs done, inputs in all).

    Raises StoreError for a clip name that two inputs have, naming both.
    """
    owners: dict[str, str | Path] = {}
    with StoreWriter(output, overwrite) as writer:
        for done, path in enumerate(inputs, 1):
            with open_source(path) as source:
                for name in source.clips:
                    if name in owners:
                        raise StoreError(
                            f"clip {name!r} is in {owners[name]} and in {path}",
                            "merge only one of the two, or rename it",
                        )
                    owners[name] = path
                    copy_clip(writer, source, name)
            if on_progress is not None:
                on_progress(done, len(inputs))


def copy_clip(writer: StoreWriter, source: MaskSource, name: str) -> None:
    """Write one clip of any source into a store that is being written."""
    clip = source.clip(name)
    if isinstance(source, StoreReader):
        writer.copy_clip(name, source.group(name))
    else:
        add_clip(writer, clip)


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
