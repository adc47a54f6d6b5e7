"""sam-tiny's mask decoder for many prompts on one picture: the same function as DrawnMaskDecoder's, in less work.

Every prompt has an image side of its own, so the transformer shares nothing; what is shared is the picture's share of
the U-Net's input, the keys that prototypes are compared with, and the fine features. Prompts are positive points, so
that most planes and prototypes are zeros, which nothing is spent on. Masks are upscaled only where the picture is: the
square input of a picture that is not square is padding for the rest, and no convolution behind the transformer reaches
far. Channels come last throughout.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.sam.drawn_decoder import GROUPS, DrawnMaskDecoder
from engine.models.sam.prompt_encoder import PLANES, REACHES
from engine.models.sam.shared_decoder import SharedDecoder, normalised
from engine.models.sam.two_way import pieces_of
from engine.nn.packed import PackedConv
from engine.runtime.onednn import product, products

NOTHING = -100.0
"""The logit of padding."""

_MARGIN = 1  # positions beyond the picture that the two convolutions at half the stride can see
_PROTOTYPES = 2  # of positive points: under them and around them
_READ = [*range(len(REACHES)), *range(PLANES, PLANES + _PROTOTYPES * GROUPS)]
"""The planes and cosines that positive points fill."""


class DrawnSide(NamedTuple):
    """What every prompt of one picture shares. covered: rows and columns of positions that the picture has."""

    size: tuple[int, int]
    covered: tuple[int, int]
    position: Tensor  # (n, C)
    image: Tensor  # (n, C)
    entered: Tensor  # (1, C', h, w): what the picture brings into the U-Net
    keys: Tensor  # (GROUPS * c, n), of each group of length one
    fine: Tensor  # (1, C / 4, 2 rows, 2 columns), rows and columns with the margin


class SharedDrawnDecoder(SharedDecoder):
    """Decodes drawn prompts that have points only, no mask."""

    _decoder: DrawnMaskDecoder

    def __init__(self, decoder: DrawnMaskDecoder, dtype: torch.dtype = torch.float32) -> None:
        """See SharedDecoder."""
        super().__init__(decoder, dtype)
        drawn, bias = decoder.drawn.weight, decoder.drawn.bias
        like = nn.Conv2d(len(_READ), len(drawn), 3, padding=1, device="meta")
        self._drawn = PackedConv(drawn[:, _READ], bias, like, drawn.dtype)

    def drawn_side(
        self, embedding: Tensor, no_mask: Tensor, dense_position: Tensor, covered: tuple[int, int]
    ) -> DrawnSide:
        """Embedding (1, C + 4F, h, w), position (1, C, h, w); no_mask (C,): what is added for want of a mask."""
        coarse, fine = self._decoder.split(embedding)
        height, width = (int(length) for length in coarse.shape[2:])
        rows, columns = min(covered[0] + _MARGIN, height), min(covered[1] + _MARGIN, width)
        seen = self._decoder.seen_with(coarse, no_mask.view(1, -1, 1, 1))
        return DrawnSide(
            (height, width),
            covered,
            dense_position[0].flatten(1).T.to(self._dtype).contiguous(),
            seen.image[0].flatten(1).T.to(self._dtype).contiguous(),
            seen.entered.contiguous(memory_format=torch.channels_last),
            seen.keys[0].flatten(0, 1).contiguous(),
            fine[:, :, : 2 * rows, : 2 * columns].contiguous(memory_format=torch.channels_last),
        )

    def answer(self, side: DrawnSide, sparse: Tensor, near: Tensor) -> tuple[Tensor, Tensor]:
        """Sparse embeddings (P, t, C), planes of positive points (P, 3, h, w) -> logits (P, 3, 4h, 4w), predicted IoU
        (P, 3)."""
        tokens = self.tokens(sparse)
        states, images, scores = self.attended(self._layers, tokens, self._images(side, near), tokens, side.position)
        weights = self.weights(states)
        logits = torch.full((len(weights), 3, *(4 * length for length in side.size)), NOTHING, device=weights.device)
        # (P, masks, y, y4, x, x4)
        rows, columns = side.covered
        places = logits[:, :, : 4 * rows, : 4 * columns].unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
        start = 0
        for part in images:
            stop = start + len(part)
            places[start:stop] = self._masks_of(part.unflatten(1, side.size), weights[start:stop], side)
            start = stop
        return logits, scores

    def _images(self, side: DrawnSide, near: Tensor) -> list[Tensor]:
        """The image sides of P prompts in pieces (p, n, C): DrawnMaskDecoder.source for positive points."""
        drawn = torch.cat([near, _likeness(side, near)], 1)
        prompted = self._decoder.prompted(self._drawn(drawn).add_(side.entered).relu_())
        added = self._decoder.added
        rows, bias = added.weight.flatten(1), added.bias
        return [
            product(part, rows, bias).to(self._dtype).add_(side.image)
            for part in pieces_of(prompted.flatten(2).transpose(1, 2))
        ]

    def _masks_of(self, keys: Tensor, weights: Tensor, side: DrawnSide) -> Tensor:
        """Logits where the picture is: keys (P, h, w, C), weights (P, 3, C / 8) -> (P, 3, 2 rows, 2, 2 columns, 2)."""
        rows, columns = (length // 2 for length in side.fine.shape[2:])
        small = self._activation(normalised(self._norm, self._double(keys[:, :rows, :columns])))
        # (P, y, x, y2 x2, C) -> (P, C, y y2, x x2), channels last
        plane = small.unflatten(3, (2, 2)).transpose(2, 3).flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)
        refined = self._decoder.refine(plane + side.fine.to(plane.dtype))
        rows, columns = (2 * length for length in side.covered)
        pixels = self._last_activation(self._double_again(refined[:, :, :rows, :columns].permute(0, 2, 3, 1)))
        # Every position has four pixels: four times as many weights, each for one of them, in one product.
        apart = torch.einsum("pmc,ab->pmabc", weights, torch.eye(4, device=weights.device, dtype=weights.dtype))
        logits = products(apart.flatten(3).flatten(1, 2), pixels.flatten(3).flatten(1, 2).to(weights.dtype))
        # (P, masks y2 x2, y x) -> (P, masks, y, y2, x, x2)
        placed = logits.unflatten(2, (rows, columns)).unflatten(1, (-1, 2, 2))
        return placed.permute(0, 1, 4, 2, 5, 3)


def _likeness(side: DrawnSide, near: Tensor) -> Tensor:
    """DrawnMaskDecoder.likeness of positive points alone: (P, 2 * GROUPS, h, w)."""
    weight = near[:, :_PROTOTYPES].flatten(2)
    there = weight.sum(2) > 1e-6
    weight = weight / weight.sum(2, keepdim=True).clamp(min=1e-6)
    prototypes = F.normalize(product(weight, side.keys).unflatten(2, (GROUPS, -1)), dim=3)
    # Each group of channels is compared with itself only: zeros for the others.
    apart = prototypes.unsqueeze(3) * torch.eye(GROUPS, device=near.device).view(GROUPS, GROUPS, 1)
    cosines = product(apart.flatten(3), side.keys.T).unflatten(3, near.shape[2:])
    return (cosines * there[:, :, None, None, None]).flatten(1, 2)
