"""The result of an evaluation: scores by track, clip and set, and its forms as JSON document, CSV rows and table rows.

Knows numbers and names. Draws nothing. Every track weighs the same in the headline, whatever clip it is in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from engine.evaluation.metrics import Scores
from engine.evaluation.plan import Problem
from engine.evaluation.statistics import Statistics, mean, summarise

SCHEMA = 1
CSV_COLUMNS = ("video", "track", "frames", "J", "F", "J&F", "J-Recall", "F-Recall", "J-Decay", "F-Decay")


@dataclass(frozen=True)
class Mean:
    """Means of J and F in [0, 1]."""

    J: float
    F: float

    @property
    def j_and_f(self) -> float:
        return (self.J + self.F) / 2

    def as_dict(self) -> dict[str, float]:
        return {"J&F": self.j_and_f, "J": self.J, "F": self.F}


@dataclass(frozen=True, eq=False)
class TrackScore:
    """One track: J and F of its judged frames (float64 in time order), and those that had no prediction.

    `predicted` is False where no frame had one.
    """

    id: int
    name: str
    frames: tuple[int, ...]
    J: Scores
    F: Scores
    missing: tuple[int, ...] = ()
    predicted: bool = True

    @cached_property
    def region(self) -> Statistics:
        return summarise(self.J)

    @cached_property
    def boundary(self) -> Statistics:
        return summarise(self.F)

    @property
    def mean(self) -> Mean:
        return Mean(self.region.mean, self.boundary.mean)

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "name": self.name,
            **self.mean.as_dict(),
            "J-Recall": self.region.recall,
            "F-Recall": self.boundary.recall,
            "J-Decay": self.region.decay,
            "F-Decay": self.boundary.decay,
            "frames": len(self.frames),
        }


@dataclass(frozen=True)
class ClipScore:
    """One clip: its judged tracks, at least one."""

    name: str
    tracks: tuple[TrackScore, ...]

    @property
    def mean(self) -> Mean:
        return mean_of(self.tracks)

    def as_dict(self) -> dict[str, Any]:
        return {"name": self.name, "mean": self.mean.as_dict(), "tracks": [track.as_dict() for track in self.tracks]}


@dataclass(frozen=True)
class Report:
    """A whole evaluation. `problems` keep the score from covering the whole truth, `notes` are worth knowing."""

    protocol: str
    clips: tuple[ClipScore, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def tracks(self) -> list[TrackScore]:
        return [track for clip in self.clips for track in clip.tracks]

    @property
    def mean(self) -> Mean:
        """The headline: mean over all tracks of all clips."""
        return mean_of(self.tracks)

    @property
    def complete(self) -> bool:
        """Whether every judged frame had a prediction."""
        return not any(problem.missing for problem in self.problems)

    def as_dict(self) -> dict[str, Any]:
        """The JSON document, schema 1. Scores in 0..1; `frames` counts judged frames; later versions only add keys."""
        return {
            "schema": SCHEMA,
            "protocol": self.protocol,
            "mean": self.mean.as_dict(),
            "clips": [clip.as_dict() for clip in self.clips],
            "problems": [problem.text for problem in self.problems],
            "notes": list(self.notes),
        }

    def csv_rows(self) -> Iterator[tuple[str | int | float, ...]]:
        """One row a track with the values of `CSV_COLUMNS`, scores in 0..1 at full precision."""
        for clip in self.clips:
            for track in clip.tracks:
                J, F = track.region, track.boundary
                scores = (J.mean, F.mean, track.mean.j_and_f, J.recall, F.recall, J.decay, F.decay)
                yield (clip.name, track.name, len(track.frames), *scores)

    def table_rows(self, per_track: bool = False) -> list[tuple[str | int | float, ...]]:
        """Rows for people, percent with one decimal: clip, (track or tracks), judged frames, J&F, J, F; last the set.

        One row a clip, or one a track.
        """
        rows: list[tuple[str | int | float, ...]] = []
        for clip in self.clips:
            if per_track:
                rows += [(clip.name, track.name, *_cells([track])) for track in clip.tracks]
            else:
                rows.append((clip.name, len(clip.tracks), *_cells(clip.tracks)))
        total = len(self.tracks)
        return [*rows, ("all", f"{total} tracks" if per_track else total, *_cells(self.tracks))]


def mean_of(tracks: Sequence[TrackScore]) -> Mean:
    """Mean over tracks of their means over frames."""
    return Mean(mean([track.region.mean for track in tracks]), mean([track.boundary.mean for track in tracks]))


def _cells(tracks: Sequence[TrackScore]) -> tuple[int | float, ...]:
    scores = mean_of(tracks)
    return (
        sum(len(track.frames) for track in tracks),
        *(round(100 * x, 1) for x in (scores.j_and_f, scores.J, scores.F)),
    )
