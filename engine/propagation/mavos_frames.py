"""Frames and masks on their way into MAVOS and out again. Knows the network, its device and precision, not time."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.mavos.network import MAVOS, Features
from engine.models.mavos.preprocess import network_size, prepared
from engine.propagation.given import refuse_other_sizes
from engine.runtime.precision import autocast
from engine.types import BoolArray, FloatArray, UInt8Array


class MAVOSFrame(NamedTuple):
    """A frame as the network sees it. size: of the frame itself; inner: of the network's input."""

    features: Features
    size: tuple[int, int]
    inner: tuple[int, int]


class MAVOSFrames:
    """A MAVOS at work on one device. Masks keep the frame's own size; labels go in at the network's."""

    def __init__(self, network: MAVOS, device: torch.device, dtype: torch.dtype, exclusive: bool) -> None:
        self.config = network.config
        self.network = network.to(device).eval()
        self.device = device
        self.dtype = dtype
        self.exclusive = exclusive

    def encode(self, frame: UInt8Array) -> MAVOSFrame:
        """uint8 (H, W, 3) RGB of any size -> MAVOSFrame."""
        size = frame.shape[0], frame.shape[1]
        inner = network_size(*size, self.config.align_corners)
        image = prepared(frame, inner).to(self.device)
        with autocast(self.device, self.dtype):
            return MAVOSFrame(self.network.encode(image), size, inner)

    def masks_in(self, frame: MAVOSFrame, masks: BoolArray) -> Tensor:
        """bool (N, H, W) of the frame's size -> 0/1 float (N, H, W). Raises MaskError on other sizes."""
        refuse_other_sizes(masks, frame.size)
        return torch.from_numpy(masks.astype("float32")).to(self.device)

    def masks_out(self, frame: MAVOSFrame, soft: Tensor) -> FloatArray:
        """(N, H, W) -> float32 (N, H, W)."""
        result: FloatArray = soft.float().cpu().numpy()
        return result

    def label_in(self, frame: MAVOSFrame, label: Tensor) -> Tensor:
        """Labels (H, W) of the frame's size -> those of the network's input, nearest."""
        return F.interpolate(label[None, None].float(), size=frame.inner)[0, 0].long()
