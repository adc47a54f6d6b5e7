"""Units of work shared out over processes. Each process opens the sources for itself.

Knows units and how to open sources. Fresh interpreters are started, not copies of this one: open HDF5 files and the
threads of a progress bar do not survive being copied.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from engine.errors import MugvosError
from engine.evaluation.plan import Unit
from engine.evaluation.report import TrackScore
from engine.evaluation.scoring import score_unit
from engine.evaluation.sources import LastClip, Masks

Opener = Callable[[], Masks]
"""Opens a source anew; travels to other processes, so a function of a module or a `partial` of one."""

PIXELS_WORTH_A_PROCESS = 4e8
"""Below this many judged pixels starting an interpreter takes longer than it saves."""


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


def processes_worth(pixels: float, jobs: int) -> int:
    """How many of `jobs` processes pay for `pixels` judged pixels."""
    return max(1, min(jobs, int(pixels / PIXELS_WORTH_A_PROCESS)))


def score_in_processes(
    units: Sequence[Unit], predicted: Opener, truth: Opener, jobs: int, keep_going: bool = False
) -> Iterator[Scored]:
    """The scores of all units, in order. The first error stops the rest and is raised here."""
    executor = ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (predicted, truth, keep_going))
    try:
        yield from executor.map(_score, units, chunksize=max(1, len(units) // (jobs * 8)))
    finally:
        executor.shutdown(cancel_futures=True)


_scorer: list[Scorer] = []


def _begin(predicted: Opener, truth: Opener, keep_going: bool) -> None:
    """In each process: an interrupt is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _scorer[:] = [Scorer(LastClip(predicted()), LastClip(truth()), keep_going)]


def _score(unit: Unit) -> Scored:
    return _scorer[0](unit)
