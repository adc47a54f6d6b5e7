"""sam-tiny's mask decoder for many prompts on one picture: the same function as DrawnMaskDecoder's, in less work.

Every prompt has an image side of its own, so the transformer shares nothing; what is shared is the picture's share of
the U-Net's input, the keys that prototypes are compared with, and the fine features. Masks are upscaled only where the
picture is: the square input of a picture that is not square is padding for the rest, and no convolution behind the
transformer reaches far. Channels come last throughout.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from engine.models.sam.drawn_decoder import DrawnMaskDecoder, Seen
from engine.models.sam.shared_decoder import SharedDecoder, normalised
from engine.runtime.onednn import products

NOTHING = -100.0
"""The logit of padding."""

_MARGIN = 1  # positions beyond the picture that the two convolutions at half the stride can see


class DrawnSide(NamedTuple):
    """What every prompt of one picture shares. covered: rows and columns of positions that the picture has."""

    size: tuple[int, int]
    covered: tuple[int, int]
    position: Tensor  # (n, C)
    seen: Seen
    fine: Tensor  # (1, C / 4, 2 rows, 2 columns), rows and columns with the margin


class SharedDrawnDecoder(SharedDecoder):
    """Decodes drawn prompts that have points only, no mask."""

    _decoder: DrawnMaskDecoder

    def drawn_side(
        self, embedding: Tensor, no_mask: Tensor, dense_position: Tensor, covered: tuple[int, int]
    ) -> DrawnSide:
        """Embedding (1, C + 4F, h, w), position (1, C, h, w); no_mask (C,): what is added for want of a mask."""
        coarse, fine = self._decoder.split(embedding)
        height, width = (int(length) for length in coarse.shape[2:])
        rows, columns = min(covered[0] + _MARGIN, height), min(covered[1] + _MARGIN, width)
        return DrawnSide(
            (height, width),
            covered,
            dense_position[0].flatten(1).T.to(self._dtype).contiguous(),
            self._decoder.seen_with(coarse, no_mask.view(1, -1, 1, 1)),
            fine[:, :, : 2 * rows, : 2 * columns].contiguous(memory_format=torch.channels_last),
        )

    def answer(self, side: DrawnSide, sparse: Tensor, planes: Tensor) -> tuple[Tensor, Tensor]:
        """Sparse embeddings (P, t, C), planes (P, PLANES, h, w) -> logits (P, 3, 4h, 4w), predicted IoU (P, 3)."""
        tokens = self.tokens(sparse)
        keys = self._decoder.source_of(side.seen, planes).flatten(2).transpose(1, 2).to(side.position.dtype)
        states, keys, scores = self.attended(self._layers, tokens, keys, tokens, side.position)
        weights = self.weights(states)
        logits = torch.full((len(keys), 3, *(4 * length for length in side.size)), NOTHING, device=keys.device)
        # Upscaling multiplies a position's numbers by eight: on a CPU one prompt at a time stays in the cache.
        pieces = 1 if keys.device.type == "cpu" else len(keys)
        for start in range(0, len(keys), pieces):
            part = slice(start, start + pieces)
            found = self._masks_of(keys[part].unflatten(1, side.size), weights[part], side)
            logits[part, :, : found.shape[2], : found.shape[3]] = found
        return logits, scores

    def _masks_of(self, keys: Tensor, weights: Tensor, side: DrawnSide) -> Tensor:
        """Logits where the picture is: keys (P, h, w, C), weights (P, 3, C / 8) -> (P, 3, 4 rows, 4 columns)."""
        rows, columns = (length // 2 for length in side.fine.shape[2:])
        small = self._activation(normalised(self._norm, self._double(keys[:, :rows, :columns])))
        # (P, y, x, y2 x2, C) -> (P, C, y y2, x x2), channels last
        plane = small.unflatten(3, (2, 2)).transpose(2, 3).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)
        refined = self._decoder.refine(plane + side.fine.to(plane.dtype))
        rows, columns = (2 * length for length in side.covered)
        pixels = self._last_activation(self._double_again(refined[:, :, :rows, :columns].permute(0, 2, 3, 1)))
        logits = products(weights, pixels.flatten(1, 3).to(weights.dtype))
        # (P, masks, y, x, y2, x2) -> (P, masks, y y2, x x2)
        placed = logits.view(len(keys), -1, rows, columns, 2, 2).transpose(3, 4)
        return placed.reshape(len(keys), -1, 2 * rows, 2 * columns)
