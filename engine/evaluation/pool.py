"""Units of work shared out over processes. Each process opens the sources for itself and keeps its last clips.

Knows units and how to open sources. Fresh interpreters are started, not copies of this one: open HDF5 files and the
threads of a progress bar do not survive being copied.
"""

import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from engine.evaluation.plan import Unit
from engine.evaluation.report import TrackScore
from engine.evaluation.scoring import score_unit
from engine.store.source import ClipMasks, MaskSource

Opener = Callable[[], MaskSource]
"""Opens a source anew; travels to other processes, so a function of a module or a `partial` of one."""

PIXELS_WORTH_A_PROCESS = 4e8
"""Below this many judged pixels starting an interpreter takes longer than it saves."""


class Scorer:
    """Scores units one after another; neighbouring units of a clip share its readers."""

    def __init__(self, predicted: MaskSource, truth: MaskSource) -> None:
        self._sources = (predicted, truth)
        self._clips: dict[int, tuple[str, ClipMasks]] = {}

    def __call__(self, unit: Unit) -> list[TrackScore]:
        predicted = self._clip(0, unit.predicted_clip) if unit.predicted_clip is not None else None
        return score_unit(unit, predicted, self._clip(1, unit.clip))

    def _clip(self, side: int, name: str) -> ClipMasks:
        if side not in self._clips or self._clips[side][0] != name:
            self._clips[side] = (name, self._sources[side].clip(name))
        return self._clips[side][1]


def processes_worth(pixels: float, jobs: int) -> int:
    """How many of `jobs` processes pay for `pixels` judged pixels."""
    return max(1, min(jobs, int(pixels / PIXELS_WORTH_A_PROCESS)))


def score_in_processes(
    units: Sequence[Unit], predicted: Opener, truth: Opener, jobs: int
) -> Iterator[list[TrackScore]]:
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
    _scorer[:] = [Scorer(predicted(), truth())]


def _score(unit: Unit) -> list[TrackScore]:
    return _scorer[0](unit)
