"""Frames and masks on their way into BMVOS and out again. Knows the network, its device and precision, not time."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from engine.models.bmvos.network import BMVOS, Encoded
from engine.models.bmvos.preprocess import (
    SMALLEST_OBJECT,
    Border,
    border,
    cropped,
    nearest,
    padded,
    resized,
    usual_size,
)
from engine.nn.aggregate import against_rivals
from engine.propagation.given import refuse_other_sizes
from engine.runtime.precision import autocast
from engine.runtime.upload import Uploads
from engine.types import BoolArray, FloatArray, UInt8Array

Size = tuple[int, int]


class BMVOSFrame(NamedTuple):
    """A frame as the network sees it. size: of the frame itself; inner: after resizing, before the border."""

    encoded: Encoded
    size: Size
    inner: Size
    around: Border


class BMVOSFrames:
    """A BMVOS at work on one device."""

    def __init__(
        self,
        network: BMVOS,
        device: torch.device,
        dtype: torch.dtype,
        exclusive: bool,
        usual: bool = True,
    ) -> None:
        """usual: frames are brought to a short side of 480, else they are taken as they are."""
        self.network = network.to(device).eval()
        self.device = device
        self.dtype = dtype
        self.exclusive = exclusive
        self.look: Callable[[Tensor], Encoded] = partial(_look, self.network, device, dtype)
        self.uploads = Uploads(device)
        self._usual = usual
        self.own_size = not usual

    def choose_size(self, masks: BoolArray) -> None:
        """Whether a video keeps its own size: where some mask (N, H, W) of its first ones would be too small."""
        height, width = masks.shape[1:]
        size = usual_size(height, width)
        self.own_size = not self._usual
        if self._usual and min(height, width) >= 16 and size != (height, width):
            small = nearest(torch.from_numpy(masks.astype("float32")), size)
            self.own_size = bool((small.sum((1, 2)) < SMALLEST_OBJECT).any())

    def encode(self, frame: UInt8Array) -> BMVOSFrame:
        """uint8 (H, W, 3) RGB of any size -> BMVOSFrame."""
        size = frame.shape[0], frame.shape[1]
        inner = size if self.own_size else usual_size(*size)
        around = border(*inner)
        pixels = self.uploads.take(frame).permute(2, 0, 1)[None].float() / 255
        return BMVOSFrame(self.look(padded(resized(pixels, inner), around)), size, inner, around)

    def masks_in(self, frame: BMVOSFrame, masks: BoolArray) -> Tensor:
        """bool (N, H, W) of the frame's size -> 0/1 float (N, H', W') of the padded input."""
        refuse_other_sizes(masks, frame.size)
        small = nearest(torch.from_numpy(masks.astype("float32")).to(self.device), frame.inner)
        return padded(small[None], frame.around)[0]

    def masks_out(self, frame: BMVOSFrame, soft: Tensor) -> FloatArray:
        """Shares (N, H', W') of the padded input -> float32 (N, H, W) of the frame's size, nearest."""
        planes = cropped(soft, frame.around).float()
        planes = against_rivals(planes) if self.exclusive else planes
        result: FloatArray = nearest(planes, frame.size).cpu().numpy()
        return result


def _look(network: BMVOS, device: torch.device, dtype: torch.dtype, image: Tensor) -> Encoded:
    """All that is worked out of a frame alone, whatever tracks there are."""
    with autocast(device, dtype):
        return network.encode(image)
