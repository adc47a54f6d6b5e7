"""Clips of any masks, for round trips between the store and every format."""

from dataclasses import dataclass, field

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from engine.masks import rle
from engine.types import MaskRecord, PointPrompt, Track

NAMES = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S", "Zs")), min_size=1, max_size=12)
SCORES = st.floats(0, 1) | st.just(float("nan"))
POINTS = st.builds(PointPrompt, st.integers(0, 50).map(float), st.floats(0, 50), st.just(True))


@dataclass
class Clip:
    """What is written, and read back."""

    name: str
    height: int
    width: int
    frames: list[int]
    tracks: list[Track]
    records: list[MaskRecord] = field(default_factory=list)


@st.composite
def clips(draw: st.DrawFn, name: str = "clip") -> Clip:
    """Up to 4 frames of any numbers, up to 4 tracks of any ids and names; masks missing, empty, overlapping."""
    height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    frames = sorted(draw(st.sets(st.integers(0, 2000), min_size=1, max_size=4)))
    ids = sorted(draw(st.sets(st.integers(0, 300), max_size=4)))
    names = draw(st.lists(NAMES, min_size=len(ids), max_size=len(ids)))
    tracks = [
        Track(
            track, text, draw(st.sampled_from(frames)), draw(st.none() | st.sampled_from(ids)), draw(st.integers(0, 3))
        )
        for track, text in zip(ids, names, strict=True)
    ]
    clip = Clip(name, height, width, frames, tracks)
    for frame in frames:
        for track in ids:
            mask = draw(st.none() | arrays(np.bool_, (height, width)))
            if mask is not None:
                plain = rle.record(frame, track, mask, draw(SCORES))
                points = tuple(draw(st.lists(POINTS, max_size=2)))
                clip.records.append(
                    MaskRecord(frame, track, plain.counts, plain.area, plain.box, plain.score, draw(SCORES), points)
                )
    return clip
