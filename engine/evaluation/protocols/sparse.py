"""LVOS and YouTube-VOS: objects that come and go, sparse annotation, seen and unseen ones averaged apart.

LVOS follows the public tool lvos-evaluation (its Python path): the objects and their frame ranges of the meta file,
every fifth frame, the last frame number excluded. YouTube-VOS is scored on a server whose code is not public; judged
here are the annotated frames of each object after its first, the given one. 255 is no void in either.
"""

from collections.abc import Sequence
from typing import Literal

from engine.errors import EvaluationError
from engine.evaluation.meta import MetaObject
from engine.evaluation.pairing import pair
from engine.evaluation.plan import FILE_PER_MASK, ClipPlan, Problem, TrackPlan, Unit
from engine.evaluation.protocols.davis import shows
from engine.evaluation.protocols.davis_unsupervised import proposals_of
from engine.evaluation.settings import ClipTask
from engine.evaluation.words import missing_tracks, some
from engine.store.source import ClipMasks
from engine.types import Track

LVOS_JUDGED = "every fifth frame of each object's own range, without its first and last"
LVOS_ALL_JUDGED = "every fifth frame of each object's own range"
YOUTUBE_JUDGED = "the annotated frames of each object after its first"

Mode = Literal["given", "salient", "proposals"]


def plan_lvos(task: ClipTask, mode: Mode = "given") -> ClipPlan:
    """The objects of the meta file. Raises EvaluationError where the truth lacks one of their frames."""
    objects = task.settings.meta.objects.get(task.name)
    if objects is None:
        return ClipPlan(problems=(Problem(f"{task.name}: not in the meta file", "left out", missing=False),))
    judged = {one.id: _lvos_frames(one, mode) for one in objects}
    _check_frames(task.name, task.clip, judged)
    return _plan(task, objects, judged, mode)


def plan_youtube(task: ClipTask) -> ClipPlan:
    """The objects of the meta file, of the truth without one."""
    clip = task.clip
    objects = task.settings.meta.objects.get(task.name) or tuple(MetaObject(track.id) for track in clip.tracks)
    known = {track.id for track in clip.tracks}
    judged = {one.id: _after_first(clip, one) for one in objects if one.id in known}
    absent = [str(one.id) for one in objects if not judged.get(one.id)]
    plan = _plan(task, [one for one in objects if judged.get(one.id)], judged, "given")
    if not absent:
        return plan
    fault = f"{task.name}: {some(absent, 'object')} with no annotated frame after the first"
    return ClipPlan(plan.units, (*plan.problems, Problem(fault, "left out", missing=False)), plan.notes)


def _plan(task: ClipTask, objects: Sequence[MetaObject], judged: dict[int, Sequence[int]], mode: Mode) -> ClipPlan:
    tracks = {track.id: track for track in task.clip.tracks}
    wanted = [tracks.get(one.id) or Track(one.id, str(one.id)) for one in objects]
    pairing = pair(task, wanted, matched=mode == "given")
    plans = tuple(
        TrackPlan(
            id=one.id,
            name=track.name,
            predicted=pairing.tracks.get(one.id),
            absent_is_empty=True,
            only=frozenset(judged[one.id]),
            group=task.settings.meta.group(task.name, one.category),
            level=track.level,
            pixels="salient" if mode == "salient" else "track",
        )
        for one, track in zip(objects, wanted, strict=True)
    )
    unit = Unit(
        clip=task.name,
        predicted_clip=task.predicted_name,
        frames=pairing.numbers(sorted({frame for frames in judged.values() for frame in frames})),
        tracks=plans,
        truth_fills=True,
        files=task.predicted.format in FILE_PER_MASK,
        resize=task.settings.resize,
        proposals=proposals_of(task) if mode == "proposals" else None,
    )
    absent = [track.name for track in pairing.unmatched(wanted)] if mode == "given" and pairing.predicted else []
    return ClipPlan((unit,), missing_tracks(task.name, absent, "taken for empty masks"), pairing.notes())


def _lvos_frames(one: MetaObject, mode: Mode) -> Sequence[int]:
    """The frames of one object; the semi-supervised task leaves out index 0 and index frame_nums - 1."""
    frames = one.frames or ()
    if mode != "given":
        return frames
    last = (one.count or len(frames)) - 1
    return [frame for index, frame in enumerate(frames) if index not in (0, last)]


def _after_first(clip: ClipMasks, one: MetaObject) -> Sequence[int]:
    """Annotated frames behind the one that is given: the first of the meta file, else the first that shows it."""
    if one.frames:
        listed = set(one.frames[1:])
        return [frame for frame in clip.frames if frame in listed]
    first = next((frame for frame in clip.frames if shows(clip, frame, one.id)), None)
    return [] if first is None else [frame for frame in clip.frames if frame > first]


def _check_frames(name: str, clip: ClipMasks, judged: dict[int, Sequence[int]]) -> None:
    held = set(clip.frames)
    lacking = sorted({frame for frames in judged.values() for frame in frames} - held)
    if lacking:
        raise EvaluationError(
            f"{name}: the truth lacks {some(lacking, 'frame')} that the meta file names",
            "check that meta file and annotations belong together",
        )
