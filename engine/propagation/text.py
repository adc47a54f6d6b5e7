"""A video and sentences, made into a mask store: one track a sentence, one pass over the video, window by window.

Windows do not overlap and know nothing of each other, as published; after each of them everything so far is certain,
and the same call goes on from there. Knows readers, askers and stores by their interfaces; reports by callback.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from engine.errors import Interrupted, UsageError, VideoError
from engine.masks import rle
from engine.propagation.ahead import ahead
from engine.propagation.job import OnRecords, publish
from engine.propagation.sentences import Asker, Window
from engine.store import SegmentedRun
from engine.types import Frame, MaskRecord, Track
from engine.video import VideoReader, frame_numbers

WINDOW = 36
"""Frames that are answered together, as in the published evaluation on Ref-DAVIS."""


@dataclass(frozen=True)
class TextJob:
    """What to do. `parameters`: all that changes the result; an unfinished output of other parameters is refused.

    sentences: what is looked for, each becomes a track of that name. name: of the clip in the store.
    """

    video: VideoReader
    sentences: Sequence[str]
    asker: Asker
    name: str
    parameters: Mapping[str, Any] = field(default_factory=dict)
    window: int = WINDOW

    def __post_init__(self) -> None:
        """Raises UsageError for no sentence, a sentence twice, a window without frames."""
        if not self.sentences:
            raise UsageError("no sentence is given", 'say what to look for: --text "the dog on the left"')
        twice = next((s for at, s in enumerate(self.sentences) if s in self.sentences[:at]), None)
        if twice is not None:
            raise UsageError(f"the sentence {twice!r} is given twice", "each sentence is one track; leave one out")
        if self.window < 1:
            raise UsageError(f"a window of {self.window} frames", "give a positive number")


class TextOutcome(NamedTuple):
    """frames: of the whole video. resumed_at: the first frame that this call worked on. choices: see `_choices`."""

    frames: int
    resumed_at: int
    choices: list[dict[str, Any]]


class _Answered(NamedTuple):
    frames: list[tuple[int, float | None, list[MaskRecord]]]
    choices: list[dict[str, Any]]


def write_text_store(
    job: TextJob,
    output: str | Path,
    overwrite: bool = False,
    on_frame: Callable[[float], None] | None = None,
    on_records: OnRecords | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TextOutcome:
    """Answer into a store at `output`, or go on with what a killed run of the same job left beside it.

    on_frame: told how many frames are done, with fractions. on_records: told frame number, seconds and masks of each
    frame of a window once it is answered. should_stop: asked now and then; a yes gives up the window at hand and raises
    Interrupted. Raises the errors of the reader, the asker and the store.
    """
    with SegmentedRun(output, dict(job.parameters), overwrite) as run:
        work = _Work(job, run.state)
        begun = len(work.times)
        for answered in work.windows(on_frame, should_stop):
            for number, time, records in answered.frames:
                run.append(number, records)
                if on_records is not None:
                    on_records(number, time, records)
            run.checkpoint(work.state(), work.tracks)
        publish(run, job, work.tracks, work.number, work.times, choices=work.choices)
    return TextOutcome(len(work.times), begun, work.choices)


def stream_text(
    job: TextJob,
    on_records: OnRecords,
    on_frame: Callable[[float], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TextOutcome:
    """Answer without a store: every frame's masks go to `on_records` and nowhere else."""
    work = _Work(job, None)
    for answered in work.windows(on_frame, should_stop):
        for found in answered.frames:
            on_records(*found)
    return TextOutcome(len(work.times), 0, work.choices)


class _Work:
    """A job under way: times of the frames that are done, and which queries answered."""

    def __init__(self, job: TextJob, state: dict[str, Any] | None) -> None:
        self._job = job
        self._numbers = frame_numbers(job.video)
        self.times: list[float] = np.asarray(state["times"], np.float64).tolist() if state else []
        self.choices: list[dict[str, Any]] = list(state["choices"]) if state else []

    def number(self, index: int) -> int:
        """The number in the store of the video's frame `index`."""
        return index if self._numbers is None else self._numbers[index]

    @property
    def tracks(self) -> list[Track]:
        """One a sentence, from the first frame on."""
        return [Track(at, sentence, self.number(0)) for at, sentence in enumerate(self._job.sentences, 1)]

    def state(self) -> dict[str, Any]:
        """What the next window starts from."""
        return {"times": np.array(self.times, np.float64), "choices": list(self.choices)}

    def windows(self, on_frame: Callable[[float], None] | None, should_stop: Callable[[], bool]) -> Iterator[_Answered]:
        """The windows that are left. Raises VideoError for a video without frames."""
        frames = ahead(self._prepared(len(self.times)))
        size = self._job.video.info.height, self._job.video.info.width
        while window := list(islice(frames, self._job.window)):
            begun = len(self.times)

            def on_share(share: float, begun: int = begun, length: int = len(window)) -> None:
                if should_stop():
                    raise Interrupted
                if on_frame is not None:
                    on_frame(begun + share * length)

            found = self._job.asker.answer([frame.image for frame in window], size, on_share)
            self.choices.append(_choices(self._job.sentences, found, self.number(begun), len(window)))
            yield _Answered([self._records(frame, found, at) for at, frame in enumerate(window)], self.choices[-1:])
        if not self.times:
            raise VideoError(f"{self._job.video.info.source}: no frames in it", "check the video")

    def _prepared(self, start: int) -> Iterator[Frame]:
        """Frames as they are kept until their window is full: at the size that is looked at."""
        for frame in self._job.video.frames(start):
            yield replace(frame, image=self._job.asker.prepare(frame.image))

    def _records(self, frame: Frame, found: Window, at: int) -> tuple[int, float | None, list[MaskRecord]]:
        self.times.append(math.nan if frame.time is None else frame.time)
        number = self.number(frame.index)
        masks = next(found.masks)
        records = [rle.record(number, k + 1, mask, float(found.scores[k, at])) for k, mask in enumerate(masks)]
        return number, frame.time, records


def _choices(sentences: Sequence[str], window: Window, first: int, frames: int) -> dict[str, Any]:
    """One window as plain values: its first frame's number, its length, and for each sentence the chosen query (from
    0) with its mean score and those of all queries."""
    return {
        "first_frame": first,
        "frames": frames,
        "sentences": [
            {"track": at, "text": text, "query": c.query, "score": c.means[c.query], "scores": list(c.means)}
            for at, (text, c) in enumerate(zip(sentences, window.choices, strict=True), 1)
        ],
    }
