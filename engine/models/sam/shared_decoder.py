"""SAM's mask decoder for many prompts on one picture: the same function as segment-anything's, in less work.

Nothing here has weights of its own; it reads those of a MaskDecoder. What differs from its forward pass:

- In the first layer the image side (keys, values, and its own queries) is the same for every prompt: projected once.
- There are few tokens and many image positions, so the projections of the image side are moved over to the tokens,
  q·(W k) = (Wᵀq)·k, and values are projected after they were summed up.
- Channels come last throughout, so transposed convolutions of stride 2 are matrix products and norms need no copies.
- The residual of the image side rides along in the product that makes it.
"""

import math
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from segment_anything.modeling import MaskDecoder
from torch import Tensor


class ImageSide(NamedTuple):
    """What every prompt of one picture shares. n positions, C channels, H heads of d channels."""

    size: tuple[int, int]
    keys: Tensor  # (n, C)
    position: Tensor  # (n, C)
    first_keys: Tensor  # (H, d, n), for the tokens of the first layer
    first_values: Tensor  # (H, n, d)
    first_queries: Tensor  # (n, H * d), towards the tokens of the first layer


class Drawn(NamedTuple):
    """What a DrawnMaskDecoder knows before its transformer."""

    source: Tensor  # (P, C, h, w)
    fine: Tensor  # (1, C / 4, 2h, 2w)


class SharedDecoder:
    """Decodes prompts that have points only, no mask."""

    def __init__(self, decoder: MaskDecoder) -> None:
        self._decoder: Any = decoder
        self._layers = list(decoder.transformer.layers)

    def image_side(self, embedding: Tensor, no_mask: Tensor, dense_position: Tensor) -> ImageSide:
        """Coarse embedding and position (1, C, h, w); no_mask (C,): what the prompt encoder adds for want of a mask."""
        keys = embedding[0].flatten(1).T + no_mask
        position = dense_position[0].flatten(1).T.contiguous()
        placed = keys + position
        to_image, to_token = self._layers[0].cross_attn_token_to_image, self._layers[0].cross_attn_image_to_token
        return ImageSide(
            (int(embedding.shape[2]), int(embedding.shape[3])),
            keys.contiguous(),
            position,
            _heads(to_image.k_proj(placed)[None], to_image.num_heads)[0].transpose(1, 2).contiguous(),
            _heads(to_image.v_proj(keys)[None], to_image.num_heads)[0].contiguous(),
            to_token.q_proj(placed),
        )

    def __call__(self, image: ImageSide, sparse: Tensor, drawn: Drawn | None = None) -> tuple[Tensor, Tensor]:
        """Sparse embeddings (P, t, C) of P prompts -> logits of three masks (P, 3, 4h, 4w), predicted IoU (P, 3).

        drawn: of a DrawnMaskDecoder; each prompt then has an image side of its own, and the first layer shares nothing.
        """
        decoder = self._decoder
        output = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
        tokens = torch.cat([output.expand(len(sparse), -1, -1), sparse], 1)
        if drawn is None:
            queries, keys = self._first_layer(image, tokens)
        else:
            keys = drawn.source.flatten(2).transpose(1, 2).to(image.keys.dtype)
            queries, keys = _layer(self._layers[0], tokens, keys, tokens, image.position)
        for layer in self._layers[1:]:
            queries, keys = _layer(layer, queries, keys, tokens, image.position)
        placed = keys + image.position
        last = decoder.transformer.final_attn_token_to_image
        queries = decoder.transformer.norm_final_attn(queries + _read_image(last, queries + tokens, placed, keys))
        states = queries[:, 2 : 1 + decoder.num_mask_tokens]
        logits = self._masks(keys, states, image.size) if drawn is None else self._refined(keys, states, drawn.fine)
        return logits, decoder.iou_prediction_head(queries[:, 0])[:, 1:]

    def _first_layer(self, image: ImageSide, tokens: Tensor) -> tuple[Tensor, Tensor]:
        layer = self._layers[0]
        queries = layer.norm1(layer.self_attn(q=tokens, k=tokens, v=tokens))
        queries = layer.norm2(queries + _read_shared(layer.cross_attn_token_to_image, queries + tokens, image))
        queries = layer.norm3(queries + layer.mlp(queries))
        attention = layer.cross_attn_image_to_token
        scale = 1 / math.sqrt(attention.internal_dim // attention.num_heads)
        known = _spread(attention.k_proj(queries + tokens), attention.num_heads) * scale
        scores = known @ image.first_queries.T
        return queries, layer.norm4(_write_image(attention, scores, queries, image.keys.expand(len(tokens), -1, -1)))

    def _masks(self, keys: Tensor, states: Tensor, size: tuple[int, int]) -> Tensor:
        """Upscaled image side times the weights that each of the three mask tokens (P, 3, C) gives."""
        weights = self._weights(states).transpose(1, 2)
        prompts, (height, width) = len(keys), size
        # Upscaling multiplies a position's numbers by eight: on a CPU one prompt at a time stays in the cache.
        pieces = 1 if keys.device.type == "cpu" else prompts
        logits = torch.cat(
            [self._upscale(k) @ w for k, w in zip(keys.split(pieces), weights[:, None].split(pieces), strict=True)]
        )
        # (P, y, x, y2, x2, y4, x4, masks) -> (P, masks, y y2 y4, x x2 x4)
        placed = logits.view(prompts, height, width, 2, 2, 2, 2, -1).permute(0, 7, 1, 3, 5, 2, 4, 6)
        return placed.reshape(prompts, -1, 4 * height, 4 * width)

    def _refined(self, keys: Tensor, states: Tensor, fine: Tensor) -> Tensor:
        """The same with fine features (1, C / 4, 2h, 2w) on the way."""
        upscaled = self._decoder.upscale(keys.transpose(1, 2).unflatten(2, [n // 2 for n in fine.shape[2:]]), fine)
        logits: Tensor = self._weights(states).to(upscaled.dtype) @ upscaled.flatten(2)
        return logits.unflatten(2, upscaled.shape[2:])

    def _weights(self, states: Tensor) -> Tensor:
        """What the three mask tokens (P, 3, C) say of the upscaled channels: (P, 3, C / 8)."""
        networks = self._decoder.output_hypernetworks_mlps[1:]
        return torch.stack([network(state) for network, state in zip(networks, states.unbind(1), strict=True)], 1)

    def _upscale(self, keys: Tensor) -> Tensor:
        """(..., n, C) -> (..., n, 16, C / 8): each position's four by four pixels, halved twice."""
        first, norm, activation, second, last_activation = self._decoder.output_upscaling
        small = _double(first, keys)
        small = activation(F.layer_norm(small, small.shape[-1:], norm.weight, norm.bias, norm.eps))
        return last_activation(_double(second, small)).flatten(-3, -2)


def _layer(layer: Any, queries: Tensor, keys: Tensor, tokens: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
    """A two-way layer whose image side belongs to the prompt. The first one takes the tokens as they are."""
    if layer.skip_first_layer_pe:
        queries = layer.norm1(layer.self_attn(q=queries, k=queries, v=queries))
    else:
        placed_queries = queries + tokens
        queries = layer.norm1(queries + layer.self_attn(q=placed_queries, k=placed_queries, v=queries))
    placed = keys + position
    queries = layer.norm2(queries + _read_image(layer.cross_attn_token_to_image, queries + tokens, placed, keys))
    queries = layer.norm3(queries + layer.mlp(queries))
    attention = layer.cross_attn_image_to_token
    heads, width = attention.num_heads, attention.internal_dim // attention.num_heads
    spread = _spread(attention.k_proj(queries + tokens), heads) / math.sqrt(width)
    known = spread @ attention.q_proj.weight
    offset = (spread @ attention.q_proj.bias)[..., None]
    scores = torch.baddbmm(offset, known, placed.transpose(1, 2))
    return queries, layer.norm4(_write_image(attention, scores, queries, keys))


def _read_shared(attention: Any, queries: Tensor, image: ImageSide) -> Tensor:
    """Tokens (P, T, C) read the image side that all prompts share."""
    prompts, count, _ = queries.shape
    heads = attention.num_heads
    q = _heads(attention.q_proj(queries), heads) / math.sqrt(attention.internal_dim // heads)
    rows = q.transpose(0, 1).reshape(heads, prompts * count, -1)
    weights = torch.softmax(rows @ image.first_keys, -1)
    read = (weights @ image.first_values).view(heads, prompts, count, -1)
    return attention.out_proj(read.permute(1, 2, 0, 3).flatten(2))


def _read_image(attention: Any, queries: Tensor, placed: Tensor, keys: Tensor) -> Tensor:
    """Tokens (P, T, C) read their own image side: `placed` (P, n, C) are keys with position, `keys` the values."""
    heads, width = attention.num_heads, attention.internal_dim // attention.num_heads
    # The bias of k_proj adds one number to all scores of a token, which softmax takes out again.
    q = (_spread(attention.q_proj(queries), heads) / math.sqrt(width)) @ attention.k_proj.weight
    read = torch.softmax(torch.bmm(q, placed.transpose(1, 2)), -1) @ keys
    prompts, count, _ = queries.shape
    weights = attention.v_proj.weight.view(heads, width, -1)
    values = torch.einsum("phtc,hdc->pthd", read.view(prompts, heads, count, -1), weights)
    return attention.out_proj(values.flatten(2) + attention.v_proj.bias)


def _write_image(attention: Any, scores: Tensor, values: Tensor, keys: Tensor) -> Tensor:
    """Positions read the tokens: scores (P, H * T, n), token values (P, T, C), keys (P, n, C) -> keys + that."""
    heads = attention.num_heads
    prompts, count, channels = values.shape
    weights = torch.softmax(scores.view(prompts, heads, count, -1), 2).flatten(1, 2)
    v = _heads(attention.v_proj(values), heads)
    out = attention.out_proj.weight.view(channels, heads, -1)
    # The weights of a head sum to one, so each head may carry its share of the bias.
    written = torch.einsum("phtd,chd->phtc", v, out) + attention.out_proj.bias / heads
    return torch.baddbmm(keys, weights.transpose(1, 2), written.flatten(1, 2).to(weights.dtype))


def _heads(values: Tensor, heads: int) -> Tensor:
    """(P, T, H * d) -> (P, H, T, d)."""
    return values.unflatten(2, (heads, -1)).transpose(1, 2)


def _spread(values: Tensor, heads: int) -> Tensor:
    """(P, T, H * d) -> (P, H * T, H * d), where the rows of a head are zero in the channels of the others."""
    prompts, count, channels = values.shape
    spread = values.new_zeros(prompts, heads, count, heads, channels // heads)
    index = torch.arange(heads, device=values.device)
    spread[:, index, :, index] = _heads(values, heads).transpose(0, 1)
    return spread.view(prompts, heads * count, channels)


def _double(convolution: Any, values: Tensor) -> Tensor:
    """A transposed convolution of kernel and stride 2 on (..., C) -> (..., 4, C'), the four pixels row by row."""
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2)
    doubled = F.linear(values, weight, convolution.bias.repeat(4))
    return doubled.unflatten(-1, (4, -1))
