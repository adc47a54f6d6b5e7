"""MMPM written down plainly, one track at a time, as the published evaluation runs it; propagate.py compares with it.

The modules are the network's own in their unpacked form (torch's layers and segment-anything's ViT). Memory, read-out
and loop are written here from their definitions and share nothing with engine.memory and engine.propagation. Nothing is
evicted and no deep update is drawn: clips of the benchmark are shorter than that.
"""

import math

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.models.mmpm.network import MMPM, Key
from engine.models.mmpm.preprocess import normalise, pad_to, padded_size, resize_image, resize_masks, target_size
from engine.nn.conv_encoder import Features
from engine.types import BoolArray, UInt8Array


def plain_scores(key: Tensor, shrinkage: Tensor, query: Tensor, selection: Tensor) -> Tensor:
    """(C, M), (1, M), (C, Q), (C, Q) -> (M, Q), the square multiplied out into three matrices of that size."""
    k2e = (key * key).T @ selection
    kqe = 2 * (key.T @ (query * selection))
    q2e = (query * query * selection).sum(0, keepdim=True)
    return (-k2e + kqe - q2e) * shrinkage.T / math.sqrt(len(key))


def plain_weights(scores: Tensor, top_k: int | None) -> Tensor:
    if top_k is None:
        return scores.softmax(0)
    values, indices = scores.topk(top_k, 0)
    return torch.zeros_like(scores).scatter_(0, indices, values.softmax(0))


def plain_aggregate(logits: Tensor) -> Tensor:
    """One object against its background: (1, 1, H, W) logits -> probabilities."""
    p = logits.sigmoid()
    both = torch.cat([1 - p, p], 1).clamp(1e-7, 1 - 1e-7)
    return torch.log(both / (1 - both)).softmax(1)[:, 1:]


def plain_input(picture: UInt8Array, side: int, square: bool = False) -> Tensor:
    """uint8 (H, W, 3) -> the light form's input; the large one's is square."""
    inner = target_size(picture.shape[0], picture.shape[1], side)
    pixels = torch.from_numpy(np.array(resize_image(picture, inner))).permute(2, 0, 1).float()
    return normalise(pad_to(pixels, padded_size(inner, side, square, 16))).unsqueeze(0)


def plain_mask(mask: BoolArray, side: int, square: bool = False) -> Tensor:
    """bool (H, W) -> (1, 1, H', W') in {0, 1}."""
    inner = target_size(mask.shape[0], mask.shape[1], side)
    small = torch.from_numpy(resize_masks(mask[None], inner)).float()
    return pad_to(small, padded_size(inner, side, square, 16)).unsqueeze(0)


def plain_output(soft: Tensor, size: tuple[int, int], side: int) -> BoolArray:
    """Probabilities (1, 1, H', W') -> bool (H, W)."""
    inner = target_size(*size, side)
    resized = F.interpolate(soft[..., : inner[0], : inner[1]], size=size, mode="bilinear", align_corners=False)
    mask: BoolArray = (resized[0, 0] > 0.5).cpu().numpy()
    return mask


class PlainTrack:
    """One track of one clip. Frames are padded and normalised already, (1, 3, H, W)."""

    def __init__(self, network: MMPM, interval: int, top_k: int | None) -> None:
        self.network, self.interval, self.top_k = network, interval, top_k
        self.memory: list[tuple[Key, Tensor]] = []
        self.previous: tuple[Key, Tensor] | None = None
        self.hidden = torch.empty(0)
        self.time = 0

    def start(self, image: Tensor, mask: Tensor) -> None:
        """mask (1, 1, H, W) in {0, 1}."""
        self.hidden = self.network.empty_hidden(1, 1, (image.shape[2], image.shape[3]))
        features, key = self.encode(image)
        self.remember(image, features, key, mask, True)

    def step(self, image: Tensor) -> Tensor:
        """Probabilities (1, 1, H, W) of the next frame."""
        self.time += 1
        features, key = self.encode(image)
        mask = self.segment(features, self.read(key))
        if self.time % self.interval == 0 or self.network.config.local_read:
            self.remember(image, features, key, mask, False)
        return mask

    def encode(self, image: Tensor) -> tuple[Features, Key]:
        features = self.network.encode_image(image)
        return features, self.network.project(features)

    def read(self, query: Key) -> Tensor:
        """(1, 1, C_v, h, w), or twice as many channels where the network reads the previous frame too."""
        key, shrinkage = (torch.cat([entry[0][part][0] for entry in self.memory], 1) for part in (0, 1))
        values = torch.cat([value.flatten(3)[0, 0] for _, value in self.memory], 1)
        scores = plain_scores(key, shrinkage, query.key[0], query.selection[0])
        read = (values @ plain_weights(scores, self.top_k)).unflatten(1, self.hidden.shape[-2:])
        if self.network.config.local_read:
            read = torch.cat([read, self.read_near(query)])
        return read[None, None]

    def read_near(self, query: Key) -> Tensor:
        assert self.previous is not None
        key, value = self.previous
        height, width = value.shape[-2:]
        scores = plain_scores(key.key[0], key.shrinkage[0], query.key[0], query.selection[0])
        y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
        places = torch.stack([y.flatten(), x.flatten()], 1).float().to(scores.device)
        scores -= torch.cdist(places, places) ** 2 / (2 * self.network.reach.exp() ** 2)
        return (value.flatten(3)[0, 0] @ scores.softmax(0)).unflatten(1, (height, width))

    def segment(self, features: Features, read: Tensor) -> Tensor:
        logits, hidden = self.network.decode(features, read, self.hidden, True)
        assert hidden is not None
        self.hidden = hidden
        return plain_aggregate(logits)

    def remember(self, image: Tensor, features: Features, key: Key, mask: Tensor, deep: bool) -> None:
        value, self.hidden = self.network.encode_value(image, features, self.hidden, mask, deep)
        if self.time % self.interval == 0:
            self.memory.append((key, value))
        self.previous = key, value
