"""The meta file of a data set: which objects of a video are judged, in which frames, and which were seen in training.

Reads the three published forms: LVOS (`frame_range` of each object), YouTube-VOS (`category` and `frames` of each
object) and Referring YouTube-VOS (`expressions`, each of one object). Knows JSON; knows no masks.
"""

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import DAMAGE, EvaluationError
from engine.limits import CLIP_FRAMES
from engine.names import number_in

LVOS_STEP = 5


@dataclass(frozen=True)
class MetaObject:
    """One object of a video. `frames`: the frame numbers the file gives for it, in order; None where it gives none.

    `count` is the number of frames that the file claims (LVOS), None elsewhere.
    """

    id: int
    category: str = ""
    frames: tuple[int, ...] | None = None
    count: int | None = None


@dataclass(frozen=True)
class Expression:
    """One sentence of a video and the object it means, None where the file does not say (public validation sets)."""

    name: str
    text: str
    object: int | None
    frames: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Meta:
    """What meta files say, by video. `unseen` holds names of videos or categories that training never saw."""

    objects: dict[str, tuple[MetaObject, ...]] = field(default_factory=dict)
    expressions: dict[str, tuple[Expression, ...]] = field(default_factory=dict)
    unseen: frozenset[str] = frozenset()

    def group(self, video: str, category: str = "") -> str:
        """ "seen" or "unseen"; "" where no list of unseen ones was given."""
        if not self.unseen:
            return ""
        return "unseen" if {video, video.rsplit("/", 1)[-1], category} & self.unseen else "seen"


def read_meta(path: Path | None = None, unseen: Path | None = None) -> Meta:
    """A meta file and a list of unseen videos or categories, one a line. Raises EvaluationError for other contents."""
    names = frozenset(line.strip() for line in _text(unseen).splitlines() if line.strip()) if unseen else frozenset()
    if path is None:
        return Meta(unseen=names)
    videos = _videos(path)
    objects, expressions = {}, {}
    for name, video in videos.items():
        if isinstance(video.get("objects"), dict):
            objects[name] = tuple(_object(path, name, key, value) for key, value in video["objects"].items())
        elif isinstance(video.get("expressions"), dict):
            expressions[name] = tuple(_expression(path, name, video, *item) for item in video["expressions"].items())
        else:
            raise _unknown(path, f"video {name!r} has neither objects nor expressions")
    return Meta(objects, expressions, names)


def find_beside(truth: Path, names: tuple[str, ...]) -> Path | None:
    """The one file of these patterns in the folder of the truth or one of the three above it; None if there is none."""
    for folder in [truth, *truth.resolve().parents[:3]]:
        for pattern in names:
            found = sorted(folder.glob(pattern)) if folder.is_dir() else []
            if len(found) == 1:
                return found[0]
    return None


def _videos(path: Path) -> dict[str, dict[str, Any]]:
    try:
        document = json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise EvaluationError(f"{path}: is no JSON ({error})", "name the meta file of the data set") from error
    videos = document.get("videos") if isinstance(document, dict) else None
    if not isinstance(videos, dict) or not all(isinstance(video, dict) for video in videos.values()):
        raise _unknown(path, "no videos by name in it")
    return videos


def _object(path: Path, video: str, key: str, value: Any) -> MetaObject:
    try:
        if "frame_range" in value:
            limits = value["frame_range"]
            start, end = int(limits["start"]), int(limits["end"])
            if not 0 <= start <= end <= CLIP_FRAMES:
                raise ValueError(f"frames {start} to {end}")
            frames = tuple(range(start, end, LVOS_STEP))
            return MetaObject(int(key), str(value.get("category", "")), frames, int(limits["frame_nums"]))
        names = value.get("frames")
        numbers = None if names is None else tuple(_number(name) for name in names)
        return MetaObject(int(key), str(value.get("category", "")), numbers)
    except DAMAGE as error:
        raise _unknown(path, f"object {key!r} of video {video!r} is not described as expected") from error


def _expression(path: Path, video: str, entry: dict[str, Any], key: str, value: Any) -> Expression:
    try:
        meant = value.get("obj_id")
        names = entry.get("frames")
        frames = None if names is None else tuple(_number(name) for name in names)
        return Expression(key, str(value.get("exp", "")), None if meant is None else int(meant), frames)
    except DAMAGE as error:
        raise _unknown(path, f"expression {key!r} of video {video!r} is not described as expected") from error


def _number(name: Any) -> int:
    number = number_in(str(name))
    if number is None:
        raise ValueError(f"no number in {name!r}")
    return number


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise EvaluationError(f"{path}: no such file", "check the name") from error
    except (OSError, UnicodeDecodeError) as error:
        raise EvaluationError(f"{path}: cannot be read as text", "check the name") from error


def _unknown(path: Path, why: str) -> EvaluationError:
    return EvaluationError(
        f"{path}: is no meta file of LVOS or YouTube-VOS: {why}", "see docs/evaluate.md for its form"
    )
