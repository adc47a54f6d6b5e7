"""Tracks found by a sentence, handed over to a method that follows masks: the best frame's mask, carried both ways.

Windows of a text model may choose different objects and leave gaps; a mask that is followed does neither. Three stores
beside the output (found, forwards, backwards) are merged at the end; a killed run goes on in the one it was at.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.errors import OutputError
from engine.propagation.backwards import Backwards
from engine.propagation.job import Job, write_store
from engine.propagation.prompts import PromptSet
from engine.propagation.text import TextJob, write_text_store
from engine.propagation.tracker import Tracker
from engine.store import StoreReader, StoreWriter, atomic
from engine.store.clip_reader import ClipReader
from engine.types import BoolArray, MaskRecord

OnFrame = Callable[[str, float, int | None], None]


@dataclass(frozen=True)
class Handover:
    """What follows a text job. make_tracker: a fresh tracker, called once for each direction. parameters: all that
    changes what the tracker makes. segment_frames: see `Job`."""

    text: TextJob
    make_tracker: Callable[[], Tracker]
    exclusive: bool
    parameters: Mapping[str, Any]
    segment_frames: int = 50


@dataclass(frozen=True)
class Handed:
    """frames: of the video. choices: of the text job. best: frame number and score handed over, by track id; tracks
    that the text model never saw are missing."""

    frames: int
    choices: list[dict[str, Any]]
    best: dict[int, tuple[int, float]]


def write_handed_over(
    job: Handover,
    output: Path,
    overwrite: bool = False,
    on_frame: OnFrame | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> Handed:
    """All three stages and the merged store at `output`. on_frame: told the stage's name, frames done, all frames.

    Raises the errors of the stages, StoreError for what an earlier run with other parameters left, OutputError if the
    output exists.
    """
    atomic.refuse_existing(output, overwrite)
    folder = output.with_name(f"{output.name}.stages")
    folder.mkdir(parents=True, exist_ok=True)
    run = _Stages(job, folder, overwrite, on_frame or (lambda stage, done, total: None), should_stop)
    handed = run.merge(output, overwrite)
    for path in run.paths:
        path.unlink(missing_ok=True)
    folder.rmdir()
    return handed


class _Stages:
    """The three stores, made where they are missing."""

    def __init__(
        self, job: Handover, folder: Path, overwrite: bool, on_frame: OnFrame, should_stop: Callable[[], bool]
    ) -> None:
        self._job, self._overwrite, self._on_frame, self._stop = job, overwrite, on_frame, should_stop
        self._whole = {**job.text.parameters, "then": dict(job.parameters)}
        self.paths = [folder / f"{name}.h5" for name in ("found", "forwards", "backwards")]

    def merge(self, output: Path, overwrite: bool) -> Handed:
        """Make what is missing, then the output."""
        found_at, forwards_at, backwards_at = self.paths
        self._make(found_at, self._find)
        with StoreReader(found_at) as store:
            found = store.clip(self._job.text.name)
            best = best_frames(found)
            if best:
                self._make(forwards_at, lambda: self._follow(found, best, forwards_at))
                self._make(backwards_at, lambda: self._follow_back(found, best, backwards_at))
            choices = found.provenance["choices"]
            with StoreWriter(output, overwrite) as writer:
                self._write(writer, found, best)
            numbers = {track: (found.frames[at], score) for track, (at, score) in best.items()}
            return Handed(len(found.frames), choices, numbers)

    def _make(self, path: Path, make: Callable[[], object]) -> None:
        """Make a stage unless it is there. Raises OutputError if one with other parameters is."""
        if path.exists():
            with StoreReader(path) as store:
                made = store.clip(self._job.text.name).provenance.get("whole")
            if made == json.loads(json.dumps(self._whole)):
                return
            if not self._overwrite:
                raise OutputError(
                    f"{path}: left by an unfinished run with other parameters",
                    "repeat its parameters to go on with it, or pass --overwrite to start again",
                )
        make()

    def _find(self) -> None:
        total = self._job.text.video.info.frame_count
        text = replace(self._job.text, parameters={**self._job.text.parameters, "whole": self._whole})
        write_text_store(
            text, self.paths[0], True, lambda done: self._on_frame("looking", done, total), None, self._stop
        )

    def _follow(self, found: ClipReader, best: Mapping[int, tuple[int, float]], path: Path) -> None:
        masks = self._masks(found, best, lambda at: found.frames[at])
        self._propagate("forwards", Job(self._job.text.video, self._prompts(found, best, masks), *self._rest()), path)

    def _follow_back(self, found: ClipReader, best: Mapping[int, tuple[int, float]], path: Path) -> None:
        last = max(at for at, _ in best.values())
        masks = self._masks(found, best, lambda at: last - at)
        video = Backwards(self._job.text.video, last)
        self._propagate("backwards", Job(video, self._prompts(found, best, masks), *self._rest()), path)

    def _rest(self) -> tuple[Tracker, str, bool, dict[str, Any], int]:
        return (
            self._job.make_tracker(),
            self._job.text.name,
            self._job.exclusive,
            {"whole": self._whole},
            self._job.segment_frames,
        )

    def _propagate(self, stage: str, job: Job, path: Path) -> None:
        total = job.video.info.frame_count
        write_store(job, path, True, lambda index: self._on_frame(stage, index + 1, total), None, self._stop)

    def _masks(
        self, found: ClipReader, best: Mapping[int, tuple[int, float]], number: Callable[[int], int]
    ) -> dict[int, dict[int, BoolArray]]:
        """The best masks, by frame number and track."""
        masks: dict[int, dict[int, BoolArray]] = {}
        for track, (at, _) in sorted(best.items(), key=lambda item: item[1][0]):
            mask = found.mask(found.frames[at], track)
            assert mask is not None
            masks.setdefault(number(at), {})[track] = mask
        return masks

    def _prompts(self, found: ClipReader, best: Mapping[int, Any], masks: dict[int, dict[int, BoolArray]]) -> PromptSet:
        return PromptSet([track for track in found.tracks if track.id in best], dict(sorted(masks.items())))

    def _write(self, writer: StoreWriter, found: ClipReader, best: Mapping[int, tuple[int, float]]) -> None:
        info = self._job.text.video.info
        writer.add_clip(
            self._job.text.name,
            info.width,
            info.height,
            len(found.frames),
            found.tracks,
            self._merged(found, best),
            source=info.source,
            fps=info.fps,
            provenance={
                "command": "propagate",
                **self._whole,
                "choices": found.provenance["choices"],
                "best": {str(track): found.frames[at] for track, (at, _) in best.items()},
            },
            frames=found.frames,
            times=found.times,
        )

    def _merged(self, found: ClipReader, best: Mapping[int, tuple[int, float]]) -> Iterator[MaskRecord]:
        """Each track's best frame as found, what lies before it from the way back, what follows from the way forth.

        Tracks that were never seen stay as found: empty."""
        if not best:
            yield from found.records()
            return
        with StoreReader(self.paths[1]) as forth, StoreReader(self.paths[2]) as back:
            forwards, backwards = forth.clip(self._job.text.name), back.clip(self._job.text.name)
            last = max(at for at, _ in best.values())
            for at, number in enumerate(found.frames):
                yield from _of_frame(at, number, last, found, forwards, backwards, best)


def _of_frame(
    at: int,
    number: int,
    last: int,
    found: ClipReader,
    forwards: ClipReader,
    backwards: ClipReader,
    best: Mapping[int, tuple[int, float]],
) -> Iterator[MaskRecord]:
    """The masks of the video's frame `at`. The way back counts from `last` down."""
    for track in sorted(track.id for track in found.tracks):
        chosen = best[track][0] if track in best else at
        if at == chosen:
            record = found.record(number, track)
        elif at > chosen:
            record = forwards.record(number, track)
        else:
            record = backwards.record(last - at, track)
        if record is not None:
            yield replace(record, frame=number)


def best_frames(clip: ClipReader) -> dict[int, tuple[int, float]]:
    """By track: the position and score of the frame with the highest score among those where it has a mask."""
    best: dict[int, tuple[int, float]] = {}
    place: Sequence[int] = clip.frames
    positions = {number: at for at, number in enumerate(place)}
    for record in clip.records():
        if record.area and (record.track not in best or record.score > best[record.track][1]):
            best[record.track] = (positions[record.frame], record.score)
    return best
