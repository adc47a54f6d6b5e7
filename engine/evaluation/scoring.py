"""Runs one unit of work: reads its masks frame by frame and scores a few frames of a track at a time.

Knows clips and plans. Memory is a few frames of the unit's tracks, whatever the length of the clip.
"""

from dataclasses import dataclass, field

import numpy as np

from engine.errors import EvaluationError
from engine.evaluation.bits import pack_rows
from engine.evaluation.metrics import count_packed
from engine.evaluation.plan import TrackPlan, Unit
from engine.evaluation.report import TrackScore
from engine.store.source import ClipMasks
from engine.types import BoolArray, UInt8Array

FRAMES_AT_ONCE = 8


def score_unit(unit: Unit, clip: ClipMasks | None, true_clip: ClipMasks) -> list[TrackScore]:
    """J and F of every judged frame of the unit's tracks.

    clip: the predicted clip, None if there is none. Raises EvaluationError where sizes differ.
    """
    if clip is not None:
        _check_sizes(unit.clip, (clip.height, clip.width), (true_clip.height, true_clip.width))
    scorers = [_TrackScorer(unit, plan, clip, true_clip) for plan in unit.tracks]
    for true_frame, frame in unit.frames:
        for scorer in scorers:
            scorer.add(true_frame, frame)
    return [scorer.finish() for scorer in scorers]


@dataclass
class _TrackScorer:
    """One track on its way through the clip.

    `waiting` is a true mask that is judged once a later one is seen. `turned`: masks are packed transposed, because
    they lie in memory column by column as decoded run lengths do; J and F are the same, and it is far faster.
    """

    unit: Unit
    plan: TrackPlan
    clip: ClipMasks | None
    true_clip: ClipMasks
    begun: bool = False
    turned: bool | None = None
    waiting: tuple[int, int | None, BoolArray, BoolArray | None] | None = None
    pairs: list[tuple[UInt8Array, UInt8Array]] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    J: list[float] = field(default_factory=list)
    F: list[float] = field(default_factory=list)

    def add(self, true_frame: int, frame: int | None) -> None:
        """The next frame of the clip; does nothing where the track is not annotated."""
        G = self.true_clip.mask(true_frame, self.plan.id)
        if G is None:
            if not self.unit.truth_fills:
                return
            G = np.zeros((self.true_clip.height, self.true_clip.width), bool)
        void = self.true_clip.void(true_frame) if self.unit.void else None
        if not self.unit.trim:
            self._judge(true_frame, frame, G, void)
            return
        if self.waiting is not None:
            self._judge(*self.waiting)
        self.waiting = (true_frame, frame, G, void) if self.begun else None
        self.begun = True

    def finish(self) -> TrackScore:
        """The scores in time order; frames without a prediction scored 0."""
        self._flush()
        return TrackScore(
            id=self.plan.id,
            name=self.plan.name,
            frames=tuple(self.frames),
            J=np.array(self.J),
            F=np.array(self.F),
            missing=tuple(self.missing),
            predicted=self.clip is not None and (self.plan.predicted is not None or self.plan.absent_is_empty),
        )

    def _judge(self, true_frame: int, frame: int | None, G: BoolArray, void: BoolArray | None) -> None:
        P = self._predicted(frame, G)
        self.frames.append(true_frame)
        if P is None:
            self._flush()
            self.missing.append(true_frame)
            self.J.append(0.0)
            self.F.append(0.0)
            return
        _check_sizes(f"{self.unit.clip}/{self.plan.name}, frame {true_frame}", P.shape, G.shape)
        if void is not None:
            P, G = P & ~void, G & ~void
        if self.turned is None:
            self.turned = P.flags.f_contiguous and G.flags.f_contiguous
        self.pairs.append((self._packed(P), self._packed(G)))
        if len(self.pairs) == FRAMES_AT_ONCE:
            self._flush()

    def _packed(self, mask: BoolArray) -> UInt8Array:
        return pack_rows(mask.T if self.turned else mask)

    def _predicted(self, frame: int | None, G: BoolArray) -> BoolArray | None:
        """The predicted mask; None if it is missing."""
        if self.clip is None or frame is None:
            return None
        if self.plan.predicted is None:
            return np.zeros_like(G) if self.plan.absent_is_empty else None
        P = self.clip.mask(frame, self.plan.predicted)
        return np.zeros_like(G) if P is None and not self.unit.files else P

    def _flush(self) -> None:
        if self.pairs:
            predicted, truth = (np.stack(side) for side in zip(*self.pairs, strict=True))
            counts = count_packed(predicted, truth, self.true_clip.height if self.turned else self.true_clip.width)
            self.J += counts.region().tolist()
            self.F += counts.boundary().tolist()
            self.pairs.clear()


def _check_sizes(where: str, predicted: tuple[int, ...], truth: tuple[int, ...]) -> None:
    if predicted != truth:
        sizes = [f"{size[1]}x{size[0]}" for size in (predicted, truth)]
        raise EvaluationError(
            f"{where}: the prediction is {sizes[0]}, the truth {sizes[1]}",
            "write the prediction at the size of the truth (nearest neighbour)",
        )
