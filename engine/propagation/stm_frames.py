"""Frames and masks on their way into XMem and DEVA and out again.

Knows sizes, devices and how tracks are taken in chunks. Knows nothing of time, and of networks only that they encode a
frame; values and masks are a subclass's business.
"""

from collections.abc import Callable
from functools import partial
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.xmem.preprocess import (
    Nearest,
    inner_size,
    normalised,
    padded,
    resized,
    resized_masks,
    unpadded,
)
from engine.nn.aggregate import against_rivals
from engine.nn.conv_encoder import Features
from engine.nn.key import Key
from engine.propagation.chunked import arithmetic, over_tracks
from engine.propagation.given import refuse_other_sizes
from engine.propagation.mmpm_frames import EncodedFrame
from engine.runtime.batches import FittingBatches
from engine.runtime.upload import Uploads
from engine.types import BoolArray, FloatArray, UInt8Array


class Encoder(Protocol):
    """What a network makes of a frame, and how its hidden states begin."""

    def encode_image(self, image: Tensor) -> Features: ...
    def project(self, features: Features) -> Key: ...
    def empty_hidden(self, batch: int, objects: int, size: tuple[int, int]) -> Tensor: ...


class STMFrames:
    """Resizes by the short side, pads on all sides, encodes once a frame however many tracks there are."""

    nearest: Nearest = "corner"

    def __init__(
        self,
        encoder: Encoder,
        short_side: int | None,
        antialias: bool,
        device: torch.device,
        dtype: torch.dtype,
        chunk: int,
        exclusive: bool,
    ) -> None:
        self.device = device
        self.dtype = dtype
        self.exclusive = exclusive
        self.short_side = short_side
        self.antialias = antialias
        self._encoder = encoder
        self.look: Callable[[Tensor], tuple[Features, Key]] = partial(_look, encoder, device, dtype)
        self.uploads = Uploads(device)
        self._chunks = FittingBatches(chunk)

    @property
    def score_dtype(self) -> torch.dtype:
        """What similarities to the memory are worked out in."""
        return torch.float32

    def encode(self, frame: UInt8Array) -> EncodedFrame:
        """uint8 (H, W, 3) RGB of any size -> EncodedFrame."""
        size = frame.shape[0], frame.shape[1]
        inner = inner_size(*size, self.short_side)
        image = padded(resized(normalised(self.uploads.take(frame)), inner, self.antialias))
        return EncodedFrame(image, *self.look(image), size, inner)

    def masks_in(self, frame: EncodedFrame, masks: BoolArray) -> Tensor:
        """bool (N, H, W) of the frame's size -> 0/1 float (N, H', W') of the padded input."""
        refuse_other_sizes(masks, frame.size)
        small = resized_masks(masks, frame.inner, self.nearest)
        return padded(torch.from_numpy(small).to(self.device).float())

    def probabilities_out(self, frame: EncodedFrame, soft: Tensor) -> Tensor:
        """Probabilities (N, H', W') of the padded input -> (N, H, W) of the frame's size."""
        cropped = unpadded(soft, frame.inner).float()
        if frame.inner == frame.size or not len(cropped):
            return cropped
        return F.interpolate(cropped[None], size=frame.size, mode="bilinear", align_corners=False)[0]

    def masks_out(self, frame: EncodedFrame, soft: Tensor) -> FloatArray:
        """The same as float32 array, > 0.5 where a track wins; exclusive tracks against each other."""
        soft = self.probabilities_out(frame, soft)
        result: FloatArray = (against_rivals(soft) if self.exclusive else soft).cpu().numpy()
        return result

    def empty_hidden(self, frame: EncodedFrame, tracks: int) -> Tensor:
        """Zeros (tracks, C_h, h, w)."""
        return self._encoder.empty_hidden(1, tracks, (frame.image.shape[2], frame.image.shape[3]))[0]

    def _over_tracks(self, work: Callable[[slice], tuple[Tensor, Tensor]], tracks: int) -> tuple[Tensor, Tensor]:
        with arithmetic(self.device, self.dtype):
            return over_tracks(self._chunks, work, tracks)


def _look(encoder: Encoder, device: torch.device, dtype: torch.dtype, image: Tensor) -> tuple[Features, Key]:
    """All that is worked out of a padded, normalised (1, 3, H, W) alone, whatever tracks there are."""
    with arithmetic(device, dtype):
        features = encoder.encode_image(image)
    return features, encoder.project(features)  # in float32: small differences of keys decide
