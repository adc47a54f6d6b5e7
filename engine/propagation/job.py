"""A video, masks of some of its frames and a tracker, made into a mask store that survives being killed.

Every so many frames the masks and the tracker's state are made certain; the same call goes on from there. Knows
readers, trackers and stores by their interfaces; reports by callback.
"""

import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from engine.errors import Interrupted, MaskError, VideoError
from engine.masks import rle
from engine.propagation.ahead import preparation, supply
from engine.propagation.behind import Behind
from engine.propagation.loop import Propagation
from engine.propagation.prompts import PromptSet
from engine.propagation.tracker import Tracker
from engine.runtime.profile import Profile
from engine.store import SegmentedRun
from engine.types import BoolArray, Frame, MaskRecord, Track
from engine.video import VideoReader, frame_numbers

OnRecords = Callable[[int, float | None, Sequence[MaskRecord]], None]


@dataclass(frozen=True)
class Job:
    """What to do. `parameters`: all that changes the result; an unfinished output of other parameters is refused.

    `name`: of the clip in the store. `segment_frames`: frames between two points from which a killed run goes on.
    `at_end`: more provenance, which only the end of the run knows. `profile`: sees decoding and waiting.
    """

    video: VideoReader
    prompts: PromptSet
    tracker: Tracker
    name: str
    exclusive: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    segment_frames: int = 50
    at_end: Callable[[], Mapping[str, Any]] = dict
    profile: Profile | None = None


@dataclass(frozen=True)
class Outcome:
    """frames: of the whole video; resumed_at: the index of the first frame that this call worked on."""

    frames: int
    tracks: int
    resumed_at: int


def write_store(
    job: Job,
    output: str | Path,
    overwrite: bool = False,
    on_frame: Callable[[int], None] | None = None,
    on_records: OnRecords | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Propagate into a store at `output`, or go on with what a killed run of the same job left beside it.

    on_frame: told the index of each frame when it is done. on_records: told frame number, seconds and masks of each
    frame as soon as they are known, on the thread that stores them. should_stop: asked after each frame; a yes makes
    the work certain, then raises Interrupted. Raises the errors of the reader, the tracker and the store.
    """
    work = _Work(job)
    with SegmentedRun(output, dict(job.parameters), overwrite) as run, Behind() as behind:
        begun = work.go_on(run.state)

        def keep(answer: _Answer) -> None:
            done = work.done(answer)
            run.append(work.number(done.at), done.records)
            if on_records is not None:
                on_records(work.number(done.at), done.time, done.records)

        for answer in work.frames(on_frame, should_stop):
            behind.do(partial(keep, answer))
            stop = should_stop()
            if stop or (answer.at + 1) % job.segment_frames == 0:
                behind.wait()
                run.checkpoint(work.state(answer.at), work.tracks)
            if stop:
                raise Interrupted
        behind.wait()
        work.check_complete()
        publish(run, job, work.tracks, work.number, work.times(), **job.at_end())
    return Outcome(work.seen, len(job.prompts.tracks), begun)


def stream(
    job: Job,
    on_records: OnRecords,
    on_frame: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Propagate without a store: every frame's masks go to `on_records` and nowhere else."""
    work = _Work(job)
    for answer in work.frames(on_frame, should_stop):
        done = work.done(answer)
        on_records(work.number(done.at), done.time, done.records)
        if should_stop():
            raise Interrupted
    work.check_complete()
    return Outcome(work.seen, len(job.prompts.tracks), 0)


class Described(Protocol):
    """What every job says of its clip."""

    @property
    def video(self) -> VideoReader: ...
    @property
    def name(self) -> str: ...
    @property
    def parameters(self) -> Mapping[str, Any]: ...


def publish(
    run: SegmentedRun,
    job: Described,
    tracks: Sequence[Track],
    number: Callable[[int], int],
    times: Sequence[float],
    **provenance: Any,
) -> None:
    """Make the clip of a job that saw `times` final. number: of the frame with an index. provenance: more to say."""
    info = job.video.info
    run.finish(
        job.name,
        info.width,
        info.height,
        len(times),
        tracks=tracks,
        source=info.source,
        fps=info.fps,
        provenance={"command": "propagate", **job.parameters, **provenance},
        frames=[number(index) for index in range(len(times))],
        times=times,
    )


class Done(NamedTuple):
    """A frame that is finished: its index `at`, its seconds if known, its masks."""

    at: int
    time: float | None
    records: list[MaskRecord]


class _Answer(NamedTuple):
    """A frame that the tracker is done with: its index, its seconds if known, mask and score of each track."""

    at: int
    time: float | None
    masks: dict[int, tuple[BoolArray, float]]


class _Work:
    """A job under way: where it stands, and the times of the frames it has seen."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._numbers = frame_numbers(job.video)
        self._prompts = self._by_index()
        self._propagation = Propagation(job.tracker, job.exclusive)
        self._times = array("d")
        self._start = 0

    @property
    def seen(self) -> int:
        """Frames of the video so far."""
        return len(self._times)

    def number(self, index: int) -> int:
        """The number in the store of the video's frame `index`."""
        return index if self._numbers is None else self._numbers[index]

    def times(self) -> list[float]:
        """Seconds of each frame, NaN where unknown."""
        return list(self._times)

    def go_on(self, state: dict[str, Any] | None) -> int:
        """Take over a saved state, if there is one; the index of the next frame."""
        if state is not None:
            self._times = array("d", np.asarray(state["times"], np.float64).tolist())
            self._propagation.load_state(state["propagation"])
            self._start = len(self._times)
        return self._start

    def state(self, index: int) -> dict[str, Any]:
        """What the frame after `index`, the one that was yielded last, starts from."""
        return {"times": np.array(self._times[: index + 1]), "propagation": self._propagation.state()}

    @property
    def tracks(self) -> list[Track]:
        """The tracks of the prompts; the first frame is called by its number, also where a prompt says 0 for it."""
        first = self._numbers[0] if self._numbers else 0
        return [replace(track, first_frame=max(track.first_frame, first)) for track in self._job.prompts.tracks]

    def frames(self, on_frame: Callable[[int], None] | None, should_stop: Callable[[], bool]) -> Iterator[_Answer]:
        """Every frame that is left, with its masks, from the first prompt on. Before it, a wish to stop is met here."""
        first = min(self._prompts, default=0)

        def noted() -> Iterator[Frame]:
            prepare = preparation(self._job.tracker)
            for frame in supply(self._job.video, self._start, self._job.profile, prepare, first):
                if frame.index < first and should_stop():
                    raise Interrupted
                self._times.append(math.nan if frame.time is None else frame.time)
                yield frame

        for result in self._propagation.run(noted(), self._prompts, on_frame, self._job.video.live):
            time = self._times[result.frame]
            masks = {track: (found.mask, found.score) for track, found in result.tracks.items()}
            yield _Answer(result.frame, None if math.isnan(time) else time, masks)

    def check_complete(self) -> None:
        """Raises VideoError or MaskError where the video ended before any frame or before a prompt's frame."""
        if self.seen == 0:
            raise VideoError(f"{self._job.video.info.source}: no frames in it", "check the video")
        late = [index for index in self._prompts if index >= self.seen]
        if late:
            raise _too_late(min(late), self.seen)

    def done(self, answer: _Answer) -> Done:
        """The same frame with its masks as runs."""
        number = self.number(answer.at)
        asked = self._job.prompts.points
        records = {track: rle.record(number, track, *found) for track, found in answer.masks.items()}
        for track in records:
            # "The first frame" may have been called 0 where the images' names begin with another number.
            points = asked.get((number, track)) or (asked.get((0, track)) if answer.at == 0 else None)
            if points:
                records[track] = replace(records[track], points=points)
        return Done(answer.at, answer.time, list(records.values()))

    def _by_index(self) -> dict[int, dict[int, BoolArray]]:
        """The prompts by frame index. Raises MaskError for numbers that the video does not have."""
        if self._numbers is None:
            count, latest = self._job.video.info.frame_count, max(self._job.prompts.masks, default=0)
            if count is not None and latest >= count:
                raise _too_late(latest, count)
            return self._job.prompts.masks
        index_of = {number: index for index, number in enumerate(self._numbers)}
        unknown = [number for number in self._job.prompts.masks if number not in index_of]
        if 0 in unknown:  # "the first frame" is what a prompt without a number means
            index_of[0] = 0
            unknown.remove(0)
        if unknown:
            raise MaskError(
                f"a mask is given on frame {unknown[0]}, which the images do not have",
                f"their names run from {self._numbers[0]} to {self._numbers[-1]}; mend the number after @",
            )
        merged: dict[int, dict[int, BoolArray]] = {}
        for number, given in self._job.prompts.masks.items():
            there = merged.setdefault(index_of[number], {})
            if there.keys() & given.keys():
                raise MaskError(f"two masks of one track on frame {self._numbers[0]}", "give each its own name")
            there.update(given)
        return merged


def _too_late(frame: int, count: int) -> MaskError:
    return MaskError(
        f"a mask is given on frame {frame}, the video has {count} frames",
        "frames count from 0; mend the number after @",
    )
