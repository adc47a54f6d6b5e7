"""The two-way attention of SAM's mask decoder where few tokens meet many image positions.

The same functions as segment-anything's layers, which lend their weights, in less work: projections of the image side
are moved over to the tokens, q·(W k) = (Wᵀq)·k, values are projected after they were summed up, and the residual of the
image side rides along in the product that makes it. Channels come last.
"""

import math
from typing import Any

import torch
from torch import Tensor

from engine.runtime.onednn import products


def two_way_layer(layer: Any, queries: Tensor, keys: Tensor, tokens: Tensor, position: Tensor) -> tuple[Tensor, Tensor]:
    """A two-way layer whose image side belongs to the prompt. The first one takes the tokens as they are.

    queries, tokens (P, T, C), keys (P, n, C), position (n, C) -> new queries and keys.
    """
    if layer.skip_first_layer_pe:
        queries = layer.norm1(layer.self_attn(q=queries, k=queries, v=queries))
    else:
        placed_queries = queries + tokens
        queries = layer.norm1(queries + layer.self_attn(q=placed_queries, k=placed_queries, v=queries))
    placed = keys + position
    queries = layer.norm2(queries + read_image(layer.cross_attn_token_to_image, queries + tokens, placed, keys))
    queries = layer.norm3(queries + layer.mlp(queries))
    attention = layer.cross_attn_image_to_token
    heads, width = attention.num_heads, attention.internal_dim // attention.num_heads
    spread = spread_heads(attention.k_proj(queries + tokens), heads) / math.sqrt(width)
    scores = products(spread @ attention.q_proj.weight, placed)
    scores += (spread @ attention.q_proj.bias)[..., None]
    return queries, layer.norm4(write_image(attention, scores, queries, keys))


def read_image(attention: Any, queries: Tensor, placed: Tensor, keys: Tensor) -> Tensor:
    """Tokens (P, T, C) read their own image side: `placed` (P, n, C) are keys with position, `keys` the values."""
    heads, width = attention.num_heads, attention.internal_dim // attention.num_heads
    # The bias of k_proj adds one number to all scores of a token, which softmax takes out again.
    q = (spread_heads(attention.q_proj(queries), heads) / math.sqrt(width)) @ attention.k_proj.weight
    read = products(torch.softmax(products(q, placed), -1), keys.transpose(1, 2))
    prompts, count, _ = queries.shape
    weights = attention.v_proj.weight.view(heads, width, -1)
    values = torch.einsum("phtc,hdc->pthd", read.view(prompts, heads, count, -1), weights)
    return attention.out_proj(values.flatten(2) + attention.v_proj.bias)


def write_image(attention: Any, scores: Tensor, values: Tensor, keys: Tensor, shared: bool = False) -> Tensor:
    """Positions read the tokens: scores (P, H * T, n), token values (P, T, C), keys (P, n, C) -> keys + that.

    Keys that are not shared by all prompts of a picture are overwritten.
    """
    heads = attention.num_heads
    prompts, count, channels = values.shape
    weights = torch.softmax(scores.view(prompts, heads, count, -1), 2).flatten(1, 2)
    v = in_heads(attention.v_proj(values), heads)
    out = attention.out_proj.weight.view(channels, heads, -1)
    # The weights of a head sum to one, so each head may carry its share of the bias.
    written = torch.einsum("phtd,chd->phtc", v, out) + attention.out_proj.bias / heads
    addition = weights.transpose(1, 2), written.flatten(1, 2).to(weights.dtype)
    return torch.baddbmm(keys, *addition) if shared else keys.baddbmm_(*addition)


def in_heads(values: Tensor, heads: int) -> Tensor:
    """(P, T, H * d) -> (P, H, T, d)."""
    return values.unflatten(2, (heads, -1)).transpose(1, 2)


def spread_heads(values: Tensor, heads: int) -> Tensor:
    """(P, T, H * d) -> (P, H * T, H * d), where the rows of a head are zero in the channels of the others."""
    prompts, count, channels = values.shape
    spread = values.new_zeros(prompts, heads, count, heads, channels // heads)
    index = torch.arange(heads, device=values.device)
    spread[:, index, :, index] = in_heads(values, heads).transpose(0, 1)
    return spread.view(prompts, heads * count, channels)
