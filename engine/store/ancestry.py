"""Tracks below tracks: what their parents say of their places in the granularity tree.

Knows ids. Parents may come from any file, so a circle of them, which no tree has, ends where it began.
"""

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import replace

from engine.types import Track


def ancestors(track: int, parents: Mapping[int, int | None]) -> Iterator[int]:
    """The parent, its parent and so on, to the top."""
    seen = {track}
    while (above := parents.get(track)) is not None and above not in seen:
        seen.add(above)
        yield above
        track = above


def remaining(tracks: Sequence[Track], out: Container[int]) -> list[Track]:
    """The tracks that are not out, with parents and levels among themselves."""
    parents = {track.id: track.parent for track in tracks}
    placed = []
    for track in tracks:
        if track.id not in out:
            above = [other for other in ancestors(track.id, parents) if other not in out]
            placed.append(replace(track, parent=above[0] if above else None, level=len(above)))
    return placed
