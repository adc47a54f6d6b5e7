"""SAM's mask decoder for drawn prompts: what lies under a prompt is compared with every position of the image.

Each prompt's planes (DrawnPromptEncoder) say where to look; the projected image embedding, averaged there, is a
prototype. The cosine of every position with each prototype, in several groups of channels, joins the planes on their
way into a small U-Net, whose result is added to the image side of segment-anything's decoder. Masks are upscaled with
finer features of the picture beside them, which travel as further channels of the embedding.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from segment_anything.modeling import MaskDecoder, PromptEncoder
from torch import Tensor, nn

from engine.models.sam.prompt_encoder import PLANES
from engine.models.sam.prompted_net import PromptedNet
from engine.nn.conv_encoder import NormBlock
from engine.nn.packed import convolve

PROTOTYPES = 5
GROUPS = 4
OUTSIDE = 1.0
"""What a pixel of the input that lies so many pixels outside of a box has to be surer, in logits a pixel."""


def decode_source(
    decoder: MaskDecoder, source: Tensor, position: Tensor, sparse: Tensor, fine: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Image sides (P, C, h, w), positions (1, C, h, w), tokens (P, t, C) -> logits (P, 4, 4h, 4w), quality (P, 4).

    fine (P or 1, C / 4, 2h, 2w): what a DrawnMaskDecoder adds at half the stride.
    """
    prompts, channels, height, width = source.shape
    output = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([output.expand(prompts, -1, -1), sparse], 1)
    states, keys = decoder.transformer(source, position.expand(prompts, -1, -1, -1), tokens)
    keys = keys.transpose(1, 2).reshape(prompts, channels, height, width)
    upscaled = decoder.output_upscaling(keys) if fine is None else decoder.upscale(keys, fine)
    mask_states = states[:, 1 : 1 + decoder.num_mask_tokens].unbind(1)
    weights = torch.stack([mlp(x) for mlp, x in zip(decoder.output_hypernetworks_mlps, mask_states, strict=True)], 1)
    logits = (weights @ upscaled.flatten(2)).unflatten(2, upscaled.shape[2:])
    return logits, decoder.iou_prediction_head(states[:, 0])


class Seen(NamedTuple):
    """What prompts look at: image (P or 1, C, h, w), what it brings into the U-Net, keys (P or 1, GROUPS, c, h * w)."""

    image: Tensor
    entered: Tensor
    keys: Tensor


class DrawnMaskDecoder(MaskDecoder):
    """segment-anything's mask decoder with a way in for planes and for fine features.

    The embedding (B, C + 4F, h, w) holds the image embedding and, unshuffled, F features at half its stride.
    """

    def __init__(
        self,
        transformer_dim: int,
        transformer: nn.Module,
        iou_head_hidden_dim: int,
        prompted_widths: tuple[int, ...],
        fine: int,
    ) -> None:
        super().__init__(
            transformer_dim=transformer_dim, transformer=transformer, iou_head_hidden_dim=iou_head_hidden_dim
        )
        self.drawn_key = nn.Conv2d(transformer_dim, transformer_dim // 2, 1)
        self.seen = nn.Conv2d(transformer_dim, prompted_widths[0], 1)
        self.drawn = nn.Conv2d(PLANES + PROTOTYPES * GROUPS, prompted_widths[0], 3, padding=1)
        self.prompted = PromptedNet(prompted_widths)
        self.added = nn.Conv2d(prompted_widths[0], transformer_dim, 1)
        self.fine = nn.Conv2d(fine, transformer_dim // 4, 1)
        self.refine = NormBlock(transformer_dim // 4, transformer_dim // 4)

    def split(self, embedding: Tensor) -> tuple[Tensor, Tensor]:
        """(B, C + 4F, h, w) -> (B, C, h, w) and what it adds at half the stride, (B, C / 4, 2h, 2w)."""
        coarse, fine = embedding[:, : self.transformer_dim], embedding[:, self.transformer_dim :]
        return coarse, self.fine(F.pixel_shuffle(fine, 2))

    def source(self, embedding: Tensor, dense: Tensor) -> Tensor:
        """The decoder's image side, (P, C, h, w): embedding (P or 1, C, h, w), dense (P, C + PLANES or more, h, w)."""
        plain, planes, _ = self._parts(dense)
        return self.source_of(self.seen_with(embedding, plain), planes)

    def _parts(self, dense: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What a mask adds, the planes, and what is behind them, along the channels of a dense embedding."""
        plain, planes, beyond = dense.tensor_split([self.transformer_dim, self.transformer_dim + PLANES], 1)
        return plain, planes, beyond

    def seen_with(self, embedding: Tensor, plain: Tensor) -> Seen:
        """The picture's share: embedding (P or 1, C, h, w), plain: what a mask, or none, adds (P or 1, C, h or 1, w or
        1)."""
        image = embedding + plain
        keys = F.normalize(self.drawn_key(embedding).float().unflatten(1, (GROUPS, -1)), dim=2)
        return Seen(image, self.seen(image), keys.flatten(3))

    def source_of(self, seen: Seen, planes: Tensor) -> Tensor:
        """The image side for P prompts, planes (P, PLANES, h, w), that share what is seen or have their own."""
        drawn = torch.cat([planes, self.likeness(seen.keys, planes)], 1)
        # Packed convolutions add what has their own shape; anything else is a thousand times slower.
        image, entered = (part.expand(len(planes), -1, -1, -1) for part in (seen.image, seen.entered))
        prompted = self.prompted(convolve(self.drawn, drawn, relu=True, plus=entered))
        return convolve(self.added, prompted, plus=image)

    def upscale(self, source: Tensor, fine: Tensor) -> Tensor:
        """Image side (P, C, h, w), fine (P or 1, C / 4, 2h, 2w) -> (P, C / 8, 4h, 4w)."""
        double, norm, activation, double_again, last_activation = self.output_upscaling
        x = self.refine(activation(norm(double(source))) + fine)
        upscaled: Tensor = last_activation(double_again(x))
        return upscaled

    def predict_masks(
        self,
        image_embeddings: Tensor,
        image_pe: Tensor,
        sparse_prompt_embeddings: Tensor,
        dense_prompt_embeddings: Tensor,
    ) -> tuple[Tensor, Tensor]:
        """segment-anything's call for the prompts of one image: embedding (1, C + 4F, h, w)."""
        # Its own predict_masks repeats the embedding for every prompt and adds the dense one; the addition is ours.
        return self.answer(image_embeddings, image_pe, sparse_prompt_embeddings, dense_prompt_embeddings)

    def look_again_with(self, prompt_encoder: PromptEncoder) -> None:
        """The prompt encoder that shows the decoder its own masks; its weights do not become the decoder's."""
        self._prompt_encoder = (prompt_encoder,)

    def answer(self, embedding: Tensor, position: Tensor, sparse: Tensor, dense: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (P, 4, 4h, 4w) and quality (P, 4) of P prompts; embedding (P or 1, C + 4F, h, w).

        A box that comes without a mask is asked twice, the second time with the first answer as its mask, and gets the
        mean of both single masks: boxes are what the network is surest of, it mends its own mistakes, and what it says
        both times is right more often than either. Where no points came with it, what lies outside of it has to be
        the surer, the further out it is.
        """
        coarse, fine = self.split(embedding)
        logits, quality = decode_source(self, self.source(coarse, dense), position, sparse, fine)
        again = self._boxed_without_mask(dense)
        if bool(again.any()):
            shown = self._prompt_encoder[0].mask_downscaling(logits[again, :1])
            dense = torch.cat([shown, dense[again, self.transformer_dim :]], 1)
            coarse, fine = (x if len(x) == 1 else x[again] for x in (coarse, fine))
            mended, sure = decode_source(self, self.source(coarse, dense), position, sparse[again], fine)
            logits, quality = logits.clone(), quality.clone()
            logits[again, 0] = (logits[again, 0] + mended[:, 0]) / 2 - self._doubt(dense, logits.shape[-2:])
            quality[again, 0] = sure[:, 0]
        return logits, quality

    def _doubt(self, dense: Tensor, size: Sequence[int]) -> Tensor:
        """By how much logits of boxes without points are lowered outside of them: (P, *size)."""
        _, planes, beyond = self._parts(dense)
        alone = ~planes[:, :-4].flatten(1).any(1)
        outside = F.interpolate(beyond, size=list(size), mode="bilinear", align_corners=False).amax(1)
        return OUTSIDE * F.relu(outside) * alone[:, None, None]

    def _boxed_without_mask(self, dense: Tensor) -> Tensor:
        """Which of the dense embeddings (P, C + PLANES + 4, h, w) are of a box without a mask, bool (P,)."""
        plain, planes, _ = self._parts(dense)
        unmasked = plain[:, :, 0, 0] == self._prompt_encoder[0].no_mask_embed.weight.to(plain.dtype)
        boxed: Tensor = unmasked.all(1) & (planes[:, -1, 0, 0] > 0)
        return boxed

    def likeness(self, keys: Tensor, planes: Tensor) -> Tensor:
        """Cosines (P, PROTOTYPES * GROUPS, h, w) with what lies under the prompts; zeros where a prompt is absent.

        keys (P or 1, GROUPS, c, h * w) of length one.
        """
        weight = _where_to_look(planes).flatten(2)
        there = weight.sum(2) > 1e-6
        weight = weight / weight.sum(2, keepdim=True).clamp(min=1e-6)
        keys = keys.expand(len(planes), -1, -1, -1)
        prototype = F.normalize(torch.einsum("pkn,pgcn->pkgc", weight, keys), dim=3)
        cosine = torch.einsum("pkgc,pgcn->pkgn", prototype, keys)
        return (cosine * there[:, :, None, None]).flatten(1, 2).unflatten(2, planes.shape[2:])


def _where_to_look(planes: Tensor) -> Tensor:
    """Weights (P, 5, h, w): at positive points, around them, at negative ones, in the box's middle, outside of it."""
    inside, across, down, present = planes[:, 6:].unbind(1)
    middle = inside * (1 - across.square()) * (1 - down.square())
    return torch.stack([planes[:, 0], planes[:, 1], planes[:, 3], middle, present * (1 - inside)], 1)
