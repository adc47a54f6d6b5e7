"""Whether a track is the same when the video runs backwards: what drifts off on the way does not find its way back.

Each track is taken up at the last frame where it is to be seen and carried back to its first by the same method. The
mean IoU of the two on all frames between is its agreement.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import Interrupted
from engine.generation.births import Birth
from engine.generation.clip import RunningClip, Tools
from engine.generation.executors.work import backwards_of
from engine.generation.job import Workshop
from engine.generation.linking import Linker
from engine.generation.plan import ClipTask
from engine.generation.quality import masks_of
from engine.generation.watch import OnFrame
from engine.masks.boxed import BoxedMask, iou
from engine.models.sam.prompting import Embedding
from engine.store import SegmentedRun, StoreReader
from engine.store.clip_reader import ClipReader
from engine.types import UInt8Array
from engine.video import VideoReader, open_video

_FRAMES_AT_ONCE = 16
_SUFFIX = "/backwards"


class LastSeen:
    """Tracks begin at the last frame where a clip has them (a Births, for the clip's frames in reverse)."""

    def __init__(self, clip: ClipReader) -> None:
        last = {row.track: place for place, frame in enumerate(clip.frames) for row in clip.records(frame) if row.area}
        count = len(clip.frames)
        self._starts: dict[int, list[int]] = {}
        for track, place in last.items():
            self._starts.setdefault(count - 1 - place, []).append(track)
        self._clip = clip

    def due(self, index: int) -> bool:
        """Whether any track begins."""
        return index in self._starts

    def __call__(
        self, index: int, image: UInt8Array, embedding: Embedding | None, masks: Mapping[int, BoxedMask], next_id: int
    ) -> list[Birth]:
        """The tracks as the clip has them."""
        there = frame_masks(self._clip, index)
        return [Birth(track, there[track], float("nan"), float("nan")) for track in self._starts[index]]


def frame_masks(clip: ClipReader, index: int) -> dict[int, BoxedMask]:
    """The visible masks of the clip's frame `index`, counted from the end."""
    return masks_of(clip.records(clip.frames[len(clip.frames) - 1 - index]), clip.height, clip.width)


def agreement(
    task: ClipTask,
    workshop: Workshop,
    store: Path,
    on_frame: OnFrame | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> dict[int, float]:
    """The agreement of every track of the clip in `store`, 0 to 1; of tracks seen in one frame 1.

    Survives being killed as make_clip does; the result is kept beside the store.
    """
    output = backwards_of(store)
    if not output.exists():
        with StoreReader(store) as reader:
            _run(task, workshop, reader.clip(task.name), output, on_frame, should_stop)
    return kept_agreement(task.name, store)


def kept_agreement(name: str, store: Path) -> dict[int, float]:
    """What `agreement` has found for the clip in `store`."""
    with StoreReader(backwards_of(store)) as reader:
        found = reader.clip(name).provenance["agreement"]
    return {int(track): float(value) for track, value in found.items()}


def _run(
    task: ClipTask,
    workshop: Workshop,
    clip: ClipReader,
    output: Path,
    on_frame: OnFrame | None,
    should_stop: Callable[[], bool],
) -> None:
    parameters = {**clip.provenance, "direction": "backwards"}
    count = len(clip.frames)
    with open_video(task.source) as video, SegmentedRun(output, parameters, overwrite=True) as run:
        back, scores = _running(task, workshop, clip), _Scores()
        done = 0
        if run.state is not None:
            back.load_state(run.state["clip"])
            scores.load_state(run.state["scores"])
            done = run.next_frame
        for index, image in _reversed(video, task.start, count, max(done - 1, 0)):
            ready = workshop.resized(image)
            if index < done:
                back.resume(ready)
                continue
            records = back.step(index, index, ready)
            scores.add(frame_masks(clip, index), masks_of(iter(records), clip.height, clip.width))
            run.append(index, [])
            if on_frame is not None:
                on_frame(index + 1, count)
            stop = should_stop()
            if stop or (index + 1) % workshop.segment_frames == 0:
                run.checkpoint({"clip": back.state(), "scores": scores.state()}, [])
            if stop:
                raise Interrupted
        result = {str(track): value for track, value in scores.means().items()}
        run.finish(task.name, clip.width, clip.height, count, tracks=[], provenance={"agreement": result})


def _running(task: ClipTask, workshop: Workshop, clip: ClipReader) -> RunningClip:
    linker = Linker(workshop.prompter, workshop.settings.link, workshop.prompts_at_once)
    sampler = replace(workshop.sampler(task.name), clip=task.name + _SUFFIX)
    return RunningClip(Tools(workshop.prompter, linker, workshop.flow, sampler, LastSeen(clip)), workshop.settings)


class _Scores:
    """Sums of IoUs by track. A track's first frame backwards is the frame it was taken from, and does not count."""

    def __init__(self) -> None:
        self._sums: dict[int, float] = {}
        self._frames: dict[int, int] = {}

    def add(self, forward: Mapping[int, BoxedMask], backward: Mapping[int, BoxedMask]) -> None:
        """One frame's masks both ways."""
        for track, mask in forward.items():
            if track not in self._sums:
                self._sums[track], self._frames[track] = 0.0, 0
                continue
            other = backward.get(track)
            self._sums[track] += 0.0 if other is None else iou(mask, other)
            self._frames[track] += 1

    def means(self) -> dict[int, float]:
        """The agreement by track."""
        return {t: self._sums[t] / self._frames[t] if self._frames[t] else 1.0 for t in self._sums}

    def state(self) -> dict[str, Any]:
        """As arrays."""
        return {
            "ids": np.array(list(self._sums), np.int64),
            "sums": np.array(list(self._sums.values()), np.float64),
            "frames": np.array(list(self._frames.values()), np.int64),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        ids = state["ids"].tolist()
        self._sums = dict(zip(ids, state["sums"].tolist(), strict=True))
        self._frames = dict(zip(ids, state["frames"].tolist(), strict=True))


def _reversed(video: VideoReader, start: int, count: int, begin: int) -> Iterator[tuple[int, UInt8Array]]:
    """(index from the end, image) of the frames start..start+count-1, from the last; some are held at once."""
    for first in range(begin, count, _FRAMES_AT_ONCE):
        stop = min(first + _FRAMES_AT_ONCE, count)
        images = [frame.image for frame in video.frames(start + count - stop, start + count - first)]
        yield from zip(range(first, stop), reversed(images), strict=True)
