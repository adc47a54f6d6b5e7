"""Frames and masks on their way into MMPM and out again, and its parts run over tracks in chunks.

Knows the network, its device and precision. Knows nothing of time: no memory, no hidden state kept.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.mmpm.network import MMPM, Key, probabilities
from engine.models.mmpm.packing import fused_mmpm, packed_mmpm
from engine.models.mmpm.preprocess import (
    normalise,
    pad_to,
    padded_size,
    resize_image,
    resize_masks,
    resize_there,
    target_size,
)
from engine.nn.aggregate import alone
from engine.nn.conv_encoder import Features
from engine.propagation.chunked import arithmetic, over_tracks
from engine.propagation.given import refuse_other_sizes
from engine.runtime.batches import FittingBatches
from engine.runtime.upload import Uploads
from engine.types import BoolArray, FloatArray, UInt8Array


class EncodedFrame(NamedTuple):
    """A frame as the network sees it: padded, normalised (1, 3, H, W), its features and its key.

    size: of the frame itself; inner: after resizing, before padding.
    """

    image: Tensor
    features: Features
    key: Key
    size: tuple[int, int]
    inner: tuple[int, int]


class MMPMFrames:
    """An MMPM at work on one device: encodes frames, and values and masks of any number of tracks."""

    def __init__(self, network: MMPM, device: torch.device, dtype: torch.dtype, chunk: int, exclusive: bool) -> None:
        self.config = network.config
        self.device = device
        self.dtype = dtype
        self.network = packed_mmpm(network, dtype) if device.type == "cpu" else fused_mmpm(network.to(device))
        self.exclusive = exclusive
        self.look: Callable[[Tensor], tuple[Features, Key]] = partial(_look, self.network, device, dtype)
        self.uploads = Uploads(
            device, partial(_on_host, network.config.image_side), partial(_there, network.config.image_side)
        )
        self._chunks = FittingBatches(chunk)
        # A ViT fills the machine with one picture; more only leave the caches (45 against 36 CPU seconds for four).
        alone = device.type == "cpu" and network.config.form == "vit"
        self._value_chunks = FittingBatches(1) if alone else self._chunks

    @property
    def score_dtype(self) -> torch.dtype:
        """What similarities to the memory are worked out in. CUDA keeps to float32, as published."""
        return self.dtype if self.device.type == "cpu" else torch.float32

    def encode(self, frame: UInt8Array) -> EncodedFrame:
        """uint8 (H, W, 3) RGB of any size -> EncodedFrame."""
        config, size = self.config, (frame.shape[0], frame.shape[1])
        pixels = self.uploads.take(frame)
        inner = pixels.shape[0], pixels.shape[1]
        outer = padded_size(inner, config.image_side, config.square, 16)
        image = normalise(pad_to(pixels.permute(2, 0, 1).float(), outer)).unsqueeze(0)
        return EncodedFrame(image, *self.look(image), size, inner)

    def masks_in(self, frame: EncodedFrame, masks: BoolArray) -> Tensor:
        """bool (N, H, W) of the frame's size -> 0/1 float (N, H', W') of the padded input."""
        refuse_other_sizes(masks, frame.size)
        small = torch.from_numpy(resize_masks(masks.astype(np.bool_), frame.inner)).to(self.device).float()
        return pad_to(small, (frame.image.shape[2], frame.image.shape[3]))

    def masks_out(self, frame: EncodedFrame, soft: Tensor) -> FloatArray:
        """Probabilities (N, H', W') of the padded input -> float32 (N, H, W) of the frame's size.

        Where the configuration says "nearest", `> 0.5` of the result is what thresholding first and resizing the
        binary mask with OpenCV gives, as published.
        """
        cropped = soft[:, : frame.inner[0], : frame.inner[1]].float()
        if frame.inner != frame.size and len(cropped):
            if self.config.output_resize == "bilinear" and self.device.type == "cpu":
                return _smoothly(cropped.numpy(), frame.size)
            if self.config.output_resize == "bilinear":
                cropped = F.interpolate(cropped[None], size=frame.size, mode="bilinear", align_corners=False)[0]
            else:
                rows, columns = (_nearest(a, b) for a, b in zip(frame.inner, frame.size, strict=True))
                cropped = cropped[:, rows.to(self.device)][:, :, columns.to(self.device)]
        result: FloatArray = cropped.cpu().numpy()
        return result

    def values(self, frame: EncodedFrame, hidden: Tensor, soft: Tensor, deep: bool) -> tuple[Tensor, Tensor]:
        """Masks (N, H', W') and hidden (N, C_h, h, w) -> values (N, C_v, h, w) and hidden, reinforced if `deep`."""
        others = None if self.config.single_object else self._others(soft)

        def work(part: slice) -> tuple[Tensor, Tensor]:
            rivals = None if others is None else others[None, part]
            return self.network.encode_value(
                frame.image, frame.features, hidden[None, part], soft[None, part], deep, others=rivals
            )

        with arithmetic(self.device, self.dtype):
            return over_tracks(self._value_chunks, work, len(soft), self.score_dtype)

    def masks(self, frame: EncodedFrame, read: Tensor, hidden: Tensor, update: bool) -> tuple[Tensor, Tensor]:
        """Read-out (N, C, h, w) and hidden -> probabilities (N, H', W') and hidden, updated if asked."""

        def work(part: slice) -> tuple[Tensor, Tensor]:
            own = read[None, part].to(frame.features.coarse.dtype)
            logits, new = self.network.decode(frame.features, own, hidden[None, part], update)
            return logits, hidden[None, part] if new is None else new

        with arithmetic(self.device, self.dtype):
            logits, hidden = over_tracks(self._chunks, work, len(read))
        return probabilities(logits[None])[1][0] if self.exclusive else alone(logits), hidden

    def _others(self, soft: Tensor) -> Tensor:
        """What the second mask plane holds of masks (N, H', W')."""
        return soft.sum(0, keepdim=True) - soft if self.exclusive else torch.zeros_like(soft)

    def empty_hidden(self, frame: EncodedFrame, tracks: int) -> Tensor:
        """Zeros (tracks, C_h, h, w)."""
        return self.network.empty_hidden(1, tracks, (frame.image.shape[2], frame.image.shape[3]))[0]


def _on_host(side: int, frame: UInt8Array) -> Tensor:
    """uint8 (H, W, 3) -> uint8 (h, w, 3) of the network's size, not padded yet."""
    return torch.from_numpy(np.array(resize_image(frame, _inner(side, frame.shape))))


def _there(side: int, pixels: Tensor) -> Tensor:
    """The same for a picture that lies on the device."""
    return resize_there(pixels, _inner(side, pixels.shape))


def _inner(side: int, shape: Sequence[int]) -> tuple[int, int]:
    height, width = target_size(shape[0], shape[1], side)
    return max(height, 1), max(width, 1)


def _look(network: MMPM, device: torch.device, dtype: torch.dtype, image: Tensor) -> tuple[Features, Key]:
    """All that is worked out of a padded, normalised (1, 3, H, W) alone, whatever tracks there are."""
    with arithmetic(device, dtype):
        features = network.encode_image(image)
        return features, network.project(features)


def _smoothly(masks: FloatArray, size: tuple[int, int]) -> FloatArray:
    """Bilinear resizing of (N, H, W), as torch's without aligned corners; OpenCV takes a fifth of the time."""
    result = np.empty((len(masks), *size), np.float32)
    for mask, resized in zip(masks, result, strict=True):
        cv2.resize(mask, (size[1], size[0]), dst=resized, interpolation=cv2.INTER_LINEAR)
    return result


def _nearest(inner: int, outer: int) -> Tensor:
    """Which of `inner` samples OpenCV's nearest neighbour takes for each of `outer`."""
    ramp = np.arange(inner, dtype=np.float64)[:, None]
    return torch.from_numpy(cv2.resize(ramp, (1, outer), interpolation=cv2.INTER_NEAREST)[:, 0].astype(np.int64))
