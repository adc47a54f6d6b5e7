"""The result of an evaluation: scores by track, clip and set, and its forms as JSON document, CSV rows and table rows.

Knows numbers and names. Draws nothing. Every track weighs the same in the headline, whatever clip it is in.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from engine.evaluation.metrics import Scores
from engine.evaluation.plan import Problem
from engine.evaluation.statistics import Statistics, mean, stability, summarise
from engine.evaluation.traits import MOTIONS, OCCLUSIONS, SIZES, Traits

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

    `predicted` is False where no frame had one, `partner` is the id of the predicted track. `group` is what the
    protocol averages apart. `proposal` is the name of the predicted track where an assignment found it (None: an empty
    mask), `place` its place among the proposals.
    """

    id: int
    name: str
    frames: tuple[int, ...]
    J: Scores
    F: Scores
    missing: tuple[int, ...] = ()
    predicted: bool = True
    group: str = ""
    level: int = 0
    traits: Traits | None = None
    proposal: str | None = None
    place: int | None = None
    partner: int | None = None

    @cached_property
    def region(self) -> Statistics:
        return summarise(self.J)

    @cached_property
    def boundary(self) -> Statistics:
        return summarise(self.F)

    @property
    def mean(self) -> Mean:
        return Mean(self.region.mean, self.boundary.mean)

    @cached_property
    def stability(self) -> float:
        """V of LVOS: how much (J + F) / 2 varies over the frames, lower is steadier."""
        return stability((self.J + self.F) / 2)

    def as_dict(self, per_frame: bool = False) -> dict[str, Any]:
        document: dict[str, Any] = {
            "id": self.id,
            "name": self.name,
            **self.mean.as_dict(),
            "J-Recall": self.region.recall,
            "F-Recall": self.boundary.recall,
            "J-Decay": self.region.decay,
            "F-Decay": self.boundary.decay,
            "V": self.stability,
            "frames": len(self.frames),
            "missing": len(self.missing),
            "level": self.level,
        }
        if self.group:
            document["group"] = self.group
        if self.place is not None:
            document["proposal"] = self.proposal
        if self.traits is not None:
            document |= {"size": self.traits.size, "motion": self.traits.motion, "occlusion": self.traits.occlusion}
        if per_frame:
            document["per_frame"] = {"frame": list(self.frames), "J": self.J.tolist(), "F": self.F.tolist()}
        return document


@dataclass(frozen=True)
class ClipScore:
    """One clip: its judged tracks, at least one."""

    name: str
    tracks: tuple[TrackScore, ...]

    @property
    def mean(self) -> Mean:
        return mean_of(self.tracks)

    def as_dict(self, per_frame: bool = False) -> dict[str, Any]:
        tracks = [track.as_dict(per_frame) for track in self.tracks]
        return {"name": self.name, "mean": self.mean.as_dict(), "tracks": tracks}


@dataclass(frozen=True)
class Report:
    """A whole evaluation. `problems` keep the score from covering the whole truth, `notes` are worth knowing.

    `headline` is the protocol's own mean where it is not that over all tracks; `metrics` are its further figures, by
    the names that its reference tool gives them.
    """

    protocol: str
    clips: tuple[ClipScore, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    headline: Mean | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    @property
    def tracks(self) -> list[TrackScore]:
        return [track for clip in self.clips for track in clip.tracks]

    @property
    def mean(self) -> Mean:
        """The headline: the protocol's own, else the mean over all tracks of all clips."""
        return self.headline or mean_of(self.tracks)

    @property
    def complete(self) -> bool:
        """Whether every judged frame had a prediction."""
        return not any(problem.missing for problem in self.problems)

    def as_dict(self, per_frame: bool = False) -> dict[str, Any]:
        """The JSON document, schema 1. Scores in 0..1; `frames` counts judged frames; later versions only add keys.

        per_frame: each track with the J and F of every judged frame.
        """
        return {
            "schema": SCHEMA,
            "protocol": self.protocol,
            "mean": self.mean.as_dict(),
            "clips": [clip.as_dict(per_frame) for clip in self.clips],
            "problems": [problem.text for problem in self.problems],
            "notes": list(self.notes),
            "metrics": self.metrics,
            "breakdown": {by: [row.as_dict() for row in rows] for by, rows in breakdown(self.tracks).items()},
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
        return [*rows, ("all", f"{total} tracks" if per_track else total, *_cells(self.tracks, self.mean))]

    def worst(self, count: int) -> list[tuple[str, TrackScore]]:
        """The `count` tracks of lowest J&F with the names of their clips, the worst first."""
        tracks = [(clip.name, track) for clip in self.clips for track in clip.tracks]
        return sorted(tracks, key=lambda item: item[1].mean.j_and_f)[:count]


@dataclass(frozen=True)
class Group:
    """Tracks that have something in common, and their mean."""

    name: str
    tracks: int
    mean: Mean

    def as_dict(self) -> dict[str, Any]:
        return {"group": self.name, "tracks": self.tracks, **self.mean.as_dict()}


def breakdown(tracks: Sequence[TrackScore]) -> dict[str, list[Group]]:
    """Means by mask size, level in the tree of tracks, motion and occlusion of the true tracks; see `traits`.

    Groups without a track are left out.
    """
    known = [(track, track.traits) for track in tracks if track.traits is not None]
    by: dict[str, dict[str, list[TrackScore]]] = {
        "size": {name: [t for t, traits in known if traits.size == name] for name in SIZES},
        "level": {str(level): [t for t in tracks if t.level == level] for level in sorted({t.level for t in tracks})},
        "motion": {name: [t for t, traits in known if traits.motion == name] for name in MOTIONS},
        "occlusion": {name: [t for t, traits in known if traits.occlusion == name] for name in OCCLUSIONS},
    }
    return {
        what: [Group(name, len(members), mean_of(members)) for name, members in groups.items() if members]
        for what, groups in by.items()
    }


def mean_of(tracks: Sequence[TrackScore]) -> Mean:
    """Mean over tracks of their means over frames."""
    return Mean(mean([track.region.mean for track in tracks]), mean([track.boundary.mean for track in tracks]))


def _cells(tracks: Sequence[TrackScore], scores: Mean | None = None) -> tuple[int | float, ...]:
    scores = scores or mean_of(tracks)
    return (
        sum(len(track.frames) for track in tracks),
        *(round(100 * x, 1) for x in (scores.j_and_f, scores.J, scores.F)),
    )
