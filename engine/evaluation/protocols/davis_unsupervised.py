"""DAVIS 2017, unsupervised: the same objects over all frames, proposals matched to them by the best assignment.

Void pixels of the truth (255) count on neither side. At most twenty proposals: the public tool stops above.
"""

from engine.errors import EvaluationError
from engine.evaluation.pairing import pair
from engine.evaluation.plan import INDEX_MAPS, ClipPlan, TrackPlan, Unit
from engine.evaluation.protocols.davis import first_objects, no_object
from engine.evaluation.settings import ClipTask

JUDGED = "the objects of the first frame in all frames, each with the proposal that the best assignment gives it"
MOST_PROPOSALS = 20


def plan_clip(task: ClipTask) -> ClipPlan:
    """The objects of the first frame over all frames."""
    clip = task.clip
    objects = first_objects(clip)
    if not objects:
        return ClipPlan(problems=(no_object(task.name),))
    pairing = pair(task, objects, matched=False)
    unit = Unit(
        clip=task.name,
        predicted_clip=task.predicted_name,
        frames=pairing.numbers(clip.frames),
        tracks=tuple(TrackPlan(t.id, t.name, None, level=t.level) for t in objects),
        truth_fills=True,
        void=True,
        resize=task.settings.resize,
        proposals=proposals_of(task),
    )
    return ClipPlan((unit,), notes=pairing.notes())


def proposals_of(task: ClipTask) -> tuple[tuple[int, str], ...]:
    """Id and name of each predicted track. Raises EvaluationError for more than twenty.

    In label images ids below the largest count too, as empty proposals: the tools read them so.
    """
    if task.predicted_name is None:
        return ()
    found = {track.id: track.name for track in task.predicted.clip(task.predicted_name).tracks}
    if task.predicted.format in INDEX_MAPS:
        found = {id: found.get(id, str(id)) for id in range(1, max(found, default=0) + 1)}
    if len(found) > MOST_PROPOSALS:
        raise EvaluationError(
            f"{task.name}: {len(found)} proposals, this protocol takes at most {MOST_PROPOSALS}",
            "keep the best ones, or judge each track with --protocol mug --match overlap",
        )
    return tuple(found.items())
