"""Several predictions on the same truth, and whether their differences mean anything: the paired bootstrap.

Clips are drawn with replacement, all their tracks together (tracks of a clip fail together), and every prediction is
scored on the same draws (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, chapter 13: percentile
intervals). With a single clip, tracks are drawn instead. Knows reports.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.errors import EvaluationError
from engine.evaluation.report import Report, TrackScore

RESAMPLES = 10_000
CONFIDENCE = 0.95
FEW = 10
_AT_ONCE = 1000
MEASURES = ("J&F", "J", "F")

Values = NDArray[np.float64]
Key = tuple[str, int, str]


@dataclass(frozen=True)
class Estimate:
    """A value with the bounds of its interval; the bounds are NaN where nothing could be drawn."""

    value: float
    low: float
    high: float

    @property
    def sure(self) -> bool:
        """Whether the interval leaves out zero."""
        return self.low > 0 or self.high < 0

    def as_dict(self) -> dict[str, Any]:
        return {"value": self.value, "low": self.low, "high": self.high}


@dataclass(frozen=True)
class Difference:
    """`second` less `first`, by measure."""

    first: str
    second: str
    by: dict[str, Estimate]

    def as_dict(self) -> dict[str, Any]:
        return {
            "first": self.first,
            "second": self.second,
            **{measure: {**found.as_dict(), "sure": found.sure} for measure, found in self.by.items()},
        }


@dataclass(frozen=True)
class Comparison:
    """Predictions by name with their scores on the tracks that all of them were judged on, and all differences.

    `unit` is what was drawn, "clip" or "track", `drawn` how many of them there are.
    """

    scores: dict[str, dict[str, Estimate]]
    differences: tuple[Difference, ...]
    tracks: int
    unit: str
    drawn: int

    @property
    def notes(self) -> list[str]:
        """How the intervals were made, and when they are not to be trusted."""
        made = f"{CONFIDENCE:.0%} intervals: paired bootstrap over {self.drawn} {self.unit}s, {RESAMPLES} resamples"
        few = f"only {self.drawn} {self.unit}s: intervals are rough and rather too narrow"
        return [made, few] if self.drawn < FEW else [made]

    def as_dict(self) -> dict[str, Any]:
        return {
            "predictions": [
                {"name": name, **{measure: found.as_dict() for measure, found in by.items()}}
                for name, by in self.scores.items()
            ],
            "differences": [difference.as_dict() for difference in self.differences],
            "tracks": self.tracks,
            "unit": self.unit,
            "drawn": self.drawn,
            "confidence": CONFIDENCE,
            "resamples": RESAMPLES,
            "notes": self.notes,
        }


def compare(reports: dict[str, Report], seed: int = 0) -> Comparison:
    """Compare reports on one truth and protocol. Raises EvaluationError if they share less than two tracks."""
    tables = {name: _tracks(report) for name, report in reports.items()}
    keys = [key for key in next(iter(tables.values())) if all(key in table for table in tables.values())]
    if not keys:
        raise EvaluationError("the predictions have no judged track in common", "compare them on the same truth")
    draws = _Draws(keys, _groups(next(iter(reports.values())), keys), seed)
    series = {(name, m): x for name, table in tables.items() for m, x in _values([table[k] for k in keys]).items()}
    found = dict(zip(series, draws.resampled(np.stack(list(series.values()))), strict=True))
    scores = {name: {m: _estimate(draws.value(series[name, m]), found[name, m]) for m in MEASURES} for name in reports}
    differences = tuple(
        Difference(
            first,
            second,
            {
                m: _estimate(scores[second][m].value - scores[first][m].value, found[second, m] - found[first, m])
                for m in MEASURES
            },
        )
        for first, second in combinations(reports, 2)
    )
    return Comparison(scores, differences, len(keys), draws.unit, draws.count)


class _Draws:
    """What is drawn, how often, in each resample; the same for every prediction.

    groups: group of each track; the statistic is the plain mean of the means of the groups.
    """

    def __init__(self, keys: Sequence[Key], groups: Sequence[str], seed: int) -> None:
        clips = {clip: at for at, clip in enumerate(dict.fromkeys(key[0] for key in keys))}
        self.unit = "clip" if len(clips) > 1 else "track"
        self._of_track = np.array([clips[key[0]] for key in keys]) if len(clips) > 1 else np.arange(len(keys))
        self.count = int(self._of_track.max()) + 1
        if self.count == 1:
            raise EvaluationError("one track alone gives no intervals", "compare on more tracks or clips")
        self._members = [np.array([group == name for group in groups]) for name in sorted(set(groups))]
        self._seed = seed

    def value(self, x: Values) -> float:
        """The statistic of all tracks."""
        return float(np.mean([x[members].mean() for members in self._members]))

    def resampled(self, series: Values) -> Values:
        """The statistic of each resample, float64 (S, RESAMPLES) of series (S, tracks).

        NaN where a group was not drawn at all.
        """
        rng = np.random.default_rng(self._seed)
        even = np.full(self.count, 1 / self.count)
        sums = [self._sums(series, members) for members in self._members]
        parts = []
        for _ in range(RESAMPLES // _AT_ONCE):
            weights = rng.multinomial(self.count, even, _AT_ONCE)
            with np.errstate(invalid="ignore"):
                parts.append(np.mean([(weights @ of).T / (weights @ sizes) for of, sizes in sums], axis=0))
        return np.concatenate(parts, axis=1)

    def _sums(self, series: Values, members: NDArray[np.bool_]) -> tuple[Values, Values]:
        """Sum of each series over the members of each unit (units, S), and how many members each unit has (units,)."""
        of = self._of_track[members]
        sums = np.stack([np.bincount(of, x[members], self.count) for x in series], axis=1).astype(np.float64)
        return sums, np.bincount(of, minlength=self.count).astype(np.float64)


def _tracks(report: Report) -> dict[Key, TrackScore]:
    return {(clip.name, track.id, track.name): track for clip in report.clips for track in clip.tracks}


def _groups(report: Report, keys: Sequence[Key]) -> list[str]:
    """Group of each track where the headline averages over groups, else one for all."""
    tracks = _tracks(report)
    return [tracks[key].group if report.headline is not None else "" for key in keys]


def _values(tracks: Sequence[TrackScore]) -> dict[str, Values]:
    means = [track.mean for track in tracks]
    return {
        "J&F": np.array([mean.j_and_f for mean in means]),
        "J": np.array([mean.J for mean in means]),
        "F": np.array([mean.F for mean in means]),
    }


def _estimate(value: float, resampled: Values) -> Estimate:
    drawn = resampled[~np.isnan(resampled)]
    if not len(drawn):
        return Estimate(value, float("nan"), float("nan"))
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return Estimate(value, float(low), float(high))
