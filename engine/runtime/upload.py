"""Pictures on their way to a device, begun on one thread and taken on another.

On CUDA a picture goes to page-locked memory and from there to the card on a stream of its own, so that the copy runs
while the card works on the picture before. Everywhere else nothing happens before a picture is asked for. Knows arrays
and tensors; what is done to a picture before it goes is the caller's.
"""

import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from engine.types import UInt8Array

DEPTH = 4
"""Pictures held that nobody took yet: two made ready, one being made ready, one kept back to know the last."""


class Copies(Protocol):
    """How a tensor of the host begins its way, and how it is waited for there."""

    def begin(self, host: Tensor) -> "Begun": ...
    def finish(self, begun: "Begun") -> Tensor: ...


class Begun(NamedTuple):
    """A tensor on the device that is being filled, and what says that it is full."""

    there: Tensor
    full: Any


def pixels_of(picture: UInt8Array) -> Tensor:
    """uint8 (H, W, 3) as it is, without a copy where it lies as tensors do and may be written to."""
    return torch.from_numpy(np.require(picture, requirements=("C", "W")))


def as_it_is(pixels: Tensor) -> Tensor:
    """The same."""
    return pixels


class _Held(NamedTuple):
    """A picture, held so that its identity stays its own, and its copy under way."""

    picture: UInt8Array
    begun: Begun


class Uploads:
    """Pictures by identity: `begin` on the thread that decodes, `take` on the thread of the model.

    host: what is sent of a picture; equal wherever it is called. A picture that was not begun, or begun so long ago
    that `depth` others came since, is sent when it is taken; so `begin` changes when things happen, never what comes.
    there: the same as `host` for pictures that lie on a device already (those with a `tensor`, uint8 (H, W, 3)), up to
    the rounding of resizing there.
    """

    def __init__(
        self,
        device: torch.device,
        host: Callable[[UInt8Array], Tensor] = pixels_of,
        there: Callable[[Tensor], Tensor] = as_it_is,
        copies: Copies | None = None,
        depth: int = DEPTH,
    ) -> None:
        self._device = device
        self._host = host
        self._there = there
        self._copies = copies or (CardCopies(device) if device.type == "cuda" else None)
        self._held: deque[_Held] = deque(maxlen=depth)
        self._lock = threading.Lock()

    def begin(self, picture: UInt8Array) -> None:
        """Start sending; nothing where the device is no card, or the picture is there."""
        if self._copies is None or hasattr(picture, "tensor"):
            return
        host = self._host(picture)
        try:
            begun = self._copies.begin(host)
        except RuntimeError:  # no page-locked memory, say; what truly ails the card shows when the picture is taken
            return
        with self._lock:
            self._held.append(_Held(picture, begun))

    def take(self, picture: UInt8Array) -> Tensor:
        """What `host` makes of the picture, on the device. Pictures begun before it are forgotten."""
        if hasattr(picture, "tensor"):
            return self._there(picture.tensor.to(self._device))
        held = None if self._copies is None else self._pop(picture)
        if held is None or self._copies is None:
            return self._host(picture).to(self._device)
        return self._copies.finish(held.begun)

    def _pop(self, picture: UInt8Array) -> _Held | None:
        with self._lock:
            if all(held.picture is not picture for held in self._held):
                return None
            while (held := self._held.popleft()).picture is not picture:
                pass
            return held


class _Slot:
    """A page-locked buffer, and the event that says that its last copy has ended."""

    def __init__(self) -> None:
        self.buffer: Tensor | None = None
        self.copied = torch.cuda.Event()

    def filled(self, host: Tensor) -> Tensor:
        """The buffer with the values of `host`, once nothing is copied from it any more."""
        self.copied.synchronize()
        if self.buffer is None or self.buffer.shape != host.shape or self.buffer.dtype != host.dtype:
            self.buffer = torch.empty(host.shape, dtype=host.dtype, pin_memory=True)
        return self.buffer.copy_(host)


class CardCopies:
    """Copies to a CUDA device through two page-locked buffers in turn, on a stream of their own."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._stream = torch.cuda.Stream(device)
        self._slots = deque((_Slot(), _Slot()))

    def begin(self, host: Tensor) -> Begun:
        """Start filling a tensor on the card."""
        slot = self._slots[0]
        self._slots.rotate(1)
        buffer = slot.filled(host)
        with torch.cuda.stream(self._stream):
            there = buffer.to(self._device, non_blocking=True)
            slot.copied.record(self._stream)
            full = torch.cuda.Event()
            full.record(self._stream)
        return Begun(there, full)

    def finish(self, begun: Begun) -> Tensor:
        """The tensor, for work that is queued from now on: the card waits for the copy, the program does not."""
        there, full = begun
        stream = torch.cuda.current_stream(self._device)
        stream.wait_event(full)
        # It was allocated for the stream of copies; without this its memory could be filled anew while it is read.
        there.record_stream(stream)
        return there
