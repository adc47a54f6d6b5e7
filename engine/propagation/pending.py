"""A tracker's bookkeeping around the frame that was stepped last.

Nothing of a frame is remembered before the next call that needs it remembered, so that masks given on the frame (new
tracks, corrections) take the place of predictions before anything enters memory. Knows rows and soft masks; what is
read and written is a subclass's business.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

import torch
from torch import Tensor

from engine.errors import UsageError
from engine.propagation.given import refuse_another_size
from engine.types import BoolArray, FloatArray, UInt8Array


class SizedFrame(Protocol):
    """A frame as some network sees it; `size` is the frame's own (height, width)."""

    @property
    def size(self) -> tuple[int, int]: ...


FrameT = TypeVar("FrameT", bound=SizedFrame)


class Frames(Protocol[FrameT]):
    """What turns frames and masks into a network's inputs and back."""

    exclusive: bool

    def encode(self, frame: UInt8Array) -> FrameT: ...
    def masks_in(self, frame: FrameT, masks: BoolArray) -> Tensor: ...
    def masks_out(self, frame: FrameT, soft: Tensor) -> FloatArray: ...


@dataclass
class Pending(Generic[FrameT]):
    """A frame not yet remembered. soft: (N, H', W') of the padded input. given: rows with masks that somebody gave.

    last: no frame follows. segmented: it was read from memory, so predictions stand behind what is not given.
    """

    frame: FrameT
    soft: Tensor
    given: set[int] = field(default_factory=set)
    last: bool = False
    segmented: bool = True


class PendingTracker(ABC, Generic[FrameT]):
    """The Tracker interface on top of three questions: segment a frame, remember one, take tracks away."""

    def __init__(self, frames: Frames[FrameT]) -> None:
        self.frames = frames
        self.exclusive = frames.exclusive
        self.time = 0
        self.size = (0, 0)
        self._pending: Pending[FrameT] | None = None

    @torch.inference_mode()
    def start(self, frame: UInt8Array, masks: BoolArray) -> None:
        """Begin with bool masks (N, H, W), N >= 1, on the first frame. Raises MaskError on other sizes."""
        encoded = self.frames.encode(frame)
        given = self.frames.masks_in(encoded, masks)
        self.time = 0
        self.size = encoded.size
        self._begin(encoded)
        self._enter(encoded, len(given))
        self._pending = Pending(encoded, given, set(range(len(given))), segmented=False)

    @torch.inference_mode()
    def step(self, frame: UInt8Array, last: bool = False) -> FloatArray:
        """The tracks in the next frame: float32 (N, H, W) in [0, 1], object where > 0.5."""
        refuse_another_size(frame, self.size)
        self._settle()
        self.time += 1
        encoded = self.frames.encode(frame)
        self._pending = Pending(encoded, self._segment(encoded, last), last=last)
        return self.current()

    @torch.inference_mode()
    def current(self) -> FloatArray:
        """The tracks in the frame of the last call, masks given there included: float32 (N, H, W)."""
        pending = self._open()
        return self.frames.masks_out(pending.frame, self._final(pending))

    @torch.inference_mode()
    def add(self, frame: UInt8Array, masks: BoolArray) -> None:
        """More tracks on the frame that was stepped last: bool (M, H, W). They get the last M rows."""
        pending = self._open()
        given = self.frames.masks_in(pending.frame, masks)
        first = len(pending.soft)
        pending.soft = torch.cat([pending.soft, given])
        self._enter(pending.frame, len(given))
        self._give(pending, range(first, len(pending.soft)), given)

    @torch.inference_mode()
    def correct(self, rows: Sequence[int], masks: BoolArray) -> None:
        """New masks for existing tracks on the frame that was stepped last: bool (len(rows), H, W)."""
        pending = self._open()
        self._give(pending, rows, self.frames.masks_in(pending.frame, masks))

    @torch.inference_mode()
    def drop(self, rows: Sequence[int]) -> None:
        """End tracks; the rows behind them move up."""
        self._settle()
        self._leave(rows)

    @abstractmethod
    def state(self) -> dict[str, Any]:
        """Everything needed to go on: plain arrays, numbers, strings, lists and dicts."""

    @abstractmethod
    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken; the next call is `step` of the following frame."""

    @abstractmethod
    def _begin(self, frame: FrameT) -> None:
        """Forget the clip before."""

    @abstractmethod
    def _enter(self, frame: FrameT, tracks: int) -> None:
        """Make room for further tracks."""

    @abstractmethod
    def _leave(self, rows: Sequence[int]) -> None:
        """Forget these tracks."""

    @abstractmethod
    def _segment(self, frame: FrameT, last: bool) -> Tensor:
        """Probabilities (N, H', W') of all tracks in a frame."""

    @abstractmethod
    def _remember(self, pending: Pending[FrameT]) -> None:
        """Take a frame, which is not the last, into memory as far as wanted."""

    def _final(self, pending: Pending[FrameT]) -> Tensor:
        """The masks of a frame once nothing more is given on it."""
        return pending.soft

    def _give(self, pending: Pending[FrameT], rows: Sequence[int], masks: Tensor) -> None:
        """Masks for some rows; where tracks exclude each other the predictions of all others yield to them."""
        pending.given |= set(rows)
        pending.soft = pending.soft.clone()
        if self.exclusive:
            predicted = [row for row in range(len(pending.soft)) if row not in pending.given]
            pending.soft[predicted] *= masks.amax(0) <= 0
        pending.soft[list(rows)] = masks

    def _settle(self) -> None:
        """Remember the pending frame, if there is one that another frame may follow."""
        pending, self._pending = self._pending, None
        if pending is not None and not pending.last:
            self._remember(pending)

    def _settled(self) -> dict[str, Any]:
        """Settle, then where the tracker stands: what every tracker's state has."""
        self._settle()
        return {"time": self.time, "size": list(self.size)}

    def _resettle(self, state: dict[str, Any]) -> None:
        """Stand where `_settled` did."""
        self._pending = None
        self.time = int(state["time"])
        self.size = int(state["size"][0]), int(state["size"][1])

    def _open(self) -> Pending[FrameT]:
        if self._pending is None:
            raise UsageError("masks can only be given on the frame that was stepped last", "step to a frame first")
        return self._pending
