"""The granularity tree: which track is a part of which.

A track's parent is the smallest one that contains it in most of the frames where it is to be seen. Knows masks frame by
frame and keeps counts only, so it grows with the tracks and not with the video.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.masks.boxed import BoxedMask
from engine.store.ancestry import ancestors


@dataclass(frozen=True)
class Place:
    """A track's place in the tree: its parent's id, None at the top, and its depth, 0 at the top."""

    parent: int | None
    level: int


class Containment:
    """Counts, frame by frame, which tracks lie inside which. share: of a mask that has to lie inside the other."""

    def __init__(self, share: float = 0.9) -> None:
        self._share = share
        self._frames: dict[int, int] = {}
        self._pixels: dict[int, int] = {}
        self._inside: dict[tuple[int, int], int] = {}

    def add(self, masks: Mapping[int, BoxedMask]) -> None:
        """The masks of one frame by track; empty ones are not to be seen."""
        seen = {track: mask for track, mask in masks.items() if mask.area}
        ids = list(seen)
        areas = np.array([seen[track].area for track in ids], np.int64)
        for track, area in zip(ids, areas.tolist(), strict=True):
            self._frames[track] = self._frames.get(track, 0) + 1
            self._pixels[track] = self._pixels.get(track, 0) + area
        for part, whole in near_pairs(list(seen.values()), areas, self._share):
            if seen[ids[part]].overlap(seen[ids[whole]]) >= self._share * areas[part]:
                pair = ids[part], ids[whole]
                self._inside[pair] = self._inside.get(pair, 0) + 1

    def tree(self) -> dict[int, Place]:
        """The place of every track that was ever seen."""
        size = {track: self._pixels[track] / self._frames[track] for track in self._frames}
        parents: dict[int, int] = {}
        for (part, whole), count in sorted(self._inside.items()):
            larger = (size[whole], -whole) > (size[part], -part)
            if larger and 2 * count > self._frames[part]:
                best = parents.get(part)
                if best is None or (size[whole], -whole) < (size[best], -best):
                    parents[part] = whole
        return {track: Place(parents.get(track), len(list(ancestors(track, parents)))) for track in self._frames}

    def state(self) -> dict[str, Any]:
        """The counts as arrays."""
        tracks = [(track, frames, self._pixels[track]) for track, frames in self._frames.items()]
        pairs = [(*pair, count) for pair, count in self._inside.items()]
        return {
            "tracks": np.array(tracks, np.int64).reshape(-1, 3),
            "pairs": np.array(pairs, np.int64).reshape(-1, 3),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        tracks, pairs = state["tracks"].tolist(), state["pairs"].tolist()
        self._frames = {track: frames for track, frames, _ in tracks}
        self._pixels = {track: pixels for track, _, pixels in tracks}
        self._inside = {(part, whole): count for part, whole, count in pairs}


def near_pairs(masks: list[BoxedMask], areas: np.ndarray, share: float) -> list[tuple[int, int]]:
    """(part, whole) of masks whose boxes share enough for the first to lie in the second, which is larger."""
    if not masks:
        return []
    boxes = np.array([(mask.top, mask.left, mask.bottom, mask.right) for mask in masks], np.int64)
    height = np.minimum(boxes[:, None, 2], boxes[None, :, 2]) - np.maximum(boxes[:, None, 0], boxes[None, :, 0])
    width = np.minimum(boxes[:, None, 3], boxes[None, :, 3]) - np.maximum(boxes[:, None, 1], boxes[None, :, 1])
    shared = np.maximum(height, 0) * np.maximum(width, 0)
    near = (shared >= share * areas[:, None]) & (areas[:, None] <= areas[None, :])
    np.fill_diagonal(near, False)
    return [(int(part), int(whole)) for part, whole in zip(*np.nonzero(near), strict=True)]
