"""A video in which objects are found rather than given, made into a mask store that survives being killed.

Frames come out of the loop a few at a time; what is made certain is always a moment at which none is waiting. Knows
readers, loops and stores by their interfaces; reports by callback.
"""

import math
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import Interrupted, VideoError
from engine.masks import rle
from engine.propagation.ahead import preparation, supply
from engine.propagation.deva_online import Found, SemiOnline
from engine.propagation.job import Done, OnRecords, Outcome, publish
from engine.propagation.loop import scored, with_last
from engine.runtime.profile import Profile
from engine.store import SegmentedRun
from engine.types import MaskRecord, Track
from engine.video import VideoReader, frame_numbers


@dataclass(frozen=True)
class DetectingJob:
    """What to do. `parameters`: all that changes the result; an unfinished output of other parameters is refused.

    `name`: of the clip in the store. `segment_frames`: about so many lie between two points to go on from. `profile`:
    sees decoding and waiting.
    """

    video: VideoReader
    loop: SemiOnline
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    segment_frames: int = 50
    profile: Profile | None = None


def write_detected_store(
    job: DetectingJob,
    output: str | Path,
    overwrite: bool = False,
    on_frame: Callable[[int], None] | None = None,
    on_records: OnRecords | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """Find and follow into a store at `output`, or go on with what a killed run of the same job left beside it.

    Callbacks and errors are those of engine.propagation.job.write_store; masks are told some frames late, and a wish to
    stop is met once no frame is waiting.
    """
    work = _Work(job)
    with SegmentedRun(output, dict(job.parameters), overwrite) as run:
        begun = work.go_on(run.state, run.tracks)
        certain, stop = begun, False
        for done, whole in work.frames(on_frame):
            for frame in done:
                run.append(work.number(frame.at), frame.records)
                if on_records is not None:
                    on_records(work.number(frame.at), frame.time, frame.records)
            stop = stop or should_stop()
            if whole and (stop or work.seen - certain >= job.segment_frames):
                run.checkpoint(work.state(), work.tracks)
                certain = work.seen
            if whole and stop:
                raise Interrupted
        publish(run, job, work.tracks, work.number, list(work.times))
    return Outcome(work.seen, len(work.tracks), begun)


def stream_detected(
    job: DetectingJob,
    on_records: OnRecords,
    on_frame: Callable[[int], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Outcome:
    """The same without a store: every frame's masks go to `on_records` and nowhere else."""
    work = _Work(job)
    for done, _ in work.frames(on_frame):
        for frame in done:
            on_records(work.number(frame.at), frame.time, frame.records)
        if should_stop():
            raise Interrupted
    return Outcome(work.seen, len(work.tracks), 0)


class _Work:
    """A job under way: the times of the frames it has seen, and the tracks that were found."""

    def __init__(self, job: DetectingJob) -> None:
        self._job = job
        self._numbers = frame_numbers(job.video)
        self.times = array("d")
        self.tracks: list[Track] = []

    @property
    def seen(self) -> int:
        """Frames of the video so far."""
        return len(self.times)

    def number(self, index: int) -> int:
        """The number in the store of the video's frame `index`."""
        return index if self._numbers is None else self._numbers[index]

    def go_on(self, state: dict[str, Any] | None, tracks: Sequence[Track]) -> int:
        """Take over a saved state, if there is one; the index of the next frame."""
        if state is not None:
            self.times = array("d", np.asarray(state["times"], np.float64).tolist())
            self.tracks = list(tracks)
            self._job.loop.load_state(state["loop"])
        return self.seen

    def state(self) -> dict[str, Any]:
        """What the next frame starts from."""
        return {"times": np.array(self.times, np.float64), "loop": self._job.loop.state()}

    def frames(self, on_frame: Callable[[int], None] | None) -> Iterator[tuple[list[Done], bool]]:
        """After every frame that is left: those that are done, and whether none is waiting.

        Raises VideoError for a video without frames.
        """
        start = at = self.seen
        prepare = preparation(self._job.loop.tracker)
        for frame, last in with_last(supply(self._job.video, start, self._job.profile, prepare)):
            self.times.append(math.nan if frame.time is None else frame.time)
            done = []
            for found in self._job.loop.feed(frame.image, last):
                done.append(self._done(at, found))
                at += 1
            yield done, self._job.loop.waiting == 0
            if on_frame is not None:
                on_frame(frame.index)
        if not self.seen:
            raise VideoError(f"{self._job.video.info.source}: no frames in it", "check the video")

    def _done(self, at: int, found: Found) -> Done:
        """The masks of a frame; objects that were not seen before become tracks."""
        number, time = self.number(at), self.times[at]
        known = {track.id for track in self.tracks}
        self.tracks += [Track(track, str(track), number) for track in found.objects if track not in known]
        soft = self._job.loop.tracker.frames.masks_out(found.frame, found.soft)
        return Done(at, None if math.isnan(time) else time, list(self._records(number, found.objects, soft)))

    def _records(self, number: int, objects: Sequence[int], soft: np.ndarray) -> Iterator[MaskRecord]:
        for track, own in sorted(zip(objects, soft, strict=True), key=lambda entry: entry[0]):
            answer = scored(own)
            yield rle.record(number, track, answer.mask, answer.score)
