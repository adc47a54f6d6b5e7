"""As the public tool vos-benchmark counts: every id of the truth, from its first appearance on either side.

The first and last frame are left out, 255 is an object like any other, and predicted ids that the truth never has cost
nothing.
"""

from engine.evaluation.pairing import pair
from engine.evaluation.plan import FILE_PER_MASK, ClipPlan, TrackPlan, Unit
from engine.evaluation.settings import ClipTask
from engine.evaluation.words import too_short

JUDGED = "every true object from its first appearance on, without the first and last frame of each clip; 255 counts"
VOID = 255


def plan_clip(task: ClipTask) -> ClipPlan:
    """All objects over all frames but the first and last; those never seen there drop out of the report."""
    clip = task.clip
    judged = clip.frames[1:-1]
    pairing = pair(task, clip.tracks)
    plans = [TrackPlan(t.id, t.name, pairing.tracks.get(t.id), True, level=t.level) for t in clip.tracks]
    if any(clip.void(frame) is not None for frame in judged):
        plans.append(TrackPlan(VOID, str(VOID), None, pixels="void"))
    if not judged or not plans:
        return ClipPlan(problems=(too_short(task.name, [plan.name for plan in plans]),))
    unit = Unit(
        clip=task.name,
        predicted_clip=task.predicted_name,
        frames=pairing.numbers(judged),
        tracks=tuple(plans),
        truth_fills=True,
        files=task.predicted.format in FILE_PER_MASK,
        resize=task.settings.resize,
        from_first=True,
    )
    return ClipPlan((unit,), notes=pairing.notes())
