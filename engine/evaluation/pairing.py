"""One true clip held against its prediction: which tracks and frames belong together, which have no counterpart.

Knows two sources. Protocols choose the tracks and frames; what they share is here.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from engine.evaluation.matching import Side, match_frames, match_tracks
from engine.evaluation.overlap import match_by_overlap
from engine.evaluation.plan import INDEX_MAPS
from engine.evaluation.settings import ClipTask
from engine.evaluation.sources import Masks
from engine.evaluation.traps import refuse_grey_of_palette
from engine.store.source import ClipMasks
from engine.types import Track


@dataclass(frozen=True)
class Pairing:
    """`predicted` is None where the clip was not predicted; `tracks` and `frames` lead from true to predicted."""

    truth: ClipMasks
    predicted: ClipMasks | None
    tracks: dict[int, int]
    frames: dict[int, int]

    def unmatched(self, tracks: Sequence[Track]) -> list[Track]:
        """True tracks without a predicted one."""
        return [track for track in tracks if track.id not in self.tracks]

    def unused(self) -> list[Track]:
        """Predicted tracks that belong to no true one."""
        used = set(self.tracks.values())
        return [track for track in self.predicted.tracks if track.id not in used] if self.predicted else []

    def notes(self) -> tuple[str, ...]:
        """What to say about frames that were not paired by their number."""
        if all(true == predicted for true, predicted in self.frames.items()):
            return ()
        return (f"{self.truth.name}: truth and prediction number their frames differently, paired in order",)

    def numbers(self, frames: Sequence[int]) -> tuple[tuple[int, int | None], ...]:
        """True frame numbers with the predicted ones, None where there is none."""
        return tuple((frame, self.frames.get(frame)) for frame in frames)


def pair(task: ClipTask, tracks: Sequence[Track], matched: bool = True) -> Pairing:
    """Hold `tracks` of a true clip against its prediction. `matched`: whether tracks are paired too."""
    clip = task.clip
    if task.predicted_name is None:
        return Pairing(clip, None, {}, {})
    predicted = task.predicted.clip(task.predicted_name)
    frames = match_frames(clip.frames, predicted.frames)
    return Pairing(clip, predicted, _pairs(task, tracks, predicted, frames) if matched else {}, frames)


def has_label_images(*sources: Masks) -> bool:
    """Whether any of the sources holds one label image a frame."""
    return any(source.format in INDEX_MAPS for source in sources)


def _pairs(task: ClipTask, tracks: Sequence[Track], predicted: ClipMasks, frames: dict[int, int]) -> dict[int, int]:
    if task.settings.match == "overlap" or (task.settings.match == "auto" and task.is_anonymous):
        return match_by_overlap(task.clip, tracks, predicted, frames)
    labels: Side | None = None
    if has_label_images(task.truth, task.predicted):
        labels = "predicted" if has_label_images(task.predicted) else "truth"
    if has_label_images(task.truth) and has_label_images(task.predicted):
        refuse_grey_of_palette(task.name, tracks, predicted.tracks)
    return match_tracks(tracks, predicted.tracks, labels, task.settings.match)
