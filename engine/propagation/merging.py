"""Objects that are followed, and detections on one of their frames, made into one set (DEVA, section 3.2.2).

A detection that covers what an object was predicted to be belongs to it; any other begins an object; an object that
detections missed too often ends. Objects share no pixel. Knows label maps; knows nothing of networks or files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import multimode
from typing import Any

import numpy as np

from engine.propagation.detections import Labels, Segment, counts, overlaps
from engine.types import BoolArray

_SAME = 0.5  # IoU above which a detection and an object are one


@dataclass
class FollowedObject:
    """An object with the number it keeps. missed: detections in a row that did not find it."""

    id: int
    categories: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    thing: bool | None = None
    missed: int = 0

    @property
    def category(self) -> int | None:
        """What most detections said; the smallest of those that are said equally often."""
        return min(multimode(self.categories), default=None)

    @property
    def score(self) -> float | None:
        """The mean over detections."""
        return float(np.mean(self.scores)) if self.scores else None


class ObjectTable:
    """Objects in the order of their rows. Positions in label maps are rows + 1."""

    def __init__(self) -> None:
        self.objects: list[FollowedObject] = []
        self.born = 0

    def __len__(self) -> int:
        return len(self.objects)

    def merge(
        self,
        forward: Labels,
        detected: Labels,
        segments: Sequence[Segment],
        most: int | None = None,
        incremental: bool = False,
    ) -> BoolArray:
        """Masks (N, H, W) of all objects, new ones included: larger ones first within things, stuff and neither.

        forward: predicted positions (H, W); detected: ids of `segments`. most: objects; where there would be more the
        detections are ignored. incremental: detections only look where no object is, so only those that vanished
        count as missed.
        """
        if most is not None and len(self) + len(segments) > most:
            segments = ()
        known = len(self)
        both = counts(forward, detected)
        canvas = np.zeros(forward.shape, np.int64)
        for thing in (None, False, True):
            rows = [row for row in range(known) if self.objects[row].thing is thing]
            entries = self._matched(rows, [s for s in segments if s.thing is thing], both)
            for _, row, segment in sorted(entries, key=lambda entry: -entry[0]):
                self._paint(canvas, forward, detected, row, segment, incremental)
        masks: BoolArray = canvas[None] == np.arange(1, len(self) + 1)[:, None, None]
        return masks

    def purge(self, most_missed: int) -> list[int]:
        """End the objects that were missed more often; the rows that they had."""
        gone = [row for row, entry in enumerate(self.objects) if entry.missed > most_missed]
        self.objects = [entry for row, entry in enumerate(self.objects) if row not in gone]
        return gone

    def state(self) -> dict[str, Any]:
        """Plain values."""
        return {"born": self.born, "objects": [_plain(entry) for entry in self.objects]}

    def load_state(self, state: dict[str, Any]) -> None:
        """Become what `state` describes."""
        self.born = int(state["born"])
        self.objects = [_restored(entry) for entry in state["objects"]]

    def _matched(
        self, rows: Sequence[int], segments: Sequence[Segment], both: np.ndarray
    ) -> list[tuple[int, int | None, Segment | None]]:
        """(area, row, segment) of detections, with the row of the object each belongs to, then of objects alone."""
        iou, of_object, of_segment = overlaps(both), both.sum(1), both.sum(0)
        entries: list[tuple[int, int | None, Segment | None]] = []
        free = list(rows)
        for segment in segments:
            own = (row for row in free if row + 1 < len(iou) and segment.id < iou.shape[1])
            row = next((row for row in own if iou[row + 1, segment.id] > _SAME), None)
            area = int(of_segment[segment.id]) if segment.id < len(of_segment) else 0
            if row is not None:
                free.remove(row)
                area += int(of_object[row + 1] - both[row + 1, segment.id])
            entries.append((area, row, segment))
        return entries + [(int(of_object[row + 1]) if row + 1 < len(of_object) else 0, row, None) for row in free]

    def _paint(
        self,
        canvas: np.ndarray,
        forward: Labels,
        detected: Labels,
        row: int | None,
        segment: Segment | None,
        incremental: bool,
    ) -> None:
        """Put an object on the canvas; a new one comes into being, a known one learns what was detected."""
        if row is None:
            self.born += 1
            self.objects.append(FollowedObject(self.born))
            entry, position = self.objects[-1], len(self)
        else:
            entry, position = self.objects[row], row + 1
            predicted = forward == position
            canvas[predicted] = position
        if segment is not None:
            canvas[detected == segment.id] = position
            entry.thing = segment.thing
            entry.categories += segment.categories
            entry.scores += segment.scores
            entry.missed = 0
        elif not incremental or not predicted.any():
            entry.missed += 1
        else:
            entry.missed = 0


def _plain(entry: FollowedObject) -> dict[str, Any]:
    thing = {None: -1, False: 0, True: 1}[entry.thing]
    return {
        "id": entry.id,
        "categories": list(entry.categories),
        "scores": list(entry.scores),
        "thing": thing,
        "missed": entry.missed,
    }


def _restored(plain: dict[str, Any]) -> FollowedObject:
    thing = {-1: None, 0: False, 1: True}[int(plain["thing"])]
    categories = [int(category) for category in plain["categories"]]
    return FollowedObject(
        int(plain["id"]), categories, [float(s) for s in plain["scores"]], thing, int(plain["missed"])
    )
