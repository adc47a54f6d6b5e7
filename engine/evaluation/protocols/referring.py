"""Referring segmentation in video: one mask for a sentence, in every frame.

Ref-YouTube-VOS: each sentence is a predicted track; the truth has tracks of the same names, or objects that the
expressions of the meta file name. Ref-DAVIS: label images of all sentences of one annotator, judged as unsupervised
DAVIS (Khoreva et al., ACCV 2018, as the field scores it); several annotators are averaged.
"""

from engine.evaluation.meta import Expression
from engine.evaluation.pairing import Pairing, pair
from engine.evaluation.plan import FILE_PER_MASK, INDEX_MAPS, ClipPlan, TrackPlan, Unit
from engine.evaluation.protocols import davis_unsupervised, mug
from engine.evaluation.settings import ClipTask
from engine.evaluation.words import missing_tracks
from engine.types import Track

JUDGED = "each sentence in all frames; label images as unsupervised DAVIS"


def plan_clip(task: ClipTask) -> ClipPlan:
    """Sentences of the meta file where it has some; else tracks by name, or the best assignment of label images."""
    sentences = task.settings.meta.expressions.get(task.name)
    if sentences:
        return _plan_sentences(task, sentences)
    if task.truth.format in INDEX_MAPS and task.predicted.format in INDEX_MAPS:
        return davis_unsupervised.plan_clip(task)
    return mug.plan_clip(task, trim=False)


def _plan_sentences(task: ClipTask, sentences: tuple[Expression, ...]) -> ClipPlan:
    """Each sentence against the object it means, or against the true track of its own name."""
    clip = task.clip
    by_name = {track.name: track.id for track in clip.tracks}
    means = {s.name: s.object if s.object is not None else by_name.get(s.name) for s in sentences}
    pairing = pair(task, clip.tracks, matched=False)
    found = _predicted(pairing)
    plans = tuple(
        TrackPlan(meant, s.name, found.get(s.name), only=None if s.frames is None else frozenset(s.frames))
        for s in sentences
        if (meant := means[s.name]) is not None
    )
    unit = Unit(
        clip=task.name,
        predicted_clip=task.predicted_name,
        frames=pairing.numbers(clip.frames),
        tracks=plans,
        truth_fills=task.truth.format in INDEX_MAPS,
        files=task.predicted.format in FILE_PER_MASK,
        resize=task.settings.resize,
    )
    absent = [plan.name for plan in plans if plan.predicted is None] if pairing.predicted else []
    unknown = [name for name, meant in means.items() if meant is None]
    notes = (f"{task.name}: {len(unknown)} sentences mean no known object, not judged",) if unknown else ()
    return ClipPlan((unit,), missing_tracks(task.name, absent), pairing.notes() + notes)


def _predicted(pairing: Pairing) -> dict[str, int]:
    tracks: list[Track] = list(pairing.predicted.tracks) if pairing.predicted else []
    return {track.name: track.id for track in tracks}
