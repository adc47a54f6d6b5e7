"""`mugvos info`: what a mask store, or anything that holds masks, contains."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mugvos_cli import console
from mugvos_cli.options import Clip, Format, Json
from mugvos_cli.statistics_table import print_statistics

if TYPE_CHECKING:
    from engine.evaluation import DatasetStatistics
    from engine.store.source import ClipMasks, MaskSource


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
    from engine.evaluation import dataset_statistics
    from engine.store import open_source

    with open_source(tracks, format) as source:
        names = clip or list(source.clips)
        statistics = None
        if not quick:
            with console.progress("reading clips") as progress:
                statistics = dataset_statistics(source, names, progress)
        clips = [_clip(source.clip(name), statistics) for name in names]
        document = {"schema": 1, **_file(tracks, source), "clips": clips}
        document["statistics"] = statistics and statistics.total.as_dict()
        for note in getattr(source, "notes", ()):
            console.warn(note)
    if json:
        console.emit_json(document)
    else:
        _print(document)
        if statistics is not None:
            print_statistics(statistics.total.as_dict())


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


def _clip(clip: "ClipMasks", statistics: "DatasetStatistics | None") -> dict[str, Any]:
    """One clip. What only stores know is null for other formats."""
    fps = getattr(clip, "fps", None)
    counts = statistics and statistics.clips[clip.name]
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


def _print(document: dict[str, Any]) -> None:
    clips = document["clips"]
    counts = {
        "clip": len(clips),
        "track": sum(len(clip["tracks"]) for clip in clips),
        "mask": sum(clip["masks"] for clip in clips),
    }
    schema = document["store_schema"]
    parts = [f"{document['format']} of schema {schema}" if schema else document["format"]]
    parts += [f"{number} {what}{'' if number == 1 else 's'}" for what, number in counts.items()]
    if document["bytes"] is not None:
        parts.append(console.size(document["bytes"]))
    console.result(f"{document['path']}: {', '.join(parts)}")
    if document["created"]:
        console.result(f"written by {document['software']}, {document['created']}")
    columns = ("clip", "size", "frames", "tracks", "masks", "fps", "state")
    console.table(columns, [_row(clip) for clip in clips])
    if len(clips) == 1:
        _print_one(clips[0])


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
