"""Frames and masks on their way into MAVOS and out again. Knows the network, its device and precision, not time."""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.mavos.network import MAVOS, Features
from engine.models.mavos.preprocess import network_size, prepared, prepared_there
from engine.propagation.given import refuse_other_sizes
from engine.runtime.precision import autocast
from engine.runtime.upload import Uploads
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
        self.look: Callable[[Tensor], Features] = partial(_look, self.network, device, dtype)
        self.uploads = Uploads(
            device, partial(_on_host, self.config.align_corners), partial(_there, self.config.align_corners)
        )

    def encode(self, frame: UInt8Array) -> MAVOSFrame:
        """uint8 (H, W, 3) RGB of any size -> MAVOSFrame."""
        image = self.uploads.take(frame)
        inner = image.shape[2], image.shape[3]
        return MAVOSFrame(self.look(image), (frame.shape[0], frame.shape[1]), inner)

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


def _on_host(align_corners: bool, frame: UInt8Array) -> Tensor:
    """uint8 (H, W, 3) -> normalised (1, 3, h, w) of the network's size."""
    return prepared(frame, network_size(frame.shape[0], frame.shape[1], align_corners))


def _there(align_corners: bool, pixels: Tensor) -> Tensor:
    """The same for a picture that lies on the device."""
    return prepared_there(pixels, network_size(pixels.shape[0], pixels.shape[1], align_corners))


def _look(network: MAVOS, device: torch.device, dtype: torch.dtype, image: Tensor) -> Features:
    """All that is worked out of a frame alone, whatever tracks there are."""
    with autocast(device, dtype):
        return network.encode(image)
