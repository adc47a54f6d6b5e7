"""From videos to clips: which frames of which video make which clip, and which of them are this run's.

Knows names and numbers of frames. Reads a video only where its length or its cuts are needed.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from engine.errors import MugvosError, UsageError
from engine.generation.scenes import cuts
from engine.video import VideoReader, open_video


@dataclass(frozen=True)
class ClipTask:
    """Frames start..stop-1 of a video, by index; stop None: to its end. name: of the clip in the store."""

    name: str
    source: str
    start: int = 0
    stop: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Split:
    """How videos are taken apart. clip_length: frames a clip, what is left over is dropped; scenes: at their cuts."""

    clip_length: int | None = None
    scenes: bool = False


def named(sources: Sequence[str]) -> list[tuple[str, str]]:
    """(name, source) of each video: its file or folder name, with its folder before it where names repeat."""
    names = [_name(source, 1) for source in sources]
    repeated = {name for name, count in Counter(names).items() if count > 1}
    names = [_name(s, 2) if name in repeated else name for name, s in zip(names, sources, strict=True)]
    used: Counter[str] = Counter()
    taken = set(names)
    return [(_unique(name, used, taken), source) for name, source in zip(names, sources, strict=True)]


def _unique(name: str, used: Counter[str], taken: set[str]) -> str:
    """The name where it comes for the first time, later with the next number that makes no other video's name."""
    used[name] += 1
    if used[name] == 1:
        return name
    while (numbered := f"{name}-{used[name]}") in taken:
        used[name] += 1
    taken.add(numbered)
    return numbered


def parse_shard(text: str) -> tuple[int, int]:
    """ "3/16" is (3, 16): the third of sixteen parts. Raises UsageError for anything else."""
    first, _, second = text.partition("/")
    if _is_number(first) and _is_number(second) and 1 <= int(first) <= int(second):
        return int(first), int(second)
    raise UsageError(f"--shard {text}: no part of a whole", "write i/n with i from 1 to n, such as 1/16")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def shard(videos: Sequence[tuple[str, str]], part: tuple[int, int]) -> list[tuple[str, str]]:
    """Every n-th video, beginning with the i-th."""
    index, count = part
    return list(videos[index - 1 :: count])


def tasks_of(name: str, source: str, split: Split) -> list[ClipTask]:
    """The clips of one video. Raises VideoError where it has to be read and cannot be."""
    if split.clip_length is None and not split.scenes:
        return [ClipTask(name, source)]
    with open_video(source) as video:
        scenes = _scenes(name, video) if split.scenes else [(name, 0, video.count())]
    if split.clip_length is None:
        return [ClipTask(scene, source, start, stop) for scene, start, stop in scenes]
    length = split.clip_length
    return [
        ClipTask(f"{scene}_bin{number}", source, start + number * length, start + (number + 1) * length)
        for scene, start, stop in scenes
        for number in range((stop - start) // length)
    ]


def plan(
    videos: Sequence[tuple[str, str]],
    split: Split,
    on_failure: Callable[[str, MugvosError], None],
    on_video: Callable[[int], None] | None = None,
) -> list[ClipTask]:
    """The clips of all videos; those that cannot be read are told to `on_failure` by name.

    Raises UsageError where clips of two videos would have one name: a scene of `a` and a video `a_scene0`.
    """
    tasks: list[ClipTask] = []
    for done, (name, source) in enumerate(videos, 1):
        try:
            tasks += tasks_of(name, source, split)
        except MugvosError as error:
            on_failure(name, error)
        if on_video is not None:
            on_video(done)
    _refuse_twins(tasks)
    return tasks


def _refuse_twins(tasks: Sequence[ClipTask]) -> None:
    sources: dict[str, str] = {}
    for task in tasks:
        if task.name in sources:
            raise UsageError(
                f"{sources[task.name]} and {task.source} both have a clip named {task.name}", "rename one of them"
            )
        sources[task.name] = task.source


def _scenes(name: str, video: VideoReader) -> list[tuple[str, int, int]]:
    bounds = [0, *cuts(iter(video)), video.count()]
    if len(bounds) == 2:
        return [(name, 0, bounds[1])]
    return [(f"{name}_scene{i}", bounds[i], bounds[i + 1]) for i in range(len(bounds) - 1)]


def _name(source: str, parts: int) -> str:
    """The last parts of the path, the file without its suffix."""
    if source == "-":
        return "stdin"
    path = Path(source).absolute()
    plain = [part for part in path.parts[1:] if not any(sign in part for sign in "*?[")]
    if path.is_file() and plain:
        plain[-1] = Path(plain[-1]).stem
    return "/".join(plain[-parts:]) or "video"
