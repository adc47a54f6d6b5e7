"""Masks of a store, or of another file that holds tracks, as what a propagation begins with.

Every track is taken over, with its name, by its first mask that is not empty, or by its mask on one frame. So what
generate, annotate or another propagation made can be carried on. Knows mask sources; knows nothing of trackers.
"""

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from engine.errors import MaskError
from engine.masks import rle
from engine.store import open_source, suffixes
from engine.store.ancestry import remaining
from engine.store.source import ClipMasks, MaskSource
from engine.store.spool import STDIO
from engine.types import BoolArray, Track


class StoredMask(NamedTuple):
    """A track's mask, bool (H, W), on a frame. The track's name is like that of no other one of its clip, its place in
    the granularity tree the one among all tracks that have such a mask."""

    track: Track
    frame: int
    mask: BoolArray


def is_stored(path: Path) -> bool:
    """Whether a file is named like one that holds tracks, rather than like an image; standard input is."""
    return is_stdin(path) or path.suffix.lower() in suffixes.TRACKS


def is_stdin(path: Path) -> bool:
    """Whether a path means standard input."""
    return str(path) == STDIO


def stored_masks(path: Path, video: str, frame: int | None) -> list[StoredMask]:
    """The first mask of every track of a clip, or the masks on a frame; empty ones are left out.

    The clip is the one that is named like the video, or the only one. Raises MaskError where there is neither, or no
    mask; StoreError or FormatError for files that cannot be read.
    """
    with open_source(path) as source:
        clip = source.clip(_clip_for(video, source, path))
        found = _firsts(clip, frame)
    if not found:
        when = "" if frame is None else f" on frame {frame}"
        raise MaskError(f"{path}: clip {clip.name!r} has no mask{when}", "mugvos info says what a file holds")
    return found


def _clip_for(video: str, source: MaskSource, path: Path) -> str:
    clips = source.clips
    if video in clips or len(clips) == 1:
        return video if video in clips else clips[0]
    listed = ", ".join(list(clips)[:5]) + (", ..." if len(clips) > 5 else "")
    raise MaskError(
        f"{path}: none of its {len(clips)} clips is called {video!r} ({listed})",
        "name the video like its clip, or export the clip by itself",
    )


def _firsts(clip: ClipMasks, frame: int | None) -> list[StoredMask]:
    first: dict[int, tuple[int, BoolArray]] = {}
    for record in clip.records(frame):
        if record.area and record.track not in first:
            first[record.track] = record.frame, rle.decode(record.counts, clip.height, clip.width)
        if len(first) == len(clip.tracks):
            break
    names = [track.name for track in clip.tracks]
    tracks = remaining(clip.tracks, {track.id for track in clip.tracks} - first.keys())
    return [
        StoredMask(
            track if track.name and names.count(track.name) == 1 else replace(track, name=_apart(track)),
            *first[track.id],
        )
        for track in tracks
    ]


def _apart(track: Track) -> str:
    """A name for one of several tracks that are called alike, or not at all."""
    return f"{track.name or 'track'}:{track.id}"
