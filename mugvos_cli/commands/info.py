"""`mugvos info`: what a mask store, or anything that holds masks, contains."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mugvos_cli import console
from mugvos_cli.options import Clip, Format, Json

if TYPE_CHECKING:
    from engine.store.source import ClipMasks, MaskSource


def info(
    tracks: Annotated[str, typer.Argument(metavar="TRACKS", help="A mask store, a tree of PNGs, JSON, or -.")],
    clip: Clip = None,
    format: Format = None,
    json: Json = False,
) -> None:
    """Say what a mask store holds: clips, tracks, masks, frames, sizes, and how it was made.

    With a single clip, or one chosen by --clip, its tracks are listed too.

    Examples:
      mugvos info bear.h5
      mugvos info dataset.h5 --clip bear
      mugvos info dataset.h5 --json
    """
    from engine.store import open_source

    source = open_source(tracks, format)
    try:
        names = clip or list(source.clips)
        clips = [_clip(source.clip(name)) for name in names]
        document = {"schema": 1, **_file(tracks, source), "clips": clips}
    finally:
        if hasattr(source, "close"):
            source.close()
    if json:
        console.emit_json(document)
    else:
        _print(document)


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


def _clip(clip: "ClipMasks") -> dict[str, Any]:
    """One clip. What only stores know is null for other formats."""
    fps = getattr(clip, "fps", None)
    rows = getattr(clip, "rows", None)
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
    }


def _print(document: dict[str, Any]) -> None:
    clips = document["clips"]
    counts = {
        "clips": len(clips),
        "tracks": sum(len(clip["tracks"]) for clip in clips),
        "masks": sum(clip["masks"] for clip in clips),
    }
    kind = (
        f"{document['format']} of schema {document['store_schema']}" if document["store_schema"] else document["format"]
    )
    size = f", {document['bytes'] / 1e6:.1f} MB" if document["bytes"] is not None else ""
    console.result(f"{document['path']}: {kind}, " + ", ".join(f"{n} {what}" for what, n in counts.items()) + size)
    if document["created"]:
        console.result(f"written by mugvos {document['software']}, {document['created']}")
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
