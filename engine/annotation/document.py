"""One clip as annotators see it: what the store holds, and on top of it everything that was decided since.

Masks of the store are read when they are asked for; only states, scores and what was changed are kept. Knows cells and
changes. Knows nothing of the journal, and lets nobody change it but by `apply`.
"""

import math
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from engine.annotation.cells import (
    DECIDED,
    STATES,
    Cell,
    Plain,
    State,
    TrackState,
    difference,
    unpacked_states,
)
from engine.errors import StoreError
from engine.masks import rle
from engine.store.source import ClipMasks
from engine.types import BoolArray, FloatArray, Track

PROVENANCE = "annotation"
CellChange = list[Any]  # [track, frame, before, after], before and after plain values that differ
TrackChange = list[Any]  # [track, before, after], None where the track is not there


class ClipDocument:
    """The tracks and cells of a clip. `numbers`: the frame numbers of its video, ascending; a position counts them."""

    def __init__(self, clip: ClipMasks, numbers: Sequence[int]) -> None:
        self.clip = clip
        self.name, self.height, self.width = clip.name, clip.height, clip.width
        self.numbers = list(numbers)
        self.position = {number: at for at, number in enumerate(self.numbers)}
        self.tracks: dict[int, TrackState] = {}
        self._states: dict[int, np.ndarray] = {}
        self._scores: dict[int, FloatArray] = {}
        self._changed: dict[int, dict[int, Cell]] = {}  # by frame number, then track
        self._guard = threading.RLock()
        self._read()

    def cell(self, track: int, frame: int) -> Cell:
        """The mask of a track in a frame (number) and its state."""
        with self._guard:
            changed = self._changed.get(frame, {}).get(track)
            if changed is not None:
                return changed
            row = next(iter(self.clip.records(frame=frame, track=track)), None)
            return Cell() if row is None else Cell.of_record(row, self.state(track, frame))

    def cells(self, frame: int) -> dict[int, Cell]:
        """All cells of a frame that have a mask, by track."""
        with self._guard:
            rows = self.clip.records(frame=frame)
            found = {r.track: Cell.of_record(r, self.state(r.track, frame)) for r in rows if r.track in self.tracks}
            found.update(self._changed.get(frame, {}))
            known = sorted(found.items())
            return {track: cell for track, cell in known if track in self.tracks and cell.counts is not None}

    def mask(self, track: int, frame: int) -> BoolArray | None:
        """bool (H, W), None where no mask is known."""
        counts = self.cell(track, frame).counts
        return None if counts is None else np.ascontiguousarray(rle.decode(counts, self.height, self.width))

    def state(self, track: int, frame: int) -> State:
        """The state of a cell."""
        return STATES[int(self._states[track][self.position[frame]])]

    def states(self, track: int) -> list[State]:
        """The states of all frames of a track, those before its first frame too."""
        return [STATES[code] for code in self._states[track].tolist()]

    def scores(self, track: int) -> FloatArray:
        """(3, frames): predicted IoU, stability, IoU with the carried-over mask; NaN where not known."""
        return self._scores[track]

    def span(self, track: int) -> Sequence[int]:
        """Frame numbers from the track's first one on: all of them have to be decided."""
        first = self.tracks[track].first_frame
        return [number for number in self.numbers if number >= first]

    def finished(self, track: int) -> bool:
        """Whether every frame of the track is decided."""
        return set(self._codes(track).tolist()) <= {STATES.index(state) for state in DECIDED}

    def counted(self, track: int) -> dict[State, int]:
        """How many frames of the track are in which state, from its first frame on."""
        counts = np.bincount(self._codes(track), minlength=len(STATES)).tolist()
        return dict(zip(STATES, counts, strict=True))

    def new_track(self) -> int:
        """An id that no track has."""
        return max(self.tracks, default=0) + 1

    def apply(self, cells: Iterable[CellChange], tracks: Iterable[TrackChange]) -> None:
        """Take changes over. Raises StoreError for changes that do not fit this clip."""
        with self._guard:
            for track, _, after in tracks:
                self._apply_track(int(track), after)
            for track, frame, _, after in cells:
                self._apply_cell(int(track), int(frame), after)

    def fits(self, cells: Iterable[CellChange], tracks: Iterable[TrackChange]) -> bool:
        """Whether changes can be taken back: everything still is as they left it."""
        for track, _, after in tracks:
            state = self.tracks.get(int(track))
            if not _holds(None if state is None else state.plain(), after):
                return False
        return all(_holds(self.cell(int(track), int(frame)).plain(), after) for track, frame, _, after in cells)

    def summary(self) -> Plain:
        """For the store's provenance: what the tracks are, beyond what its tables hold."""
        return {str(track): state.plain() for track, state in self.tracks.items()}

    def _codes(self, track: int) -> np.ndarray:
        codes: np.ndarray = self._states[track][len(self.numbers) - len(self.span(track)) :]
        return codes

    def _apply_track(self, track: int, values: Plain | None) -> None:
        if values is None:
            self.tracks.pop(track, None)
            return
        known = self.tracks.get(track)
        self.tracks[track] = TrackState.of_plain(values if known is None else {**known.plain(), **values})
        if track not in self._states:
            self._enter(track)

    def _apply_cell(self, track: int, frame: int, values: Plain | None) -> None:
        if track not in self._states or frame not in self.position:
            raise StoreError(
                f"clip {self.name}: no track {track} or no frame {frame}", "the journal is of another clip"
            )
        cell = Cell.of_plain({**self.cell(track, frame).plain(), **(values or {})})
        self._changed.setdefault(frame, {})[track] = cell
        self._note(track, frame, cell)

    def _note(self, track: int, frame: int, cell: Cell) -> None:
        at = self.position[frame]
        self._states[track][at] = STATES.index(cell.state)
        self._scores[track][:, at] = cell.score, cell.stability, cell.warped_iou

    def _enter(self, track: int) -> None:
        self._states[track] = np.zeros(len(self.numbers), np.uint8)
        self._scores[track] = np.full((3, len(self.numbers)), math.nan, np.float32)

    def _read(self) -> None:
        """Everything of the store but the masks."""
        kept: Mapping[str, Any] = (getattr(self.clip, "provenance", None) or {}).get(PROVENANCE, {})
        for track in self.clip.tracks:
            self.tracks[track.id] = _track_state(track, kept.get("tracks", {}).get(str(track.id)))
            self._enter(track.id)
        for row in self.clip.records():
            if row.track in self.tracks and row.frame in self.position:
                self._note(row.track, row.frame, Cell.of_record(row))
        for track_id, text in kept.get("states", {}).items():
            self._restore(int(track_id), unpacked_states(text))

    def _restore(self, track: int, states: list[State]) -> None:
        if track not in self._states or len(states) != len(self.numbers):
            return  # another video, or tracks that were taken out since: the masks are what is left
        self._states[track][:] = [STATES.index(state) for state in states]


def changed_cell(track: int, frame: int, before: Cell, after: Cell) -> CellChange:
    """The change of a cell, with only what differs."""
    return [track, frame, *difference(before.plain(), after.plain())]


def changed_track(track: int, before: TrackState | None, after: TrackState) -> TrackChange:
    """The change of a track; before is None where it is new."""
    return [track, *difference(None if before is None else before.plain(), after.plain())]


def _holds(found: Plain | None, wanted: Plain | None) -> bool:
    if found is None or wanted is None:
        return found is wanted
    return all(found[key] == value for key, value in wanted.items())


def _track_state(track: Track, kept: Plain | None) -> TrackState:
    if kept is not None:
        return TrackState.of_plain(kept)
    status = {"rejected": "rejected", "accepted": "done", "mended": "done"}.get(track.review, "open")
    return TrackState.of_plain(
        TrackState(track.name, track.first_frame, track.parent, track.level).plain() | {"status": status}
    )
