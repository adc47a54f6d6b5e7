"""Small clips for the tests of the store: two overlapping tracks, one that comes late, an empty mask, a gap."""

from pathlib import Path
from typing import Any

import numpy as np

from engine.masks import rle
from engine.store import StoreWriter
from engine.store.source import ClipMasks
from engine.types import MaskRecord, PointPrompt, Track

HEIGHT, WIDTH = 20, 31
TRACKS = [
    Track(1, "car", 0, None, 0, "accepted"),
    Track(4, "wheel", 0, 1, 1),
    Track(9, "späte Fußgängerin", 3, None, 0, "mended"),
]


def disc(x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (columns - x) ** 2 + (rows - y) ** 2 <= radius**2


def masks() -> dict[tuple[int, int], np.ndarray]:
    """(frame, track) -> mask. Track 4 lies inside 1, is empty in frame 2 and missing in frame 4; 9 comes in frame 3."""
    found = {(frame, 1): disc(6 + 2 * frame, 10, 6) for frame in range(6)}
    found |= {(frame, 4): disc(6 + 2 * frame, 12, 2) for frame in range(6) if frame != 4}
    found[2, 4] = np.zeros((HEIGHT, WIDTH), bool)
    found |= {(frame, 9): disc(28, 4, 3) for frame in range(3, 6)}
    return found


def records() -> list[MaskRecord]:
    found = []
    for (frame, track), mask in sorted(masks().items()):
        plain = rle.record(frame, track, mask, 0.25 + frame / 16)
        points = (PointPrompt(3.5, 4.0), PointPrompt(1.0, 2.0, False)) if (frame, track) == (0, 4) else ()
        stability = 0.97 if track == 1 else float("nan")
        found.append(MaskRecord(frame, track, plain.counts, plain.area, plain.box, plain.score, stability, points))
    return found


def write_sample(path: Path, name: str = "street", **changes: Any) -> Path:
    """A store of the sample clip."""
    with StoreWriter(path) as writer:
        add_sample(writer, name, **changes)
    return path


def add_sample(writer: StoreWriter, name: str = "street", **changes: Any) -> None:
    arguments: dict[str, Any] = {"width": WIDTH, "height": HEIGHT, "frame_count": 6, "tracks": TRACKS}
    arguments |= {"records": records(), "source": "street.mp4", "fps": 25}
    writer.add_clip(name, **(arguments | changes))


def same(first: MaskRecord, second: MaskRecord) -> bool:
    """Equality in which NaN equals NaN."""
    numbers = np.array_equal([first.score, first.stability], [second.score, second.stability], equal_nan=True)
    exact = ("frame", "track", "counts", "area", "box", "points")
    return numbers and all(getattr(first, name) == getattr(second, name) for name in exact)


def same_records(first: list[MaskRecord], second: list[MaskRecord]) -> bool:
    return len(first) == len(second) and all(same(a, b) for a, b in zip(first, second, strict=True))


def masks_of(clip: ClipMasks) -> dict[tuple[int, str], bytes]:
    """(frame, track name) -> run lengths: what every format must keep."""
    names = {track.id: track.name for track in clip.tracks}
    return {(record.frame, names[record.track]): record.counts for record in clip.records()}
