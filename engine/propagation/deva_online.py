"""When DEVA looks for objects: every so often in a few frames running, which then vote (DEVA, section 3.2).

Frames go in one by one; they come out with their objects, a few frames late where a vote is due. Knows detectors by
what they return for a frame.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from engine.errors import UsageError
from engine.propagation.detections import Detection, Labels
from engine.propagation.deva_detecting import DetectingTracker
from engine.propagation.mmpm_frames import EncodedFrame
from engine.types import UInt8Array

Detector = Callable[[UInt8Array, EncodedFrame, Labels | None], Detection]
"""A frame as it is and as it is encoded, and where objects are foreseen (None: there are none yet), to segments at the
encoded frame's inner size."""


class Found(NamedTuple):
    """A frame that is done: probabilities (N, H', W') of the objects with these ids."""

    frame: EncodedFrame
    soft: Tensor
    objects: list[int]


class SemiOnline:
    """every: frames between two looks. voting: frames of one look; 1 takes a detection as it is, at once.

    incremental: the detector leaves out what is followed already. as_published: objects are foreseen as the published
    program does it, with the picture of the first waiting frame, changing memory.
    """

    def __init__(
        self,
        tracker: DetectingTracker,
        detector: Detector,
        every: int = 5,
        voting: int = 3,
        incremental: bool = False,
        as_published: bool = False,
    ) -> None:
        if every < 1 or not voting >= 1:
            raise UsageError(f"looking at {voting} frames every {every} frames", "give positive numbers")
        self.tracker = tracker
        self._detector = detector
        self._every = every
        self._voting = voting
        self._incremental = incremental
        self._as_published = as_published
        self._time = -1
        self._next = voting - 1
        self._looked = False
        self._waiting: list[tuple[EncodedFrame, Detection]] = []

    @property
    def waiting(self) -> int:
        """Frames that went in and have not come out; the state can be taken while there are none."""
        return len(self._waiting)

    @torch.inference_mode()
    def feed(self, image: UInt8Array, last: bool = False) -> list[Found]:
        """The frames that are done once this one, uint8 (H, W, 3), is known. last: no frame follows."""
        self._time += 1
        frame = self.tracker.frames.encode(image)
        if self._time + self._voting <= self._next:
            return [self._carried(frame, last)]
        self._waiting.append((frame, self._detected(image, frame)))
        if self._time == self._next:
            self._next += self._every
            return self._voted(last)
        return self._flushed() if last else []

    def state(self) -> dict[str, Any]:
        """Everything needed to go on; only while nothing is waiting."""
        assert not self._waiting, "frames are waiting for a vote"
        clock = {"time": self._time, "next": self._next, "looked": self._looked}
        return {**clock, "tracker": self.tracker.state()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._time, self._next, self._looked = int(state["time"]), int(state["next"]), bool(state["looked"])
        self._waiting = []
        self.tracker.load_state(state["tracker"])

    def _detected(self, image: UInt8Array, frame: EncodedFrame) -> Detection:
        seen = self._waiting[0][0] if self._as_published and self._waiting else frame
        foreseen = self.tracker.foresee(seen, self._as_published) if self._incremental else None
        return self._detector(image, frame, foreseen)

    def _carried(self, frame: EncodedFrame, last: bool) -> Found:
        soft = self.tracker.carry(frame, last)
        return self._found(frame, soft)

    def _voted(self, last: bool) -> list[Found]:
        """The waiting frames: what they agree on joins the first of them, the others follow."""
        clip, self._waiting, self._looked = self._waiting, [], True
        found = clip[0][1] if len(clip) == 1 else self.tracker.agree(clip)
        first = clip[0][0]
        result = [self._found(first, self.tracker.incorporate(first, found, self._incremental))]
        return result + [self._carried(frame, last and frame is clip[-1][0]) for frame, _ in clip[1:]]

    def _flushed(self) -> list[Found]:
        """The video ended before a vote. In one too short for any, the frames that there are vote."""
        if not self._looked:
            return self._voted(True)
        clip, self._waiting = self._waiting, []
        return [self._carried(frame, frame is clip[-1][0]) for frame, _ in clip]

    def _found(self, frame: EncodedFrame, soft: Tensor) -> Found:
        return Found(frame, soft, [entry.id for entry in self.tracker.objects.objects])
