"""Between records and table rows: plain Python on one side, the schema's structured arrays on the other. No files."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.errors import StoreError
from engine.store.schema import MASK_TYPE, NO_PARENT, POINT_TYPE, REVIEWS, clean_text, text_of, track_type
from engine.types import MaskRecord, PointPrompt, Review, Track


def track_rows(tracks: Sequence[Track]) -> np.ndarray:
    """The table of a clip's tracks, in the order given."""
    names = [clean_text(track.name).encode() for track in tracks]
    rows = [
        (
            track.id,
            name,
            track.first_frame,
            NO_PARENT if track.parent is None else track.parent,
            track.level,
            REVIEWS.index(track.review),
        )
        for track, name in zip(tracks, names, strict=True)
    ]
    return np.array(rows, track_type(max((len(name) for name in names), default=1)))


def tracks_of_rows(rows: np.ndarray) -> list[Track]:
    """Tracks of the table. Raises ValueError for a review state that does not exist."""
    return [
        Track(
            id=int(row["id"]),
            name=text_of(row["name"]),
            first_frame=int(row["first_frame"]),
            parent=None if row["parent"] == NO_PARENT else int(row["parent"]),
            level=int(row["level"]),
            review=_review(int(row["review"])),
        )
        for row in rows
    ]


def check_tracks(tracks: Sequence[Track], clip: str) -> None:
    """Raise StoreError unless ids are unique and not negative, and review states are known."""
    seen: set[int] = set()
    for track in tracks:
        if track.id < 0 or track.id in seen:
            raise StoreError(
                f"clip {clip!r}: track id {track.id} is {'negative' if track.id < 0 else 'used twice'}",
                "give every track of a clip its own id from 0 on",
            )
        if track.review not in REVIEWS:
            raise StoreError(f"clip {clip!r}: unknown review state {track.review!r}", f"use one of {REVIEWS[1:]}")
        seen.add(track.id)


def mask_row(record: MaskRecord, offset: int, first_point: int) -> tuple[Any, ...]:
    """One row of the mask table; `offset` and `first_point` say where its run lengths and points begin."""
    return (
        record.frame,
        record.track,
        record.area,
        record.box,
        record.score,
        record.stability,
        offset,
        len(record.counts),
        first_point,
        len(record.points),
    )


def point_rows(points: Sequence[PointPrompt]) -> np.ndarray:
    """The point prompts of one mask as table rows."""
    return np.array([(p.x, p.y, p.positive) for p in points], POINT_TYPE)


def points_of_rows(rows: np.ndarray) -> tuple[PointPrompt, ...]:
    """Point prompts of table rows."""
    return tuple(PointPrompt(float(r["x"]), float(r["y"]), bool(r["positive"])) for r in rows)


def record_of_row(
    row: Any, counts: bytes, points: tuple[PointPrompt, ...], warped_iou: float = float("nan")
) -> MaskRecord:
    """The record of one row of the mask table."""
    frame, track, area, box, score, stability = row.item()[:6]
    x, y, width, height = (int(v) for v in box)
    return MaskRecord(frame, track, counts, area, (x, y, width, height), score, stability, points, warped_iou)


def mask_rows(rows: Sequence[tuple[Any, ...]]) -> np.ndarray:
    """Structured array of `mask_row` tuples."""
    return np.array(rows, MASK_TYPE)


def _review(code: int) -> Review:
    states: tuple[Review, ...] = ("", "accepted", "rejected", "mended")
    if code >= len(states):
        raise ValueError(f"unknown review state {code}")
    return states[code]
