"""Any source of masks into any format. One table of writers; what each format cannot hold is in docs/store.md."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import FormatError
from engine.store import ndjson, suffixes
from engine.store.formats import coco, davis, mugvos, pipeline, sa_v, youtube_vis
from engine.store.formats.options import ExportOptions
from engine.store.merge import add_clip, parts_of
from engine.store.open import STORE, open_source
from engine.store.source import MaskSource
from engine.store.spool import STDIO
from engine.store.writer import StoreWriter


def export(source: MaskSource | str | Path, output: str | Path, format: str | None = None, **options: Any) -> None:
    """Write a source (or what is at a path) in a format of FORMATS; without one the output's suffix decides.

    options: the fields of ExportOptions. The output appears whole or not at all. Raises FormatError where the format
    cannot hold what the source has, OutputError where the output exists or cannot be written.
    """
    chosen = format or format_of_suffix(Path(output))
    if chosen not in FORMATS:
        raise FormatError(f"unknown format {chosen!r}", f"use one of {', '.join(FORMATS)}")
    if str(output) == STDIO and chosen not in (STORE, ndjson.NAME):
        raise FormatError(f"format {chosen} cannot go to standard output", "name a file or folder")
    if isinstance(source, str | Path):
        with open_source(source) as opened:
            FORMATS[chosen](opened, Path(output), ExportOptions(**options))
    else:
        FORMATS[chosen](source, Path(output), ExportOptions(**options))


def format_of_suffix(output: Path) -> str:
    """The format that an output's name asks for. Raises FormatError where it says nothing."""
    if str(output) == STDIO or output.suffix.lower() in suffixes.STORE:
        return STORE
    if output.suffix.lower() in suffixes.LINES:
        return ndjson.NAME
    raise FormatError(f"{output}: its name does not say which format to write", f"name one: {', '.join(FORMATS)}")


def write_store(source: MaskSource, output: Path, options: ExportOptions) -> None:
    """Write a store. One of all clips is still the part of a run that its source is."""
    whole = options.clips is None or set(options.clips) >= set(source.clips)
    with StoreWriter(output, options.overwrite, parts_of(source) if whole else None) as writer:
        for clip in options.chosen(source):
            add_clip(writer, clip)


FORMATS: dict[str, Callable[[MaskSource, Path, ExportOptions], None]] = {
    STORE: write_store,
    mugvos.NAME: mugvos.write,
    davis.NAME: davis.write,
    coco.NAME: coco.write,
    youtube_vis.NAME: youtube_vis.write,
    sa_v.NAME: sa_v.write,
    pipeline.NAME: pipeline.write,
    ndjson.NAME: ndjson.write,
}
