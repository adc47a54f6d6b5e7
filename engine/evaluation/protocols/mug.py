"""MUG-VOS: every track is judged on its own, overlapping or not.

The paper does not say which frames count. The first is the given mask and would only add a constant, so the first and
last annotated frame of a track are left out, as in DAVIS.
"""

from engine.evaluation.pairing import has_label_images, pair
from engine.evaluation.plan import FILE_PER_MASK, INDEX_MAPS, ClipPlan, TrackPlan, Unit
from engine.evaluation.settings import ClipTask
from engine.evaluation.words import missing_tracks, some

JUDGED = "every track on its own, without its first and last annotated frame"

TRACKS_OF_ONE_IMAGE = 8
"""Tracks judged side by side where they come out of the same label images, so that these are decoded once."""


def plan_clip(task: ClipTask, trim: bool = True) -> ClipPlan:
    """All tracks of the clip, each over its own frames.

    A frame of a track is one in which it has a mask, empty or not; in label images every frame is.
    """
    clip, name = task.clip, task.name
    pairing = pair(task, clip.tracks)
    plans = tuple(TrackPlan(t.id, t.name, pairing.tracks.get(t.id), level=t.level) for t in clip.tracks)
    frames = pairing.numbers(clip.frames)
    size = TRACKS_OF_ONE_IMAGE if has_label_images(task.truth, task.predicted) else 1
    units = tuple(
        Unit(
            clip=name,
            predicted_clip=task.predicted_name,
            frames=frames,
            tracks=plans[start : start + size],
            trim=trim,
            truth_fills=task.truth.format in INDEX_MAPS,
            files=task.predicted.format in FILE_PER_MASK,
            void=True,
            resize=task.settings.resize,
        )
        for start in range(0, len(plans), size)
    )
    unmatched = [t.name for t in pairing.unmatched(clip.tracks)] if pairing.predicted else []
    extra = [t.name for t in pairing.unused()]
    ignored = (f"{name}: {some(extra, 'predicted track')} without truth ignored",) if extra else ()
    return ClipPlan(units, missing_tracks(name, unmatched), pairing.notes() + ignored)
