"""SAM's mask decoder led to a concept: attention and tokens of its transformer carry it (PerSAM, section 3.2).

No weights of its own: a decoder is copied without its tensors, with another transformer in it.
"""

import copy
import math
from typing import Any

import torch
from segment_anything.modeling import MaskDecoder
from torch import Tensor, nn


def guided(decoder: MaskDecoder, attention: Tensor, concept: Tensor) -> MaskDecoder:
    """The same decoder for P prompts, each with attention (P, n) for the n image positions and a concept (P, C)."""
    led = copy.copy(decoder)
    led._modules = dict(decoder._modules)
    led.transformer = _GuidedTransformer(decoder.transformer, attention, concept)
    return led


class _GuidedTransformer(nn.Module):
    """segment-anything's two-way transformer with a concept among its tokens."""

    def __init__(self, transformer: Any, attention: Tensor, concept: Tensor) -> None:
        super().__init__()
        self._plain = [transformer]  # in a list: its parameters are not ours
        self._attention, self._concept = attention, concept

    def forward(self, image: Tensor, position: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """image and position (P, C, h, w), tokens (P, T, C) -> states of tokens and of the image side (P, n, C)."""
        plain, concept = self._plain[0], self._concept[:, None]
        keys, position = (x.flatten(2).transpose(1, 2) for x in (image, position))
        # The concept stays in the tokens where they serve as positions.
        queries = placed = tokens + concept
        for index, layer in enumerate(plain.layers):
            before = queries if index == 0 else queries + concept
            queries, keys = self._led(layer)(queries=before, keys=keys, query_pe=placed, key_pe=position)
        last = queries + placed + concept
        read = plain.final_attn_token_to_image(q=last, k=keys + position, v=keys)
        return plain.norm_final_attn(queries + read), keys

    def _led(self, layer: nn.Module) -> nn.Module:
        led = copy.copy(layer)
        led._modules = dict(layer._modules)
        led.cross_attn_token_to_image = _GuidedAttention(layer.cross_attn_token_to_image, self._attention)
        return led


class _GuidedAttention(nn.Module):
    """Attention whose weights are added to and pass a second softmax."""

    def __init__(self, attention: Any, added: Tensor) -> None:
        super().__init__()
        self._plain = [attention]
        self._added = added[:, None, None]

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q (P, T, C), k and v (P, n, C) -> (P, T, C)."""
        plain = self._plain[0]
        heads, width = plain.num_heads, plain.internal_dim // plain.num_heads
        q, k, v = (
            x.unflatten(2, (heads, width)).transpose(1, 2) for x in (plain.q_proj(q), plain.k_proj(k), plain.v_proj(v))
        )
        weights = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(width), -1)
        weights = torch.softmax(weights + self._added, -1)
        read: Tensor = plain.out_proj((weights @ v).transpose(1, 2).flatten(2))
        return read
