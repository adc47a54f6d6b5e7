"""Tracks that are no one's in particular: every proposal held against every object, then the best assignment.

DAVIS 2017 unsupervised (Caelles et al., arXiv 1905.00737): an object's score is that of the proposal it gets in the
one-to-one assignment of highest total J&F; proposals left over cost nothing, objects left over get an empty mask. One
frame is in memory at a time.
"""

from collections.abc import Sequence

import numpy as np

from engine.evaluation.assignment import best_assignment
from engine.evaluation.bits import BYTE, Words, boundary_maps, count_bits, grow_by_disc, occupied, pack_rows, to_words
from engine.evaluation.metrics import PixelCounts, Scores, boundary_tolerance
from engine.evaluation.plan import TrackPlan, Unit
from engine.evaluation.reading import PairReader
from engine.evaluation.report import TrackScore
from engine.evaluation.traits import shared_pixels, traits_of
from engine.types import BoolArray, UInt8Array

Proposals = Sequence[tuple[int, str]]


def score_assigned(unit: Unit, reader: PairReader, proposals: Proposals) -> list[TrackScore]:
    """The scores of the unit's objects, each with the proposal it was assigned.

    Proposals are filled up with empty masks to as many as there are objects.
    """
    table = _Table(unit.tracks, max(len(proposals), len(unit.tracks)))
    for true_frame, frame in unit.frames:
        predicted, truth = _read(unit, reader, proposals, true_frame, frame)
        table.add(true_frame, frame, count_all_pairs(predicted, truth, reader.shape[1]), truth)
    return table.scores(proposals, reader.clip is not None)


def _read(
    unit: Unit, reader: PairReader, proposals: Proposals, true_frame: int, frame: int | None
) -> tuple[UInt8Array, UInt8Array]:
    """The packed masks of a frame: all proposals, filled up with empty ones, and all objects, void taken out."""
    void = reader.void(true_frame)
    empty = np.zeros(reader.shape, bool)

    def packed(mask: BoolArray | None) -> UInt8Array:
        return pack_rows(empty if mask is None else mask if void is None else mask & ~void)

    P = [packed(None if frame is None else reader.proposal(track, frame, true_frame)) for track, _ in proposals]
    P += [packed(None)] * (len(unit.tracks) - len(proposals))
    return np.stack(P), np.stack([packed(reader.truth(plan, true_frame)) for plan in unit.tracks])


def count_all_pairs(predicted: UInt8Array, truth: UInt8Array, width: int) -> PixelCounts:
    """As `metrics.count_packed`, of each of N predicted with each of K true masks of one frame: int64 (N, K) each."""
    count, height, objects = len(predicted), truth.shape[1], len(truth)
    window = occupied([predicted, truth])
    if window is None:
        return PixelCounts(*np.zeros((7, count, objects), np.int64))
    rows, columns = window
    both = to_words(np.concatenate([predicted[:, rows, columns], truth[:, rows, columns]]))
    last_column = width - 1 - columns.start * BYTE if columns.stop * BYTE >= width else None
    edges = boundary_maps(both, last_column)
    near = grow_by_disc(edges, boundary_tolerance(height, width))
    area, total = count_bits(both), count_bits(edges)
    shared = _common(both[..., :count], both[..., count:])
    shape = (count, objects)
    return PixelCounts(
        shared,
        area[:count, None] + area[None, count:] - shared,
        np.broadcast_to(total[:count, None], shape),
        np.broadcast_to(total[None, count:], shape),
        _common(edges[..., :count], near[..., count:]),
        _common(near[..., :count], edges[..., count:]),
        np.broadcast_to(area[None, count:], shape),
    )


def _common(first: Words, second: Words) -> np.ndarray:
    """Pixels that each image of one stack shares with each of another, int64 (N, K)."""
    second = np.ascontiguousarray(second)
    return np.stack([count_bits(first[..., at : at + 1] & second) for at in range(first.shape[-1])])


class _Table:
    """J and F of every proposal with every object, frame by frame."""

    def __init__(self, tracks: Sequence[TrackPlan], proposals: int) -> None:
        self.tracks, self.proposals = tracks, proposals
        self.frames: list[int] = []
        self.missing: list[int] = []
        self.J: list[Scores] = []
        self.F: list[Scores] = []
        self.areas: list[np.ndarray] = []
        self.overlaps: list[np.ndarray] = []
        self.before: UInt8Array | None = None

    def add(self, true_frame: int, frame: int | None, counts: PixelCounts, truth: UInt8Array) -> None:
        """One frame and its packed true masks; without a prediction every pair scores 0."""
        self.frames.append(true_frame)
        self.areas.append(counts.area_truth[0])
        self.overlaps.append(shared_pixels(truth, truth if self.before is None else self.before))
        self.before = truth
        if frame is None:
            self.missing.append(true_frame)
        for scores, values in ((self.J, counts.region()), (self.F, counts.boundary())):
            scores.append(values if frame is not None else np.zeros((self.proposals, len(self.tracks))))

    def scores(self, proposals: Proposals, predicted: bool) -> list[TrackScore]:
        """One score an object, in the order of the tracks."""
        shape = (0, self.proposals, len(self.tracks))
        J, F = (np.stack(values) if values else np.zeros(shape) for values in (self.J, self.F))
        judged = [self._judged(plan) for plan in self.tracks]
        gain = np.zeros(shape[1:])
        for k, rows in enumerate(judged):
            if rows.any():
                gain[:, k] = (J[rows, :, k].mean(axis=0) + F[rows, :, k].mean(axis=0)) / 2
        of_object = {k: p for p, k in best_assignment(gain)}
        return [
            self._track(k, judged[k], J[:, of_object[k], k], F[:, of_object[k], k], of_object[k], proposals, predicted)
            for k in range(len(self.tracks))
        ]

    def _judged(self, plan: TrackPlan) -> BoolArray:
        return np.array([plan.only is None or frame in plan.only for frame in self.frames], bool)

    def _track(
        self, k: int, rows: BoolArray, J: Scores, F: Scores, at: int, proposals: Proposals, predicted: bool
    ) -> TrackScore:
        plan, frames = self.tracks[k], np.array(self.frames)[rows].tolist()
        areas, overlaps = (np.array(values)[rows, k].tolist() for values in (self.areas, self.overlaps))
        return TrackScore(
            id=plan.id,
            name=plan.name,
            frames=tuple(frames),
            J=J[rows],
            F=F[rows],
            missing=tuple(frame for frame in self.missing if frame in frames),
            predicted=predicted,
            group=plan.group,
            level=plan.level,
            traits=traits_of(areas, overlaps),
            proposal=proposals[at][1] if at < len(proposals) else None,
            place=at,
            partner=proposals[at][0] if at < len(proposals) else None,
        )
