"""The two-way attention of SAM's mask decoder where few tokens meet many image positions.

The same functions as segment-anything's layers, which lend their weights, in less work: projections of the image side
are moved over to the tokens, q·(W k) = (Wᵀq)·k, values are projected after they were summed up, and the residual of the
image side rides along in the product that makes it. Channels come last.

Image sides come in pieces (p, n, C) of one or more prompts, in the order of the prompts: on a CPU one prompt at a time
stays in the cache, and nothing large has to be put together.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from engine.runtime.onednn import plus_products, products, usable


def pieces_of(keys: Tensor) -> list[Tensor]:
    """Image sides (P, n, C) as they are worked on: prompt by prompt on a CPU, together elsewhere."""
    return list(keys.split(1 if usable(keys) else max(len(keys), 1)))


def two_way_layer(
    layer: Any, queries: Tensor, images: Sequence[Tensor], tokens: Tensor, position: Tensor
) -> tuple[Tensor, list[Tensor]]:
    """A two-way layer whose image side belongs to the prompt. The first one takes the tokens as they are.

    queries, tokens (P, T, C), images: pieces (p, n, C), position (n, C) -> new queries and pieces.
    """
    if layer.skip_first_layer_pe:
        queries = layer.norm1(layer.self_attn(q=queries, k=queries, v=queries))
    else:
        placed_queries = queries + tokens
        queries = layer.norm1(queries + layer.self_attn(q=placed_queries, k=placed_queries, v=queries))
    queries = layer.norm2(queries + read_images(layer.cross_attn_token_to_image, queries + tokens, images, position))
    queries = layer.norm3(queries + layer.mlp(queries))
    attention = layer.cross_attn_image_to_token
    heads, width = attention.num_heads, attention.internal_dim // attention.num_heads
    spread = spread_heads(attention.k_proj(queries + tokens), heads) / math.sqrt(width)
    asking, bias = spread @ attention.q_proj.weight, (spread @ attention.q_proj.bias)[..., None]
    written = values_written(attention, queries)
    pieces = []
    for part, keys in _parts(images):
        scores = products(asking[part], keys + position).add_(bias[part])
        pieces.append(layer.norm4(write_image(scores, written[part], keys, heads)))
    return queries, pieces


def read_images(attention: Any, queries: Tensor, images: Sequence[Tensor], position: Tensor) -> Tensor:
    """Tokens (P, T, C) read their own image side: pieces (p, n, C), as keys with position (n, C), and as values."""
    heads, width = attention.num_heads, attention.internal_dim // attention.num_heads
    # The bias of k_proj adds one number to all scores of a token, which softmax takes out again.
    q = (spread_heads(attention.q_proj(queries), heads) / math.sqrt(width)) @ attention.k_proj.weight
    reads = []
    for part, keys in _parts(images):
        looked = torch.softmax(products(q[part], keys + position), -1)
        reads.append(products(looked, keys.transpose(1, 2)))
    prompts, count, _ = queries.shape
    weights = attention.v_proj.weight.view(heads, width, -1)
    values = torch.einsum("phtc,hdc->pthd", torch.cat(reads).view(prompts, heads, count, -1), weights)
    return attention.out_proj(values.flatten(2) + attention.v_proj.bias)


def values_written(attention: Any, queries: Tensor) -> Tensor:
    """What tokens (P, T, C) write into positions that look at them, head by head: (P, H * T, C)."""
    heads = attention.num_heads
    out = attention.out_proj.weight.view(queries.shape[2], heads, -1)
    # The weights of a head sum to one, so each head may carry its share of the bias.
    written = torch.einsum("phtd,chd->phtc", in_heads(attention.v_proj(queries), heads), out)
    return (written + attention.out_proj.bias / heads).flatten(1, 2).to(out.dtype)


def write_image(scores: Tensor, written: Tensor, keys: Tensor, heads: int) -> Tensor:
    """Positions read the tokens: scores (p, H * T, n), what is written (p, H * T, C), keys (p, n, C) -> keys + that."""
    weights = torch.softmax(scores.unflatten(1, (heads, -1)), 2).flatten(1, 2)
    return plus_products(keys, weights, written)


def _parts(images: Sequence[Tensor]) -> Iterator[tuple[slice, Tensor]]:
    """Each piece with the prompts that it belongs to."""
    start = 0
    for keys in images:
        yield slice(start, start + len(keys)), keys
        start += len(keys)


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
