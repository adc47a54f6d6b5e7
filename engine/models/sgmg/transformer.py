"""The deformable transformer: maps of four levels look at each other, a few queries find boxes in them.

Per frame: N is clips times frames. Deformable DETR, Zhu et al., ICLR 2021, with boxes refined from layer to layer; the
queries are positions only, what they look for is the sentence (SgMg, section 3.2).
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.sgmg.config import SgMgConfig
from engine.models.sgmg.deformable import DeformableAttention, Sizes
from engine.models.sgmg.position import position_2d

LEVELS = 4


class Decoded(NamedTuple):
    """What the transformer found in N frames.

    states: (layers, N, Q, C). boxes: (layers, N, Q, 4), cx, cy, w, h in [0, 1] of the unpadded picture, after each
    layer. first: (N, Q, 2), where the queries began. memory: the maps at strides 8, 16 and 32.
    """

    states: Tensor
    boxes: Tensor
    first: Tensor
    memory: list[Tensor]


class BoxHead(nn.Module):
    """Layers with ReLU between; also what makes the kernels of masks."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, outputs)])

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers[:2]:
            x = F.relu(layer(x))
        return self.layers[2](x)


class EncoderLayer(nn.Module):
    """Deformable self-attention and two linear layers, norms behind each."""

    def __init__(self, config: SgMgConfig) -> None:
        super().__init__()
        width = config.hidden
        self.self_attn = DeformableAttention(width, LEVELS, config.attention_heads, config.points)
        self.norm1 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, width)
        self.norm2 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(self, x: Tensor, position: Tensor, references: Tensor, sizes: Sizes, padding: Tensor) -> Tensor:
        seen = self.self_attn(x + position, references, x, sizes, padding)
        x = self.norm1(x + self.dropout(seen))
        changed = self.linear2(self.dropout(F.relu(self.linear1(x))))
        return self.norm2(x + self.dropout(changed))


class DecoderLayer(nn.Module):
    """Queries of a frame among themselves, then to its maps. The norms are numbered as published."""

    def __init__(self, config: SgMgConfig) -> None:
        super().__init__()
        width = config.hidden
        self.cross_attn = DeformableAttention(width, LEVELS, config.attention_heads, config.points)
        self.norm1 = nn.LayerNorm(width)
        self.self_attn = nn.MultiheadAttention(width, config.attention_heads, config.dropout, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.linear1 = nn.Linear(width, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, width)
        self.norm3 = nn.LayerNorm(width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: Tensor, position: Tensor, references: Tensor, memory: Tensor, sizes: Sizes, padding: Tensor
    ) -> Tensor:
        placed = x + position
        x = self.norm2(x + self.dropout(self.self_attn(placed, placed, x, need_weights=False)[0]))
        seen = self.cross_attn(x + position, references, memory, sizes, padding)
        x = self.norm1(x + self.dropout(seen))
        changed = self.linear2(self.dropout(F.relu(self.linear1(x))))
        return self.norm3(x + self.dropout(changed))


class Encoder(nn.Module):
    """The layers of the encoder."""

    def __init__(self, config: SgMgConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))


class Decoder(nn.Module):
    """The layers of the decoder and, under a second name, the box heads."""

    def __init__(self, config: SgMgConfig, boxes: nn.ModuleList) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.bbox_embed = boxes


class Transformer(nn.Module):
    """Encoder and decoder."""

    def __init__(self, config: SgMgConfig, boxes: nn.ModuleList) -> None:
        super().__init__()
        self.level_embed = nn.Parameter(torch.empty(LEVELS, config.hidden))
        self.encoder = Encoder(config)
        self.decoder = Decoder(config, boxes)
        self.reference_points = nn.Linear(config.hidden, 2)

    def forward(self, maps: list[Tensor], paddings: list[Tensor], target: Tensor, queries: Tensor) -> Decoded:
        """maps: four (N, C, h, w); paddings: bool (N, h, w) of each; target (N, C), the sentence; queries (Q, C)."""
        sizes: Sizes = [(plane.shape[2], plane.shape[3]) for plane in maps]
        padding = torch.cat([mask.flatten(1) for mask in paddings], 1)
        ratios = torch.stack([_valid_ratio(mask) for mask in paddings], 1)
        memory = self._encode(maps, paddings, padding, ratios, sizes)
        states, boxes, first = self._decode(memory, padding, ratios, sizes, target, queries)
        parts = memory.split([height * width for height, width in sizes], 1)[:-1]
        planes = [part.transpose(1, 2).unflatten(2, size) for part, size in zip(parts, sizes[:-1], strict=True)]
        return Decoded(states, boxes, first, planes)

    def _encode(
        self, maps: list[Tensor], paddings: list[Tensor], padding: Tensor, ratios: Tensor, sizes: Sizes
    ) -> Tensor:
        channels = maps[0].shape[1]
        x = torch.cat([plane.flatten(2).transpose(1, 2) for plane in maps], 1)
        places = [
            position_2d(mask, channels).flatten(2).transpose(1, 2) + embedding
            for mask, embedding in zip(paddings, self.level_embed, strict=True)
        ]
        references = _cell_centres(sizes, ratios)
        position = torch.cat(places, 1)
        for layer in self.encoder.layers:
            x = layer(x, position, references, sizes, padding)
        return x

    def _decode(
        self, memory: Tensor, padding: Tensor, ratios: Tensor, sizes: Sizes, target: Tensor, queries: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        first = self.reference_points(queries).sigmoid().expand(len(target), -1, -1)
        reference, x = first, target.unsqueeze(1).expand(-1, len(queries), -1)
        states, boxes = [], []
        for layer, head in zip(self.decoder.layers, self.decoder.bbox_embed, strict=True):
            scale = ratios if reference.shape[-1] == 2 else torch.cat([ratios, ratios], -1)
            x = layer(x, queries, reference.unsqueeze(2) * scale.unsqueeze(1), memory, sizes, padding)
            box = _refined(head(x), reference)
            reference = box.detach()
            states.append(x)
            boxes.append(box)
        return torch.stack(states), torch.stack(boxes), first


def _refined(change: Tensor, reference: Tensor) -> Tensor:
    """A box (cx, cy, w, h) from a change of the centre or box before it, added before the sigmoid."""
    before = reference.clamp(0, 1)
    logit = (before.clamp(min=1e-5) / (1 - before).clamp(min=1e-5)).log()
    return (change + F.pad(logit, (0, 4 - logit.shape[-1]))).sigmoid()


def _valid_ratio(padding: Tensor) -> Tensor:
    """(N, 2): shares of width and height that are picture."""
    inside = (~padding).float()
    return torch.stack([inside[:, 0].mean(1), inside[:, :, 0].mean(1)], -1)


def _cell_centres(sizes: Sizes, ratios: Tensor) -> Tensor:
    """(N, S, levels, 2): the centre of every cell, as a place in each padded level."""
    centres = []
    for level, (height, width) in enumerate(sizes):
        y = torch.arange(height, device=ratios.device) + 0.5
        x = torch.arange(width, device=ratios.device) + 0.5
        cells = torch.stack([x.expand(height, -1), y[:, None].expand(-1, width)], -1).view(1, -1, 2)
        own = ratios[:, level, None]
        centres.append(cells / (own * own.new_tensor([width, height])))
    return torch.cat(centres, 1).unsqueeze(2) * ratios.unsqueeze(1)
