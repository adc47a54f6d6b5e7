"""The frames in which tracks went wrong, with both masks: what a reader wants to see first.

Reads the masks once more; knows reports and sources.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from engine.evaluation.matching import match_clips, match_frames
from engine.evaluation.report import Report, TrackScore
from engine.evaluation.sources import Masks
from engine.store.source import ClipMasks
from engine.types import BoolArray


@dataclass(frozen=True)
class WorstFrame:
    """The judged frame of lowest (J + F) / 2 of a track. `predicted` and `truth`: bool (H, W)."""

    clip: str
    track: str
    frame: int
    J: float
    F: float
    predicted: BoolArray
    truth: BoolArray


def worst_frames(report: Report, pred: Masks, truth: Masks, count: int) -> Iterator[WorstFrame]:
    """One frame of each of the `count` worst tracks, the worst track first."""
    pairs = match_clips(truth.clips, pred.clips)
    for name, track in report.worst(count):
        clip = truth.clip(name)
        other = pred.clip(pairs[name]) if name in pairs else None
        at = int(np.argmin(track.J + track.F))
        frame = track.frames[at]
        G = _or_empty(clip.mask(frame, track.id), clip)
        P = _or_empty(_predicted(clip, other, track, frame), clip)
        yield WorstFrame(name, track.name, frame, float(track.J[at]), float(track.F[at]), P, G)


def _predicted(clip: ClipMasks, other: ClipMasks | None, track: TrackScore, frame: int) -> BoolArray | None:
    if other is None or track.partner is None:
        return None
    number = match_frames(clip.frames, other.frames).get(frame)
    mask = None if number is None else other.mask(number, track.partner)
    return mask if mask is None or mask.shape == (clip.height, clip.width) else None


def _or_empty(mask: BoolArray | None, clip: ClipMasks) -> BoolArray:
    return np.zeros((clip.height, clip.width), bool) if mask is None else mask
