"""SAM's mask decoder for many prompts on one picture: the same function as segment-anything's, in less work.

Nothing here has weights of its own; it reads those of a MaskDecoder. What differs from its forward pass: in the first
layer the image side (keys, values, and its own queries) is the same for every prompt and projected once; attention is
that of two_way.py; channels come last throughout, so that transposed convolutions of stride 2 are matrix products and
norms need no copies.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from segment_anything.modeling import MaskDecoder
from torch import Tensor

from engine.models.sam.two_way import (
    in_heads,
    pieces_of,
    read_images,
    spread_heads,
    two_way_layer,
    values_written,
    write_image,
)
from engine.runtime.onednn import product, products


class ImageSide(NamedTuple):
    """What every prompt of one picture shares. n positions, C channels, H heads of d channels."""

    size: tuple[int, int]
    keys: Tensor  # (n, C)
    position: Tensor  # (n, C)
    first_keys: Tensor  # (H, d, n), for the tokens of the first layer
    first_values: Tensor  # (H, n, d)
    first_queries: Tensor  # (n, H * d), towards the tokens of the first layer


class SharedDecoder:
    """Decodes prompts that have points only, no mask."""

    def __init__(self, decoder: MaskDecoder, dtype: torch.dtype = torch.float32) -> None:
        """dtype: that of the decoder's convolutions and linear layers."""
        self._decoder: Any = decoder
        self._dtype = dtype
        self._layers = list(decoder.transformer.layers)
        first, self._norm, self._activation, second, self._last_activation = decoder.output_upscaling
        self._double, self._double_again = Doubling(first), Doubling(second)

    def image_side(self, embedding: Tensor, no_mask: Tensor, dense_position: Tensor) -> ImageSide:
        """Embedding and position (1, C, h, w); no_mask (C,): what the prompt encoder adds for want of a mask."""
        keys = (embedding[0].flatten(1).T + no_mask).to(self._dtype)
        position = dense_position[0].flatten(1).T.to(self._dtype).contiguous()
        placed = keys + position
        to_image, to_token = self._layers[0].cross_attn_token_to_image, self._layers[0].cross_attn_image_to_token
        return ImageSide(
            (int(embedding.shape[2]), int(embedding.shape[3])),
            keys.contiguous(),
            position,
            in_heads(to_image.k_proj(placed)[None], to_image.num_heads)[0].transpose(1, 2).contiguous(),
            in_heads(to_image.v_proj(keys)[None], to_image.num_heads)[0].contiguous(),
            to_token.q_proj(placed),
        )

    def __call__(self, image: ImageSide, sparse: Tensor) -> tuple[Tensor, Tensor]:
        """Sparse embeddings (P, t, C) of P prompts -> logits of three masks (P, 3, 4h, 4w), predicted IoU (P, 3)."""
        tokens = self.tokens(sparse)
        queries, images = self._first_layer(image, tokens)
        states, images, scores = self.attended(self._layers[1:], queries, images, tokens, image.position)
        return self._masks(images, states, image.size), scores

    def tokens(self, sparse: Tensor) -> Tensor:
        """The decoder's own tokens before those of the prompts (P, t, C)."""
        output = torch.cat([self._decoder.iou_token.weight, self._decoder.mask_tokens.weight])
        return torch.cat([output.expand(len(sparse), -1, -1), sparse], 1).to(self._dtype)

    def attended(
        self, layers: list[Any], queries: Tensor, images: Sequence[Tensor], tokens: Tensor, position: Tensor
    ) -> tuple[Tensor, list[Tensor], Tensor]:
        """The rest of the transformer: states of the three mask tokens (P, 3, C), image sides in pieces (p, n, C),
        predicted IoU (P, 3)."""
        pieces = list(images)
        for layer in layers:
            queries, pieces = two_way_layer(layer, queries, pieces, tokens, position)
        transformer = self._decoder.transformer
        # Of the last reading only the quality token and those of the three masks are looked at; the single mask's lies
        # between them.
        asked = [0, *range(2, 1 + self._decoder.num_mask_tokens)]
        queries = queries[:, asked]
        read = read_images(transformer.final_attn_token_to_image, queries + tokens[:, asked], pieces, position)
        states = transformer.norm_final_attn(queries + read)
        scores = self._decoder.iou_prediction_head(states[:, 0])[:, 1:]
        return states[:, 1:], pieces, scores

    def weights(self, states: Tensor) -> Tensor:
        """What the three mask tokens (P, 3, C) say of the upscaled channels: (P, 3, C / 8)."""
        networks = self._decoder.output_hypernetworks_mlps[1:]
        return torch.stack([network(state) for network, state in zip(networks, states.unbind(1), strict=True)], 1)

    def _first_layer(self, image: ImageSide, tokens: Tensor) -> tuple[Tensor, list[Tensor]]:
        layer = self._layers[0]
        queries = layer.norm1(layer.self_attn(q=tokens, k=tokens, v=tokens))
        queries = layer.norm2(queries + _read_shared(layer.cross_attn_token_to_image, queries + tokens, image))
        queries = layer.norm3(queries + layer.mlp(queries))
        attention = layer.cross_attn_image_to_token
        heads = attention.num_heads
        scale = 1 / math.sqrt(attention.internal_dim // heads)
        known = spread_heads(attention.k_proj(queries + tokens), heads) * scale
        images = []
        for asking, written in zip(pieces_of(known), pieces_of(values_written(attention, queries)), strict=True):
            scores = products(asking, image.first_queries[None])
            images.append(layer.norm4(write_image(scores, written, image.keys.expand(len(asking), -1, -1), heads)))
        return queries, images

    def _masks(self, images: Sequence[Tensor], states: Tensor, size: tuple[int, int]) -> Tensor:
        """Upscaled image sides (p, n, C) times the weights that each of the three mask tokens (P, 3, C) gives."""
        weights = self.weights(states)
        (height, width), counts = size, [len(keys) for keys in images]
        logits = torch.cat(
            [
                products(w, self._upscale(keys).flatten(1, 2).to(w.dtype))
                for keys, w in zip(images, weights.split(counts), strict=True)
            ]
        )
        # (P, masks, y, x, y2, x2, y4, x4) -> (P, masks, y y2 y4, x x2 x4)
        placed = logits.view(len(states), -1, height, width, 2, 2, 2, 2).permute(0, 1, 2, 4, 6, 3, 5, 7)
        return placed.reshape(len(states), -1, 4 * height, 4 * width)

    def _upscale(self, keys: Tensor) -> Tensor:
        """(P, n, C) -> (P, n, 16, C / 8): each position's four by four pixels, halved twice."""
        small = self._activation(normalised(self._norm, self._double(keys)))
        upscaled: Tensor = self._last_activation(self._double_again(small)).flatten(-3, -2)
        return upscaled


class Doubling:
    """A transposed convolution of kernel and stride 2 on (..., C) -> (..., 4, C'), the four pixels row by row."""

    def __init__(self, convolution: Any) -> None:
        self._convolution = convolution
        self._made: tuple[Tensor, Tensor] | None = None

    def __call__(self, values: Tensor) -> Tensor:
        if self._made is None or self._made[0].dtype != values.dtype:
            weight, bias = self._convolution.weight.detach(), self._convolution.bias.detach()
            rows = weight.permute(2, 3, 1, 0).flatten(0, 2)
            self._made = rows.to(values.dtype).contiguous(), bias.to(values.dtype).repeat(4)
        return product(values, *self._made).unflatten(-1, (4, -1))


def normalised(norm: Any, values: Tensor) -> Tensor:
    """segment-anything's LayerNorm2d of (..., C)."""
    return F.layer_norm(values, values.shape[-1:], norm.weight, norm.bias, norm.eps)


def _read_shared(attention: Any, queries: Tensor, image: ImageSide) -> Tensor:
    """Tokens (P, T, C) read the image side that all prompts share."""
    prompts, count, _ = queries.shape
    heads = attention.num_heads
    q = in_heads(attention.q_proj(queries), heads) / math.sqrt(attention.internal_dim // heads)
    rows = q.transpose(0, 1).reshape(heads, prompts * count, -1)
    weights = torch.softmax(rows @ image.first_keys, -1)
    read = (weights @ image.first_values).view(heads, prompts, count, -1)
    return attention.out_proj(read.permute(1, 2, 0, 3).flatten(2))
