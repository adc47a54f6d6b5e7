"""What is done to a piece of work, a unit or a whole clip, in this process and in others beside it.

Knows units, protocols and how to open sources: each process opens them for itself.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from engine.errors import MugvosError
from engine.evaluation.plan import ClipPlan, Unit
from engine.evaluation.protocols import find_protocol
from engine.evaluation.report import TrackScore
from engine.evaluation.scoring import score_unit
from engine.evaluation.settings import ClipTask, Settings
from engine.evaluation.sources import LastClip, Masks

Opener = Callable[[], Masks]
"""Opens a source anew; travels to other processes, so a function of a module or a `partial` of one."""

PIXELS_WORTH_A_PROCESS = 5e8
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


def unit_scorer(openers: tuple[Opener, Opener], keep_going: bool) -> Scorer:
    """What scores units in another process; `openers` of predictions and truth."""
    return Scorer(LastClip(openers[0]()), LastClip(openers[1]()), keep_going)


def clip_scorer(openers: tuple[Opener, Opener], protocol: str, settings: Settings) -> ClipScorer:
    """What plans and scores clips in another process."""
    return ClipScorer(LastClip(openers[0]()), LastClip(openers[1]()), protocol, settings)
