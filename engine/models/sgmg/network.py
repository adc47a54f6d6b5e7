"""SgMg as one network, in the steps that inference and training put together.

Frames pass the backbone clip by clip; everything after it is per frame, so N frames may come from several clips, and
what does not depend on the sentence (`look`) is computed once however many sentences are asked for (`refer`).
Miao et al., Spectrum-guided Multi-granularity Referring Video Object Segmentation, ICCV 2023.
"""

from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from engine.models.sgmg.config import SgMgConfig
from engine.models.sgmg.heads import MaskRefinement, kernel_length, mask_features, patch_logits, unfold_patches
from engine.models.sgmg.spectral import SpectralBlock, gaussians
from engine.models.sgmg.swin import VideoSwin
from engine.models.sgmg.text import Projection, TextFeatures, build_roberta, read_words, text_features
from engine.models.sgmg.transformer import LEVELS, BoxHead, Decoded, Transformer


class Seen(NamedTuple):
    """N frames without regard to any sentence.

    levels: four maps (N, C, h, w) at strides 8 to 64, filtered. map4, map8: the backbone's own. paddings: bool
    (N, h, w) of each level, True outside the picture.
    """

    levels: list[Tensor]
    map4: Tensor
    map8: Tensor
    paddings: list[Tensor]


class SgMg(nn.Module):
    """Parameters are named as in the published checkpoints."""

    def __init__(self, config: SgMgConfig) -> None:
        super().__init__()
        self.config = config
        width, channels = config.hidden, config.stage_channels
        self.backbone = nn.ModuleList([nn.ModuleDict({"body": VideoSwin(config)})])
        self.text_encoder = nn.ModuleDict({"text_backbone": build_roberta(config.text)})
        self.text_proj = Projection(config.text.width, width, config.dropout)
        self.sentence_proj = Projection(config.text.width, width, config.dropout)
        attention = nn.MultiheadAttention(width, config.attention_heads, batch_first=True)
        self.fusion_module = nn.ModuleDict({"multihead_attn": attention})
        self.input_proj = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(
                    channels[min(level + 1, 3)], width, 1 if level < 3 else 3, *((1, 0) if level < 3 else (2, 1))
                ),
                nn.GroupNorm(32, width),
            )
            for level in range(LEVELS)
        )
        self.input_fft = nn.ModuleList(SpectralBlock(width) for _ in range(LEVELS))
        self.input_fft_post = nn.ModuleList(SpectralBlock(width) for _ in range(LEVELS))
        self.query_embed = nn.Embedding(config.queries, width)
        self.class_embed = nn.ModuleList(nn.Linear(width, 1) for _ in range(config.decoder_layers))
        self.bbox_embed = nn.ModuleList(BoxHead(width, 4) for _ in range(config.decoder_layers))
        self.transformer = Transformer(config, self.bbox_embed)
        self.controller = BoxHead(width, kernel_length(width, config.mask_channels))
        self.mask_refine = MaskRefinement(config.mask_channels, channels[0], channels[1])

    @property
    def swin(self) -> VideoSwin:
        """The backbone."""
        body = self.backbone[0]["body"]  # type: ignore[index]
        assert isinstance(body, VideoSwin)
        return body

    def read(self, ids: Tensor) -> TextFeatures:
        """Token ids (B, L), right-padded with 1."""
        words, sentence = read_words(self.text_encoder["text_backbone"], ids)
        return text_features(self.text_proj(words), self.sentence_proj(sentence), ids)

    def look(self, maps: list[Tensor], padding: Tensor) -> Seen:
        """maps: four of N frames, from `swin`; padding: bool (N, H, W) of the input, True outside the picture."""
        raw = [self.input_proj[level](maps[min(level + 1, 3)]) for level in range(LEVELS)]
        sizes = [(plane.shape[2], plane.shape[3]) for plane in raw]
        filters = gaussians(sizes, padding.device)
        levels = [self.input_fft[at](plane, filters[at]) for at, plane in enumerate(raw)]
        outside = padding.unsqueeze(1).float()
        paddings = [F.interpolate(outside, size)[:, 0].bool() for size in sizes]
        return Seen(levels, maps[0], maps[1], paddings)

    def fuse(self, seen: Seen, text: TextFeatures) -> list[Tensor]:
        """The four maps with what each cell has to do with the words; one sentence a frame."""
        attention = self.fusion_module["multihead_attn"]
        sizes = [(plane.shape[2], plane.shape[3]) for plane in seen.levels]
        filters = gaussians(sizes, text.padding.device)
        fused = []
        for level, plane in enumerate(seen.levels):
            cells = plane.flatten(2).transpose(1, 2)
            told = attention(
                cells, text.words + text.position, text.words, key_padding_mask=text.padding, need_weights=False
            )[0]
            mixed = (cells * told).transpose(1, 2).unflatten(2, sizes[level])
            fused.append(self.input_fft_post[level](mixed, filters[level]))
        return fused

    def refer(self, seen: Seen, text: TextFeatures) -> Decoded:
        """What the queries find in N frames; `text` has N rows, one for each."""
        return self.transformer(self.fuse(seen, text), seen.paddings, text.sentence, self.query_embed.weight)

    def scores(self, decoded: Decoded, layer: int = -1) -> Tensor:
        """Logits (N, Q) of a decoder layer: is this the object of the sentence?"""
        return self.class_embed[layer](decoded.states[layer])[..., 0]

    def patches(self, decoded: Decoded, features: Tensor, sizes: Tensor, layer: int = -1) -> Tensor:
        """Mask patches (N, Q, 16, h, w) of all queries; features from `mask_features`; sizes (N, 2) height and width
        of the unpadded pictures."""
        centres = decoded.boxes[layer][..., :2].detach() * sizes.flip(-1).to(features.dtype).unsqueeze(1)
        return patch_logits(self.controller(decoded.states[layer]), features, centres, self.config.mask_channels)

    def refined(self, patches: Tensor, seen: Seen) -> Tensor:
        """Mask logits (N, H, W), padded, of one query a frame, from its patches (N, 16, h, w)."""
        return unfold_patches(self.mask_refine(patches, seen.map4, seen.map8))


def rows_of(seen: Seen, index: Tensor) -> Seen:
    """The frames of these numbers, which may repeat."""
    return Seen(
        [plane[index] for plane in seen.levels],
        seen.map4[index],
        seen.map8[index],
        [mask[index] for mask in seen.paddings],
    )


def features_of(decoded: Decoded) -> Tensor:
    """What masks are made from, at stride 8."""
    return mask_features(decoded.memory)
