"""Units of work shared out over processes. Each process opens the sources for itself.

Knows units and how to open sources. Fresh interpreters are started, not copies of this one: open HDF5 files and the
threads of a progress bar do not survive being copied.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

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
    """What became of a unit: its clip, its tracks, and what the readers found odd on the way."""

    clip: str
    tracks: list[TrackScore]
    notes: list[str]


class Scorer:
    """Scores units one after another."""

    def __init__(self, predicted: LastClip, truth: LastClip) -> None:
        self._predicted, self._truth = predicted, truth

    def __call__(self, unit: Unit) -> Scored:
        predicted = self._predicted.clip(unit.predicted_clip) if unit.predicted_clip is not None else None
        tracks = score_unit(unit, predicted, self._truth.clip(unit.clip))
        return Scored(unit.clip, tracks, self._predicted.taken_notes() + self._truth.taken_notes())


def processes_worth(pixels: float, jobs: int) -> int:
    """How many of `jobs` processes pay for `pixels` judged pixels."""
    return max(1, min(jobs, int(pixels / PIXELS_WORTH_A_PROCESS)))


def score_in_processes(units: Sequence[Unit], predicted: Opener, truth: Opener, jobs: int) -> Iterator[Scored]:
    """The scores of all units, in order. The first error stops the rest and is raised here."""
    executor = ProcessPoolExecutor(jobs, get_context("spawn"), _begin, (predicted, truth))
    try:
        yield from executor.map(_score, units, chunksize=max(1, len(units) // (jobs * 8)))
    finally:
        executor.shutdown(cancel_futures=True)


_scorer: list[Scorer] = []


def _begin(predicted: Opener, truth: Opener) -> None:
    """In each process: an interrupt is the parent's to handle."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _scorer[:] = [Scorer(LastClip(predicted()), LastClip(truth()))]


def _score(unit: Unit) -> Scored:
    return _scorer[0](unit)
