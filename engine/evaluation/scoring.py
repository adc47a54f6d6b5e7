"""Runs one unit of work: reads its masks frame by frame and scores a few frames of a track at a time.

Knows clips and plans. Memory is a few frames of the unit's tracks, whatever the length of the clip.
"""

from dataclasses import dataclass, field

import numpy as np

from engine.evaluation.assigned import score_assigned
from engine.evaluation.bits import pack_rows
from engine.evaluation.metrics import count_packed
from engine.evaluation.plan import TrackPlan, Unit
from engine.evaluation.reading import Mask, PairReader, frames_at_once, packed_bytes
from engine.evaluation.report import TrackScore
from engine.evaluation.traits import shared_pixels, traits_of
from engine.store.source import ClipMasks
from engine.types import BoolArray, UInt8Array


def score_unit(unit: Unit, clip: ClipMasks | None, true_clip: ClipMasks) -> list[TrackScore]:
    """J and F of every judged frame of the unit's tracks.

    clip: the predicted clip, None if there is none. Raises EvaluationError where sizes differ.
    """
    reader = PairReader(unit, clip, true_clip)
    if unit.proposals is not None:
        return score_assigned(unit, reader, unit.proposals)
    at_once = frames_at_once(packed_bytes(reader.shape), len(unit.tracks))
    scorers = [_TrackScorer(unit, plan, reader, at_once) for plan in unit.tracks]
    for true_frame, frame in unit.frames:
        for scorer in scorers:
            scorer.add(true_frame, frame)
    return [scorer.finish() for scorer in scorers]


@dataclass
class _TrackScorer:
    """One track on its way through the clip.

    `waiting` is a true mask that is judged once a later one is seen. `turned`: masks are packed transposed, because
    they lie in memory column by column as run lengths do; J and F are the same, and it is far faster.
    """

    unit: Unit
    plan: TrackPlan
    reader: PairReader
    at_once: int
    begun: bool = False
    turned: bool | None = None
    waiting: tuple[int, int | None, Mask, BoolArray | None] | None = None
    pairs: list[tuple[UInt8Array, UInt8Array]] = field(default_factory=list)
    before: UInt8Array | None = None
    frames: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    J: list[float] = field(default_factory=list)
    F: list[float] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)
    overlaps: list[int] = field(default_factory=list)

    def add(self, true_frame: int, frame: int | None) -> None:
        """The next frame of the clip; does nothing where the track is not annotated or not judged."""
        if self.plan.only is not None and true_frame not in self.plan.only:
            return
        G = self.reader.truth(self.plan, true_frame)
        if G is None:
            return
        void = self.reader.void(true_frame)
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
        absent = set(self.missing)
        scored = np.array([frame not in absent for frame in self.frames], bool)
        return TrackScore(
            id=self.plan.id,
            name=self.plan.name,
            frames=tuple(self.frames),
            J=np.where(scored, self.J, 0.0),
            F=np.where(scored, self.F, 0.0),
            missing=tuple(self.missing),
            predicted=self._is_predicted(),
            group=self.plan.group,
            level=self.plan.level,
            traits=traits_of(self.areas, self.overlaps),
            partner=self.plan.predicted,
        )

    def _is_predicted(self) -> bool:
        plan = self.plan
        found = plan.predicted is not None or plan.absent_is_empty or plan.pixels != "track"
        return self.reader.clip is not None and found

    def _judge(self, true_frame: int, frame: int | None, G: Mask, void: BoolArray | None) -> None:
        P = self.reader.predicted(self.plan, frame, true_frame)
        if self.unit.from_first and not self.begun:
            if not (G.any() or (P is not None and P.any())):
                return
            self.begun = True
        self.frames.append(true_frame)
        if P is None:
            self.missing.append(true_frame)
            P = np.zeros_like(G)
        if void is not None:
            P, G = P & ~void, G & ~void
        if self.turned is None:
            self.turned = self.reader.packs or (P.flags.f_contiguous and G.flags.f_contiguous)
        self.pairs.append((self._packed(P), self._packed(G)))
        if len(self.pairs) == self.at_once:
            self._flush()

    def _packed(self, mask: Mask) -> UInt8Array:
        return mask if self.reader.packs else pack_rows(mask.T if self.turned else mask)

    def _flush(self) -> None:
        if not self.pairs:
            return
        predicted, truth = (np.stack(side) for side in zip(*self.pairs, strict=True))
        counts = count_packed(predicted, truth, self.reader.shape[0 if self.turned else 1])
        self.J += counts.region().tolist()
        self.F += counts.boundary().tolist()
        self.areas += counts.area_truth.tolist()
        if counts.shared_truth is not None:
            first = truth[:1] if self.before is None else self.before
            self.overlaps += [*shared_pixels(truth[:1], first).tolist(), *counts.shared_truth[1:].tolist()]
        self.before = truth[-1:]
        self.pairs.clear()
