"""DAVIS 2017, semi-supervised: objects of the first frame, all frames but the first and last of the sequence.

Follows the public tool davis2017-evaluation: the objects are the ids 1..K, K the largest id in the first true frame.
Ids that first appear later are not judged, ids below K that do not exist count as empty masks, and void pixels (255)
are background. First and last predicted frames are never opened. Where that tool stops at a predicted id above K, the
id is listed as a problem and ignored: it cannot change the score of another.
"""

from engine.evaluation.pairing import Pairing, pair
from engine.evaluation.plan import FILE_PER_MASK, INDEX_MAPS, ClipPlan, Problem, TrackPlan, Unit
from engine.evaluation.settings import ClipTask
from engine.evaluation.words import missing_tracks, some, too_short
from engine.store.source import ClipMasks
from engine.types import Track

JUDGED = "the objects of the first frame, without the first and last frame of each clip"


def plan_clip(task: ClipTask) -> ClipPlan:
    """The objects of the first frame over all frames but the first and last."""
    clip, name = task.clip, task.name
    objects, judged = first_objects(clip), clip.frames[1:-1]
    if not objects:
        return ClipPlan(problems=(no_object(name),))
    if not judged:
        return ClipPlan(problems=(too_short(name, [t.name for t in objects]),))
    pairing = pair(task, objects)
    unit = Unit(
        clip=name,
        predicted_clip=task.predicted_name,
        frames=pairing.numbers(judged),
        tracks=tuple(
            TrackPlan(t.id, t.name, pairing.tracks.get(t.id), absent_is_empty=True, level=t.level) for t in objects
        ),
        truth_fills=True,
        files=task.predicted.format in FILE_PER_MASK,
        resize=task.settings.resize,
    )
    problems = _absent(name, pairing, objects) + _extra(name, pairing, unit) + _void(task, pairing)
    return ClipPlan((unit,), problems, pairing.notes())


def first_objects(clip: ClipMasks) -> list[Track]:
    """The ids 1..K and any other that the first frame shows; an id that does not exist is named by its number."""
    known = {t.id: t for t in clip.tracks}
    shown = {i for i in known if clip.frames and shows(clip, clip.frames[0], i)}
    ids = shown | set(range(1, max(shown, default=0) + 1))
    return [known.get(i) or Track(id=i, name=str(i)) for i in sorted(ids)]


def shows(clip: ClipMasks, frame: int, track: int) -> bool:
    """Whether the track has a pixel in the frame."""
    mask = clip.mask(frame, track)
    return mask is not None and bool(mask.any())


def no_object(name: str) -> Problem:
    """A clip with nothing to follow."""
    return Problem(f"{name}: no object in the first true frame", "left out", missing=False)


def _absent(name: str, pairing: Pairing, objects: list[Track]) -> tuple[Problem, ...]:
    """Existing objects that are predicted in no frame at all."""
    if pairing.predicted is None:
        return ()
    existing = {t.id for t in pairing.truth.tracks}
    absent = [t.name for t in pairing.unmatched(objects) if t.id in existing]
    return missing_tracks(name, absent, "taken for empty masks")


def _extra(name: str, pairing: Pairing, unit: Unit) -> tuple[Problem, ...]:
    """Objects in judged predicted frames that the first true frame does not have."""
    clip = pairing.predicted
    if clip is None:
        return ()
    frames = [frame for _, frame in unit.frames if frame is not None]
    extra = [t.name for t in pairing.unused() if any(shows(clip, frame, t.id) for frame in frames)]
    if not extra:
        return ()
    return (Problem(f"{name}: {some(extra, 'predicted object')} not in the first true frame", "ignored"),)


def _void(task: ClipTask, pairing: Pairing) -> tuple[Problem, ...]:
    """Void belongs to the truth: 255 in a predicted label image is a mistake."""
    clip = pairing.predicted
    if clip is None or task.predicted.format not in INDEX_MAPS:
        return ()
    frames = [frame for frame in clip.frames[1:-1] if clip.void(frame) is not None]
    fault = f"{task.name}: {some(frames, 'predicted frame')} with pixels of value 255"
    return (Problem(fault, "taken for background; only a truth has void"),) if frames else ()
