"""Which masks of a clip a training clip can be made of: frames near each other, tracks that are seen in the first.

Knows the rows of a mask source and random numbers; no pixels but those of masks that might overlap.
"""

from dataclasses import dataclass
from threading import Lock

import numpy as np

from engine.store.source import ClipMasks
from engine.types import BoolArray

FURTHEST = 5
SMALLEST_VISIBLE = 0.002
FIRST_AREA, MORE_AREA = 4000 / (640 * 1080), 500 / (640 * 1080)
"""Shares of the frame that the first object has to cover as published, and that each further one covers more."""


@dataclass(frozen=True)
class ClipRules:
    """What a training clip looks like.

    size: side in pixels; frames: of one clip; objects: most tracks followed at once; min_score: tracks with a lower
    score in any frame of the clip are left out. published: frames in order of time, half of the clips reversed, and
    the paper's crops and colours; else frames go away from the first one, and crops touch the object.
    """

    size: int
    frames: int
    objects: int = 1
    min_score: float = 0.0
    published: bool = False


class ClipTable:
    """The rows of one clip as arrays. `masks` may be asked by several threads."""

    def __init__(self, masks: ClipMasks, rules: ClipRules) -> None:
        self.masks = masks
        self.rules = rules
        self._lock = Lock()
        self.numbers = list(masks.frames)
        position = {number: at for at, number in enumerate(self.numbers)}
        rows = [(position[r.frame], r.track, r.area, r.score < rules.min_score) for r in masks.records()]
        table = np.array(rows, np.int64).reshape(-1, 4)
        self._position, self._track, self._area = table[:, 0], table[:, 1], table[:, 2]
        self._bad = table[:, 3] > 0
        self._whole = masks.height * masks.width
        least = (FIRST_AREA if rules.published else SMALLEST_VISIBLE) * self._whole
        self._starts = np.flatnonzero((self._area >= least) & ~self._bad)

    @property
    def usable(self) -> bool:
        """Whether any training clip can begin here."""
        return len(self._starts) > 0 and len(self.numbers) >= self.rules.frames

    def mask(self, position: int, track: int) -> BoolArray:
        """A mask; empty where there is none."""
        with self._lock:
            mask = self.masks.mask(self.numbers[position], track)
        return np.zeros((self.masks.height, self.masks.width), np.bool_) if mask is None else mask

    def choose(self, rng: np.random.Generator) -> tuple[list[int], list[int]]:
        """Positions of frames and the tracks to follow; no tracks where the draw met none that may be followed."""
        row = int(self._starts[rng.integers(len(self._starts))])
        start = int(self._position[row])
        picked = self._near(start, rng)
        if not self.rules.published:
            tracks = self._tracks(picked, rng, wanted=int(self._track[row]))
            return [start, *sorted(picked[1:], key=lambda at: abs(at - start))], tracks
        picked.sort(reverse=bool(rng.integers(2)))
        return picked, self._tracks(picked, rng)

    def _near(self, start: int, rng: np.random.Generator) -> list[int]:
        """Distinct positions: `start`, then others, each at most five from one that was chosen."""
        chosen = [start]
        while len(chosen) < self.rules.frames:
            low, high = max(min(chosen) - FURTHEST, 0), min(max(chosen) + FURTHEST, len(self.numbers) - 1)
            free = [
                at for at in range(low, high + 1) if at not in chosen and min(abs(at - c) for c in chosen) <= FURTHEST
            ]
            chosen.append(free[int(rng.integers(len(free)))])
        return chosen

    def _tracks(self, picked: list[int], rng: np.random.Generator, wanted: int | None = None) -> list[int]:
        """Tracks of the first frame in random order (`wanted` first) that overlap no other one taken before."""
        bad = set(self._track[np.isin(self._position, picked) & self._bad].tolist())
        here = np.flatnonzero(self._position == picked[0])
        areas = dict(zip(self._track[here].tolist(), self._area[here].tolist(), strict=True))
        order = [int(track) for track in rng.permutation(sorted(areas)) if track not in bad]
        if wanted in order:
            order = [wanted, *(track for track in order if track != wanted)]
        taken: list[int] = []
        painted = np.zeros((self.masks.height, self.masks.width), np.bool_)
        for track in order:
            if len(taken) == self.rules.objects:
                break
            if areas[track] <= self._least(len(taken)):
                continue
            mask = self.mask(picked[0], track)
            if not (painted & mask).any():
                painted |= mask
                taken.append(track)
        return sorted(taken)

    def _least(self, taken: int) -> float:
        """The area that one more track has to exceed."""
        share = FIRST_AREA + taken * MORE_AREA if self.rules.published else SMALLEST_VISIBLE
        return share * self._whole
