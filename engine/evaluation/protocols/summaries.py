"""From scored clips to a protocol's headline and its further figures, named as its reference tool names them.

Knows scores and groups. Draws nothing.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from engine.evaluation.report import ClipScore, Mean, TrackScore, mean_of
from engine.evaluation.statistics import mean

SEEN, UNSEEN = "seen", "unseen"


@dataclass(frozen=True)
class Summary:
    """`headline` is None where it is the mean over all tracks."""

    headline: Mean | None = None
    metrics: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


Summarise = Callable[[Sequence[ClipScore]], Summary]


def of_objects(clips: Sequence[ClipScore]) -> Summary:
    """The columns of the DAVIS tools: mean, recall and decay, each the mean over all tracks."""
    tracks = tracks_of(clips)
    scores, metrics = mean_of(tracks), {}
    metrics["J&F-Mean"] = scores.j_and_f
    for letter, statistics in (("J", [t.region for t in tracks]), ("F", [t.boundary for t in tracks])):
        metrics[f"{letter}-Mean"] = mean([s.mean for s in statistics])
        metrics[f"{letter}-Recall"] = mean([s.recall for s in statistics])
        metrics[f"{letter}-Decay"] = mean([s.decay for s in statistics])
    return Summary(metrics=metrics)


def of_seen_and_unseen(clips: Sequence[ClipScore], letters: str = "JFV") -> Summary:
    """Means over seen and over unseen objects, and the plain mean of the two, for J, F and (LVOS) V.

    Without one of the groups its figures are NaN, as in the tool, and the headline is the mean over all tracks.
    """
    tracks = tracks_of(clips)
    values = {
        "J": [t.region.mean for t in tracks],
        "F": [t.boundary.mean for t in tracks],
        "V": [t.stability for t in tracks],
    }
    metrics: dict[str, float] = {}
    for letter in letters:
        halves = [_mean_of_group(tracks, values[letter], group) for group in (SEEN, UNSEEN)]
        metrics[f"{letter}-Mean"] = float(np.mean(halves))
        metrics[f"{letter}-seen-Mean"], metrics[f"{letter}-unseen-Mean"] = halves
    metrics = {"J&F-Mean": (metrics["J-Mean"] + metrics["F-Mean"]) / 2, **metrics}
    if np.isnan(metrics["J&F-Mean"]):
        note = "not both seen and unseen objects (list the unseen ones with --unseen): the mean is that over all tracks"
        return Summary(metrics=metrics, notes=(note,))
    return Summary(Mean(metrics["J-Mean"], metrics["F-Mean"]), metrics)


def of_annotators(clips: Sequence[ClipScore]) -> Summary:
    """The DAVIS columns, and J&F of each annotator where clips are named `<annotator>/<clip>`: their mean counts."""
    plain = of_objects(clips)
    sets: dict[str, list[ClipScore]] = {}
    for clip in clips:
        first, slash, _ = clip.name.partition("/")
        if slash and first.startswith(ANNOTATOR):
            sets.setdefault(first, []).append(clip)
    if not sets:
        return plain
    means = {name: mean_of(tracks_of(of_set)) for name, of_set in sets.items()}
    headline = Mean(mean([m.J for m in means.values()]), mean([m.F for m in means.values()]))
    return Summary(headline, {**plain.metrics, **{f"J&F {name}": m.j_and_f for name, m in means.items()}})


ANNOTATOR = "anno_"


def tracks_of(clips: Sequence[ClipScore]) -> list[TrackScore]:
    """All tracks of all clips."""
    return [track for clip in clips for track in clip.tracks]


def _mean_of_group(tracks: Sequence[TrackScore], values: Sequence[float], group: str) -> float:
    return mean([value for track, value in zip(tracks, values, strict=True) if track.group == group])
