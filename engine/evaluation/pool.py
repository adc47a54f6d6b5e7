"""Units of work, or whole clips, shared out over processes. Each process opens the sources for itself.

Knows units, protocols and how to open sources. Fresh interpreters are started, not copies of this one: open HDF5 files
and the threads of a progress bar do not survive being copied.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from typing import Any

from engine.errors import MugvosError
from engine.evaluation.plan import ClipPlan, Unit
from engine.evaluation.protocols import find_protocol
from engine.evaluation.report import TrackScore
from engine.evaluation.scoring import score_unit
from engine.evaluation.settings import ClipTask, Settings
from engine.evaluation.sources import LastClip, Masks

Opener = Callable[[], Masks]
"""Opens a source anew; travels to other processes, so a function of a module or a `partial` of one."""

PIXELS_WORTH_A_PROCESS = 8e8
"""Below this many judged pixels starting an interpreter takes longer than it saves."""

CLIPS_WORTH_SHARING = 2
"""Clips for each process from which on whole clips are shared out, which plans them in the processes too."""


@dataclass(frozen=True)
class Scored:
    """What became of a unit: its clip, its tracks, what the readers found odd, and the fault that ended it, if any."""

    clip: str
    tracks: list[TrackScore]
    notes: list[str]
    fault: str | None = None


class Scorer:
    """Scores units one after another. keep_going: a mask that cannot be read ends its unit, not the evaluation."""

    def __init__(self, predicted: LastClip, truth: LastClip, keep_going: bool = False) -> None:
        self._predicted, self._truth, self._keep_going = predicted, truth, keep_going

    def __call__(self, unit: Unit) -> Scored:
        try:
            predicted = self._predicted.clip(unit.predicted_clip) if unit.predicted_clip is not None else None
            tracks = score_unit(unit, predicted, self._truth.clip(unit.clip))
        except MugvosError as error:
            if not self._keep_going:
                raise
            return Scored(unit.clip, [], [], error.what)
        return Scored(unit.clip, tracks, self._predicted.taken_notes() + self._truth.taken_notes())


@dataclass(frozen=True)
class ScoredClip:
    """A clip that was planned and scored elsewhere: what there is to say about its plan, its units, or its fault."""

    name: str
    plan: ClipPlan
    units: list[Scored]
    fault: str | None = None


class ClipScorer:
    """Plans and scores whole clips."""

    def __init__(self, predicted: LastClip, truth: LastClip, protocol: str, settings: Settings) -> None:
        self._predicted, self._truth, self._settings = predicted, truth, settings
        self._rules = find_protocol(protocol)
        self._score = Scorer(predicted, truth, settings.keep_going)

    def __call__(self, pair: tuple[str, str | None]) -> ScoredClip:
        """pair: the names of the true and of the predicted clip."""
        name, predicted = pair
        try:
            plan = self._rules.plan_clip(ClipTask(name, self._truth, predicted, self._predicted, self._settings))
        except MugvosError as error:
            if not self._settings.keep_going:
                raise
            return ScoredClip(name, ClipPlan(), [], error.what)
        return ScoredClip(name, replace(plan, units=()), [self._score(unit) for unit in plan.units])


def processes_worth(pixels: float, jobs: int) -> int:
    """How many of `jobs` processes pay for `pixels` judged pixels."""
    return max(1, min(jobs, int(pixels / PIXELS_WORTH_A_PROCESS)))


def score_units_in_processes(
    units: Sequence[Unit], openers: tuple[Opener, Opener], jobs: int, keep_going: bool
) -> Iterator[Scored]:
    """The scores of all units, in order. The first error stops the rest and is raised here."""
    chunk = max(1, len(units) // (jobs * 8))
    yield from _mapped(units, partial(_unit_scorer, openers, keep_going), jobs, chunk)


def score_clips_in_processes(
    pairs: Sequence[tuple[str, str | None]],
    openers: tuple[Opener, Opener],
    jobs: int,
    protocol: str,
    settings: Settings,
) -> Iterator[ScoredClip]:
    """All clips, in order; pairs of true and predicted names. The first error stops the rest and is raised here."""
    yield from _mapped(pairs, partial(_clip_scorer, openers, protocol, settings), jobs, 1)


def _mapped(items: Sequence[Any], make: Callable[[], Callable[[Any], Any]], jobs: int, chunk: int) -> Iterator[Any]:
    executor = ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (make,))
    try:
        yield from executor.map(_work, items, chunksize=chunk)
    finally:
        executor.shutdown(cancel_futures=True)


def _unit_scorer(openers: tuple[Opener, Opener], keep_going: bool) -> Scorer:
    return Scorer(LastClip(openers[0]()), LastClip(openers[1]()), keep_going)


def _clip_scorer(openers: tuple[Opener, Opener], protocol: str, settings: Settings) -> ClipScorer:
    return ClipScorer(LastClip(openers[0]()), LastClip(openers[1]()), protocol, settings)


_worker: list[Callable[[Any], Any]] = []


def _begin(make: Callable[[], Callable[[Any], Any]]) -> None:
    """In each process: an interrupt is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _worker[:] = [make()]


def _work(item: Any) -> Any:
    return _worker[0](item)
