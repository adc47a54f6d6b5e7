"""What people can decide, each as the changes it makes. Nothing here changes anything: see project.py.

Knows cells, tracks and what may follow from what. A track becomes `done` with its last undecided frame and `open` again
when a frame of it is changed; one that was sent back stays so until it is handed in again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from engine.annotation.cells import DECIDED, TAGS, Cell, State, Status, TrackState
from engine.annotation.document import CellChange, ClipDocument, TrackChange, changed_cell, changed_track
from engine.errors import UsageError
from engine.masks import rle

SUPERVISOR = "supervisor"
ANNOTATOR = "annotator"
LONGEST_NAME, LONGEST_NOTE = 80, 2000


@dataclass(frozen=True)
class Decision:
    """An action on one track, and what it changes."""

    action: str
    track: int
    cells: Sequence[CellChange] = ()
    tracks: Sequence[TrackChange] = ()
    more: Mapping[str, Any] = field(default_factory=dict)

    def entry(self) -> dict[str, Any]:
        """As the journal holds it."""
        values = {"action": self.action, "track": self.track, "cells": list(self.cells), "tracks": list(self.tracks)}
        return {**values, **self.more}


def judge(document: ClipDocument, track: int, frames: Sequence[int], state: State) -> Decision:
    """Frames of a track accepted, rejected or left `auto` again. Raises UsageError where no mask is to be judged."""
    if state not in ("accepted", "rejected", "auto"):
        raise UsageError(f"{state!r} is nothing that a frame can be judged", "use accepted, rejected or auto")
    after = {}
    for frame in frames:
        cell = _cell(document, track, frame)
        if cell.counts is None:
            raise UsageError(f"frame {frame}: track {track} has no mask there", "mend it, or propagate to it")
        after[frame] = cell.with_state(state)
    return _of_cells(document, state, track, after)


def accept_rest(document: ClipDocument, track: int, least_iou: float, agreement: Mapping[int, float]) -> Decision:
    """Accept all untouched frames whose IoU with the carried-over mask is least_iou or more; 0 takes all of them.

    agreement: that IoU by frame, where the store does not know it. A frame whose IoU nobody knows is only taken at 0.
    """
    _track(document, track)
    known = document.scores(track)[2]
    after = {}
    for frame in document.span(track):
        if document.state(track, frame) != "auto":
            continue
        value = float(known[document.position[frame]])
        value = agreement.get(frame, value) if np.isnan(value) else value
        if least_iou <= 0 or value >= least_iou:
            after[frame] = document.cell(track, frame).with_state("accepted")
    if not after and not document.finished(track):
        raise UsageError(f"track {track}: no untouched frame agrees so well", "lower the value, or look at its frames")
    return _of_cells(document, "accept_rest", track, after, hand_in=True)


def mend(document: ClipDocument, track: int, frame: int, cell: Cell) -> Decision:
    """Another mask for a frame; an empty one says that the track is not to be seen in it."""
    if cell.counts is None:
        raise UsageError(f"frame {frame}: no mask was given", "draw one, or say that the track is not to be seen")
    rle.check(cell.counts, document.height, document.width)
    state: State = "refined" if cell.area else "empty"
    _cell(document, track, frame)
    return _of_cells(document, "mend" if cell.area else "empty", track, {frame: cell.with_state(state)})


def add_track(document: ClipDocument, frame: int, cell: Cell, name: str, tag: str = "") -> Decision:
    """A new track that begins with a mask chosen on a frame. Raises UsageError for an empty mask."""
    if not cell.area or cell.counts is None:
        raise UsageError("a track cannot begin with an empty mask", "click on something first")
    rle.check(cell.counts, document.height, document.width)
    _number(document, frame)
    track = document.new_track()
    state = TrackState(_name(name) or f"track-{track}", frame, tag=_tag(tag), made_here=True)
    cells = [changed_cell(track, frame, Cell(), cell.with_state("refined"))]
    return Decision("add", track, cells, [changed_track(track, None, state)])


def carried(
    document: ClipDocument, track: int, masks: Mapping[int, Cell], frame: int, direction: str, model: str
) -> Decision:
    """Masks that a model made from a mended frame. Frames that somebody decided meanwhile keep what they have."""
    free = {f: cell.with_state("auto") for f, cell in masks.items() if document.state(track, f) not in DECIDED}
    more = {"from": frame, "direction": direction, "model": model, "frames": len(free)}
    made = _of_cells(document, "carry", track, free, more=more)
    before = _track(document, track)
    first = min([before.first_frame, *free])
    if first == before.first_frame:
        return made
    after = replace(before, first_frame=first, status="open" if before.status != "returned" else "returned")
    return replace(made, tracks=[changed_track(track, before, after)])


def empty_rest(document: ClipDocument, track: int, frame: int) -> Decision:
    """The track is not to be seen from a frame on: all undecided frames from there are empty."""
    _cell(document, track, frame)
    nothing = Cell(counts=rle.empty(document.height, document.width), state="empty")
    frames = [f for f in untouched(document, track, document.span(track)) if f >= frame]
    return _of_cells(document, "empty_rest", track, dict.fromkeys(frames, nothing))


def describe(document: ClipDocument, track: int, name: str | None = None, tag: str | None = None) -> Decision:
    """Another name or tag."""
    before = _track(document, track)
    after = replace(
        before,
        name=before.name if name is None else _name(name) or before.name,
        tag=before.tag if tag is None else _tag(tag),
    )
    return Decision("describe", track, tracks=[changed_track(track, before, after)])


def set_aside(document: ClipDocument, track: int, wanted: bool) -> Decision:
    """Reject a whole track (wanted False), or take it back in."""
    before = _track(document, track)
    status: Status = _open_or_done(document, track) if wanted else "rejected"
    return Decision(
        "restore" if wanted else "drop", track, tracks=[changed_track(track, before, replace(before, status=status))]
    )


def review(document: ClipDocument, track: int, satisfactory: bool, note: str, frame: int | None) -> Decision:
    """A supervisor's verdict on a finished track; one that is sent back carries a note. Raises UsageError otherwise."""
    before = _track(document, track)
    if before.status not in ("done", "approved", "returned"):
        raise UsageError(f"track {track} is not finished, it cannot be reviewed", "have it accepted first")
    note = " ".join(note.split())[:LONGEST_NOTE]
    if not satisfactory and not note:
        raise UsageError("a track is sent back with a note", "write what is wrong with it")
    if frame is not None:
        _number(document, frame)
    if satisfactory:
        after = replace(before, status="approved", note="", note_frame=None)
        return Decision("approve", track, tracks=[changed_track(track, before, after)])
    after = replace(before, status="returned", note=note, note_frame=frame)
    return Decision("return", track, tracks=[changed_track(track, before, after)], more={"note": note})


def _of_cells(
    document: ClipDocument,
    action: str,
    track: int,
    after: Mapping[int, Cell],
    hand_in: bool = False,
    more: Mapping[str, Any] | None = None,
) -> Decision:
    changes = [changed_cell(track, frame, document.cell(track, frame), cell) for frame, cell in after.items()]
    changes = [change for change in changes if change[3]]
    before = _track(document, track)
    states = {frame: cell.state for frame, cell in after.items()}
    status = _status_after(document, track, states, before, hand_in, bool(changes))
    tracks = [] if status == before.status else [changed_track(track, before, replace(before, status=status))]
    return Decision(action, track, changes, tracks, more or {})


def _status_after(
    document: ClipDocument,
    track: int,
    states: Mapping[int, State],
    before: TrackState,
    hand_in: bool,
    changes: bool,
) -> Status:
    if before.status == "rejected" or (before.status == "returned" and not hand_in):
        return before.status
    if before.status == "approved" and not changes:
        return "approved"
    left = document.counted(track)
    undecided = sum(count for state, count in left.items() if state not in DECIDED)
    for frame, state in states.items():
        undecided += (state not in DECIDED) - (document.state(track, frame) not in DECIDED)
    return "open" if undecided else "done"


def _open_or_done(document: ClipDocument, track: int) -> Status:
    return "done" if document.finished(track) else "open"


def _track(document: ClipDocument, track: int) -> TrackState:
    found = document.tracks.get(track)
    if found is None:
        raise UsageError(f"clip {document.name}: no track {track}", "reload the page")
    return found


def _number(document: ClipDocument, frame: int) -> int:
    if frame not in document.position:
        raise UsageError(f"clip {document.name}: no frame {frame}", "reload the page")
    return frame


def _cell(document: ClipDocument, track: int, frame: int) -> Cell:
    first = _track(document, track).first_frame
    if _number(document, frame) < first:
        raise UsageError(f"track {track} begins at frame {first}", "carry it back from there, or choose a later frame")
    return document.cell(track, frame)


def _name(text: str) -> str:
    return " ".join(text.split())[:LONGEST_NAME]


def _tag(text: str) -> Any:
    if text not in TAGS:
        raise UsageError(f"{text!r} is no tag", f"use one of {', '.join(filter(None, TAGS))}")
    return text


def untouched(document: ClipDocument, track: int, frames: Iterable[int]) -> list[int]:
    """Those of the frames that nobody has decided."""
    return [frame for frame in frames if document.state(track, frame) not in DECIDED]
