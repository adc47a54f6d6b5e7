"""`mugvos info`: what a mask store, or anything that holds masks, contains."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mugvos_cli import console
from mugvos_cli.json_stream import JsonWithList
from mugvos_cli.options import Clip, Format, Json
from mugvos_cli.statistics_table import print_statistics

if TYPE_CHECKING:
    from engine.evaluation.dataset_statistics import Counts
    from engine.store.source import ClipMasks, MaskSource

_MOST_ROWS = 1000


def info(
    tracks: Annotated[str, typer.Argument(metavar="TRACKS", help="A mask store, a tree of PNGs, JSON, or -.")],
    clip: Clip = None,
    format: Format = None,
    quick: Annotated[bool, typer.Option("--quick", help="No statistics: the masks of a store are not read.")] = False,
    json: Json = False,
) -> None:
    """Say what a mask store holds: clips, tracks, masks, frames, sizes, how it was made, and its statistics.

    The statistics are density (share of pixels that any mask covers), masks, mask tracks, masks a frame and annotated
    frames. With a single clip, or one chosen by --clip, its tracks are listed too.

    Examples:
      mugvos info bear.h5
      mugvos info dataset.h5 --clip bear
      mugvos info dataset.h5 --json
    """
    from engine.store import open_source

    with open_source(tracks, format) as source:
        names = clip or source.clips
        if json:
            _write_json(tracks, source, names, quick)
        else:
            _print(tracks, source, names, quick)
        for note in getattr(source, "notes", ()):
            console.warn(note)


def _write_json(path: str, source: "MaskSource", names: Sequence[str], quick: bool) -> None:
    document = JsonWithList({"schema": 1, **_file(path, source)}, "clips")
    total = None
    for found, counts in _clips(source, names, quick):
        document.add(found)
        total = _sum(total, counts)
    document.finish({"statistics": total and total.as_dict()})


def _clips(source: "MaskSource", names: Sequence[str], quick: bool) -> Iterator[tuple[dict[str, Any], "Counts | None"]]:
    """What is said of each clip, and its statistics; one clip is in memory at a time."""
    from engine.evaluation.dataset_statistics import count_clip

    with console.progress("reading clips", len(names)) as progress:
        for done, name in enumerate(names, 1):
            clip = source.clip(name)
            counts = None if quick else count_clip(clip)
            yield _clip(clip, counts), counts
            progress(done)


def _sum(total: "Counts | None", counts: "Counts | None") -> "Counts | None":
    return counts if total is None or counts is None else total + counts


def _file(path: str, source: "MaskSource") -> dict[str, Any]:
    attributes = getattr(source, "attributes", {})
    size = Path(path).stat().st_size if Path(path).is_file() else None
    return {
        "path": path,
        "format": source.format,
        "store_schema": attributes.get("schema"),
        "software": attributes.get("software"),
        "created": attributes.get("created"),
        "bytes": size,
    }


def _clip(clip: "ClipMasks", counts: "Counts | None") -> dict[str, Any]:
    """One clip. What only stores know is null for other formats."""
    fps = getattr(clip, "fps", None)
    rows = counts.rows if counts else getattr(clip, "rows", None)
    return {
        "name": clip.name,
        "source": getattr(clip, "source", None),
        "width": clip.width,
        "height": clip.height,
        "frames": len(clip.frames),
        "frame_count": getattr(clip, "frame_count", None),
        "fps": None if fps is None else float(fps),
        "complete": getattr(clip, "complete", None),
        "masks": rows if rows is not None else sum(1 for _ in clip.records()),
        "tracks": [vars(track) for track in clip.tracks],
        "provenance": getattr(clip, "provenance", None),
        "statistics": counts and counts.as_dict(),
    }


def _print(path: str, source: "MaskSource", names: Sequence[str], quick: bool) -> None:
    """Lines for people."""
    rows: list[tuple[object, ...]] = []
    clips = tracks = masks = 0
    total, last = None, None
    for last, counts in _clips(source, names, quick):
        clips, tracks, masks = clips + 1, tracks + len(last["tracks"]), masks + last["masks"]
        total = _sum(total, counts)
        if len(rows) < _MOST_ROWS:
            rows.append(_row(last))
    empty = total.rows - total.masks if total is not None else 0
    _print_head(_file(path, source), {"clip": clips, "track": tracks, "mask": masks}, empty)
    console.table(("clip", "size", "frames", "tracks", "masks", "fps", "state"), rows)
    if clips > len(rows):
        console.result(f"... and {clips - len(rows)} more; --clip NAME shows one, --json all")
    if clips == 1 and last is not None:
        _print_one(last)
    if total is not None:
        print_statistics(total.as_dict())


def _print_head(file: dict[str, Any], counts: dict[str, int], empty: int) -> None:
    """empty: of the masks counted here, those without a pixel, which the statistics below leave out."""
    schema = file["store_schema"]
    parts = [f"{file['format']} of schema {schema}" if schema else file["format"]]
    parts += [console.counted(number, what) for what, number in counts.items()]
    parts[-1] += f" ({empty} of them empty)" if empty else ""
    if file["bytes"] is not None:
        parts.append(console.size(file["bytes"]))
    console.result(f"{file['path']}: {', '.join(parts)}")
    if file["created"]:
        console.result(f"written by {file['software']}, {file['created']}")


def _row(clip: dict[str, Any]) -> tuple[object, ...]:
    state = {True: "complete", False: "unfinished", None: ""}[clip["complete"]]
    fps = "" if clip["fps"] is None else f"{clip['fps']:.4g}"
    size = f"{clip['width']}x{clip['height']}"
    return clip["name"], size, clip["frames"], len(clip["tracks"]), clip["masks"], fps, state


def _print_one(clip: dict[str, Any]) -> None:
    """The tracks of a clip and where it comes from."""
    tracks = clip["tracks"]
    console.table(
        ("track", "name", "first frame", "parent", "level", "review"),
        [
            (t["id"], t["name"], t["first_frame"], "" if t["parent"] is None else t["parent"], t["level"], t["review"])
            for t in tracks
        ],
    )
    if clip["source"]:
        console.result(f"source: {clip['source']}")
    for key, value in (clip["provenance"] or {}).items():
        console.result(f"{key}: {value}")
