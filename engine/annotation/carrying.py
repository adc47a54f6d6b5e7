"""A mended mask carried on, forwards and back, by any model: the other frames of that one track that nobody decided.

Frames that were decided on the way are given to the tracker as corrections and keep their masks. Knows trackers,
documents and frames; runs where it is called and can be told to stop.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Literal

import numpy as np

from engine.annotation.cells import DECIDED, Cell
from engine.annotation.document import ClipDocument
from engine.errors import UsageError
from engine.propagation.loop import propagate
from engine.propagation.tracker import Tracker
from engine.types import BoolArray, Frame, UInt8Array

Direction = Literal["forwards", "back", "both"]
DIRECTIONS: tuple[Direction, ...] = ("forwards", "back", "both")


class StoppedError(Exception):
    """Somebody asked to stop."""


def plan(document: ClipDocument, track: int, frame: int, direction: str) -> list[list[int]]:
    """The runs that a carry takes: indices of frames, each beginning with the mended one.

    A run ends behind the last frame that nobody decided. Raises UsageError where there is no mask or nothing to do.
    """
    if direction not in DIRECTIONS:
        raise UsageError(f"{direction!r} is no direction", f"use one of {', '.join(DIRECTIONS)}")
    start = document.position.get(frame)
    if track not in document.tracks or start is None:
        raise UsageError(f"no track {track} or no frame {frame}", "reload the page")
    if not document.cell(track, frame).area:
        raise UsageError(f"frame {frame}: track {track} has no mask to carry on", "mend the frame first")
    ways = []
    if direction in ("forwards", "both"):
        ways.append(list(range(start, len(document.numbers))))
    if direction in ("back", "both"):
        ways.append(list(range(start, -1, -1)))
    runs = [run for run in (_needed(document, track, way) for way in ways) if len(run) > 1]
    if not runs:
        raise UsageError("every frame that way is decided already", "take decisions back first, or choose another way")
    return runs


def carry(
    document: ClipDocument,
    track: int,
    runs: Sequence[Sequence[int]],
    image_of: Callable[[int], UInt8Array],
    make_tracker: Callable[[], Tracker],
    on_frame: Callable[[int], bool] = lambda done: True,
) -> dict[int, Cell]:
    """Masks of the undecided frames of all runs, by frame number. on_frame: told how many are done; False stops.

    Raises StoppedError, and the errors of the tracker and the video.
    """
    cells: dict[int, Cell] = {}
    done = 0
    for run in runs:
        prompts = _prompts(document, track, run)
        for result in propagate(_frames(run, image_of), prompts, make_tracker()):
            number = document.numbers[run[result.frame]]
            found = result.tracks[track]
            if result.frame not in prompts:
                cells[number] = Cell.of_mask(found.mask, "auto", score=found.score)
            done += 1
            if not on_frame(done):
                raise StoppedError
    return cells


def _needed(document: ClipDocument, track: int, way: list[int]) -> list[int]:
    open_frames = [at for at, index in enumerate(way) if at and not _decided(document, track, index)]
    return way[: open_frames[-1] + 1] if open_frames else []


def _decided(document: ClipDocument, track: int, index: int) -> bool:
    return document.state(track, document.numbers[index]) in DECIDED


def _prompts(document: ClipDocument, track: int, run: Sequence[int]) -> Mapping[int, Mapping[int, BoolArray]]:
    """Masks by place in the run: that of the first frame, whatever its state, and all decided ones."""
    given = {}
    for at, index in enumerate(run):
        if at and not _decided(document, track, index):
            continue
        mask = document.mask(track, document.numbers[index])
        if mask is not None:
            given[at] = {track: mask}
    return given


def _frames(run: Sequence[int], image_of: Callable[[int], UInt8Array]) -> Iterator[Frame]:
    for at, index in enumerate(run):
        yield Frame(at, np.ascontiguousarray(image_of(index)), f"{index:05d}")
