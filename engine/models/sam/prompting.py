"""SAM asked many questions about one picture: one pass of the image encoder, then points by the hundred.

A pass of the decoder always holds the same number of prompts (the last one is filled up with copies), so that what a
prompt gives does not depend, not even in the last bit, on how many others are asked with it. Point prompts are never
padded with further tokens: that would change the masks; a call takes prompts of one number of points.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import Sam
from torch import Tensor

from engine.models.sam.drawn_decoder import DrawnMaskDecoder
from engine.models.sam.packing import packed_decoder, packed_encoder
from engine.models.sam.preprocess import Geometry, network_input
from engine.models.sam.shared_decoder import ImageSide, SharedDecoder
from engine.models.sam.shared_drawn import DrawnSide, SharedDrawnDecoder
from engine.models.sam.upsampling import Upsampler, upsampler
from engine.runtime.batches import FittingBatches
from engine.runtime.precision import autocast
from engine.types import FloatArray, UInt8Array

_PASS_ON_CPU = 8
"""Larger passes of the ViT sizes are slower on a CPU: their temporaries leave the cache and the allocator's pool."""
_PASS_ON_GPU = 64


@dataclass(frozen=True)
class Embedding:
    """A picture as the decoder sees it."""

    image: ImageSide | DrawnSide
    features: Tensor  # (1, C, h, w)
    geometry: Geometry
    upsampler: Upsampler


@dataclass(frozen=True)
class Decoded:
    """Three masks for each of P prompts: `logits` (P, 3, rows, columns) float32, `scores` (P, 3) predicted IoU."""

    logits: Tensor
    scores: Tensor


class Prompter:
    """A SAM on a device. `encoder_calls` and `decoder_calls` count what was asked of it."""

    def __init__(self, sam: Sam, dtype: torch.dtype = torch.float32, prompts_a_pass: int | None = None) -> None:
        """sam: with any image encoder. prompts_a_pass: what one pass holds; by default what suits the device."""
        self.sam = sam
        self.device, self.dtype = sam.pixel_mean.device, dtype
        self.threshold: float = sam.mask_threshold
        on_cpu = self.device.type == "cpu"
        self._autocast = torch.float32 if on_cpu else dtype  # packed networks have their type in their weights
        self._image_encoder = packed_encoder(sam, dtype) if on_cpu else sam.image_encoder
        decoder = packed_decoder(sam, dtype) if on_cpu else sam.mask_decoder
        kind = SharedDrawnDecoder if isinstance(decoder, DrawnMaskDecoder) else SharedDecoder
        self._decoder = kind(decoder, dtype if on_cpu else torch.float32)
        self._batches = FittingBatches(prompts_a_pass or (_PASS_ON_CPU if on_cpu else _PASS_ON_GPU))
        self.encoder_calls = 0
        self.decoder_calls = 0

    @torch.inference_mode()
    def embed(self, image: UInt8Array) -> Embedding:
        """Look at a picture, uint8 (H, W, 3) RGB."""
        self.encoder_calls += 1
        encoder = self.sam.prompt_encoder
        geometry = Geometry.of(image.shape[0], image.shape[1], self.sam.image_encoder.img_size)
        with autocast(self.device, self._autocast):
            embedding = self._image_encoder(network_input(self.sam, image, geometry)).float()
            rows, columns = (4 * int(length) for length in embedding.shape[2:])
            enlarge = upsampler((rows, columns), geometry)
            given = embedding, encoder.no_mask_embed.weight[0], encoder.get_dense_pe()
            if isinstance(self._decoder, SharedDrawnDecoder):
                covered = -(-enlarge.rows.cells // 4), -(-enlarge.columns.cells // 4)
                return Embedding(self._decoder.drawn_side(*given, covered), embedding, geometry, enlarge)
            return Embedding(self._decoder.image_side(*given), embedding, geometry, enlarge)

    @torch.inference_mode()
    def decode(self, embedding: Embedding, points: FloatArray) -> Decoded:
        """Masks for P prompts of n foreground points each, (P, n, 2) x, y in pixels of the picture."""
        self.decoder_calls += 1
        placed = torch.as_tensor(embedding.geometry.points(points), device=self.device)
        done = list(self._batches.run(len(placed), lambda start, stop: self._pass(embedding, placed[start:stop])))
        if not done:
            rows, columns = (4 * length for length in embedding.image.size)
            return Decoded(torch.zeros(0, 3, rows, columns), torch.zeros(0, 3))
        return Decoded(torch.cat([logits for logits, _ in done]), torch.cat([scores for _, scores in done]))

    def _pass(self, embedding: Embedding, points: Tensor) -> tuple[Tensor, Tensor]:
        wanted, full = len(points), self._batches.size
        filled = torch.cat([points, points[-1:].expand(full - wanted, -1, -1)]) if wanted < full else points
        labels = torch.ones(filled.shape[:2], dtype=torch.int, device=self.device)
        encoder, side, asked = self.sam.prompt_encoder, embedding.image, (filled, labels)
        decoder = self._decoder
        with autocast(self.device, self._autocast):
            if isinstance(side, DrawnSide):
                assert isinstance(decoder, SharedDrawnDecoder)
                logits, scores = decoder.answer(side, encoder.tokens(asked), encoder.near(filled))
            else:
                logits, scores = decoder(side, encoder(points=asked, boxes=None, masks=None)[0])
        return logits[:wanted].float(), scores[:wanted].float()


def stability(logits: Tensor, threshold: float, offset: float = 1.0) -> FloatArray:
    """How little a mask changes with its threshold: IoU of the cuts at threshold + and - offset, float64 (...,).

    logits: (..., rows, columns). NaN where nothing lies above the lower cut.
    """
    inner, outer = _above(logits, threshold + offset), _above(logits, threshold - offset)
    with np.errstate(invalid="ignore", divide="ignore"):
        scores: FloatArray = inner.astype(np.float64) / outer
    return scores


def _above(logits: Tensor, threshold: float) -> NDArray[np.int64]:
    """How many numbers of each map of (..., rows, columns) lie above the threshold: (...,)."""
    above = (logits > threshold).flatten(-2)
    if above.device.type != "cpu":
        return above.sum(-1).cpu().numpy()
    flat = above.reshape(-1, above.shape[-1]).numpy()  # numpy counts bytes, torch adds up as many 64-bit numbers
    counts = np.array([np.count_nonzero(row) for row in flat], np.int64)
    return counts.reshape(above.shape[:-1])
