"""The one loop that drives any tracker: frames and prompts in, masks of every track out, frame by frame.

Knows track ids, prompts on any frame, empty masks and how to go on after a restart. Knows nothing of how a tracker
works, of files or of stores. It holds one frame ahead, to tell the tracker which is the last, and no other.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from engine.propagation.tracker import Tracker
from engine.types import BoolArray, FloatArray, Frame

PromptMasks = Mapping[int, BoolArray]  # masks bool (H, W) given on one frame, by track id


class TrackMask(NamedTuple):
    """A track in a frame. soft: float32 (H, W) in [0, 1]; mask: soft > 0.5, or what was given.

    score: mean of `soft` inside `mask`; 1 for masks that were given, 0 where the mask is empty.
    """

    soft: FloatArray
    mask: BoolArray
    score: float


class FrameMasks(NamedTuple):
    """All tracks known so far in the frame of this index, by track id."""

    frame: int
    tracks: dict[int, TrackMask]


def propagate(
    frames: Iterable[Frame],
    prompts: Mapping[int, PromptMasks],
    tracker: Tracker,
    exclusive: bool = False,
    on_frame: Callable[[int], None] | None = None,
) -> Iterator[FrameMasks]:
    """Masks of every frame from the first prompt on; see `Propagation` for runs that can be interrupted."""
    return Propagation(tracker, exclusive).run(frames, prompts, on_frame)


class Propagation:
    """A propagation under way: which track is which row of the tracker, and where it stands.

    exclusive: masks given on a frame take their pixels from all other tracks (the tracker should be exclusive too).
    """

    def __init__(self, tracker: Tracker, exclusive: bool = False) -> None:
        self.tracker = tracker
        self.exclusive = exclusive
        self.next_frame = 0
        self._rows: list[int] = []  # track ids, in the order of the tracker's rows
        self._absent: list[int] = []  # tracks whose masks were all empty so far; the tracker does not know them

    def run(
        self,
        frames: Iterable[Frame],
        prompts: Mapping[int, PromptMasks],
        on_frame: Callable[[int], None] | None = None,
        live: bool = False,
    ) -> Iterator[FrameMasks]:
        """Yield masks for every frame from the first prompt on, or, after `load_state`, for those not yet done.

        prompts: by frame index. An id that is not known yet begins a track, one that is known corrects it. Frames
        before the first prompt and frames already done are skipped. A track whose mask is empty stays empty until it
        gets another. on_frame: told the index of every frame when it is done. live: a frame is worked on as soon as it
        comes, so the tracker is never told which is the last. Raises MaskError for masks of another size than their
        frame.
        """
        for frame, last in ((frame, False) for frame in frames) if live else with_last(frames):
            given = prompts.get(frame.index, {})
            known = bool(self._rows or self._absent)
            if frame.index >= self.next_frame and (known or given):
                soft = self._advance(frame, given, last)
                self.next_frame = frame.index + 1
                yield FrameMasks(frame.index, self._results(frame, given, soft))
            if on_frame is not None:
                on_frame(frame.index)

    def state(self) -> dict[str, Any]:
        """Everything needed to go on after the frame that was yielded last, the tracker included."""
        return {
            "next_frame": self.next_frame,
            "rows": list(self._rows),
            "absent": list(self._absent),
            "tracker": self.tracker.state() if self._rows else {},
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self.next_frame = int(state["next_frame"])
        self._rows = [int(track) for track in state["rows"]]
        self._absent = [int(track) for track in state["absent"]]
        if self._rows:
            self.tracker.load_state(state["tracker"])

    def _advance(self, frame: Frame, given: PromptMasks, last: bool) -> dict[int, FloatArray]:
        """Take the tracker to this frame and hand it the prompts; predictions by track id."""
        soft: dict[int, FloatArray] = {}
        started = bool(self._rows)
        if started:
            soft = dict(zip(self._rows, self.tracker.step(frame.image, last), strict=True))
        corrected = [track for track in given if track in self._rows]
        if corrected:
            rows = [self._rows.index(track) for track in corrected]
            self.tracker.correct(rows, np.stack([given[track] for track in corrected]))
        entering = [track for track, mask in given.items() if track not in self._rows and mask.any()]
        if entering:
            masks = np.stack([given[track] for track in entering])
            (self.tracker.add if started else self.tracker.start)(frame.image, masks)
        self._rows += entering
        self._absent = [track for track in dict.fromkeys([*self._absent, *given]) if track not in self._rows]
        return soft

    def _results(self, frame: Frame, given: PromptMasks, soft: dict[int, FloatArray]) -> dict[int, TrackMask]:
        """Given masks as they are, predictions for all others, in the order of ids."""
        taken = np.logical_or.reduce(list(given.values())) if self.exclusive and given else None
        results = {}
        for track in sorted([*self._rows, *self._absent]):
            if track in given:
                mask = np.asarray(given[track], dtype=np.bool_)
                results[track] = TrackMask(mask.astype(np.float32), mask, float(mask.any()))
            elif track in soft:
                results[track] = scored(soft[track] if taken is None else np.where(taken, 0, soft[track]))
            else:
                results[track] = scored(np.zeros(frame.image.shape[:2], np.float32))
        return results


def scored(soft: FloatArray) -> TrackMask:
    """A prediction as it is answered."""
    mask = soft > 0.5
    return TrackMask(soft, mask, float(soft[mask].mean()) if mask.any() else 0.0)


def with_last(frames: Iterable[Frame]) -> Iterator[tuple[Frame, bool]]:
    """Every frame, and whether it is the last."""
    iterator = iter(frames)
    current = next(iterator, None)
    while current is not None:
        following = next(iterator, None)
        yield current, following is None
        current = following
