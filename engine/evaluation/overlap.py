"""Which predicted track lies on which true one: the best assignment by overlap where a true track is first seen.

For predictions whose names and numbers say nothing. Knows two clips.
"""

from collections.abc import Sequence

import numpy as np

from engine.evaluation.assignment import best_assignment
from engine.evaluation.bits import pack_rows
from engine.store.source import ClipMasks
from engine.types import BoolArray, Track, UInt8Array


def match_by_overlap(
    clip: ClipMasks, tracks: Sequence[Track], predicted: ClipMasks, frames: dict[int, int]
) -> dict[int, int]:
    """True track id -> predicted track id, by the highest total IoU in each true track's first frame with a mask.

    frames: true -> predicted frame numbers. Tracks that overlap with nothing, or are of another size, stay without a
    partner.
    """
    firsts: dict[int, list[tuple[int, UInt8Array]]] = {}
    for at, track in enumerate(tracks):
        first = _first_mask(clip, track.id)
        if first is not None and first[0] in frames:
            firsts.setdefault(first[0], []).append((at, pack_rows(first[1])))
    gain = np.zeros((len(tracks), len(predicted.tracks)))
    for frame, masks in firsts.items():
        for column, other in enumerate(predicted.tracks):
            mask = predicted.mask(frames[frame], other.id)
            if mask is not None and mask.shape == (clip.height, clip.width):
                P = pack_rows(mask)
                for row, G in masks:
                    gain[row, column] = _iou(P, G)
    return {tracks[row].id: predicted.tracks[column].id for row, column in best_assignment(gain) if gain[row, column]}


def _first_mask(clip: ClipMasks, track: int) -> tuple[int, BoolArray] | None:
    for frame in clip.frames:
        mask = clip.mask(frame, track)
        if mask is not None and mask.any():
            return frame, mask
    return None


def _iou(P: UInt8Array, G: UInt8Array) -> float:
    return int(np.bitwise_count(P & G).sum()) / max(1, int(np.bitwise_count(P | G).sum()))
