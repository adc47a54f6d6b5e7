"""SAM's mask decoder for prompts of many images at once.

segment-anything's own forward pass takes one image and repeats it for its prompts; here every prompt brings the
embedding of its image, so that training decodes a whole batch in one call. Same weights, same arithmetic.
"""

import torch
from segment_anything.modeling import MaskDecoder
from torch import Tensor


def decode(
    decoder: MaskDecoder, embedding: Tensor, position: Tensor, sparse: Tensor, dense: Tensor
) -> tuple[Tensor, Tensor]:
    """Masks and their predicted IoU for P prompts.

    embedding (P, C, h, w), position (1, C, h, w), sparse (P, tokens, C), dense (P, C, h, w) ->
    logits (P, 4, 4h, 4w), the single mask first, and predicted IoU (P, 4).
    """
    prompts, channels, height, width = embedding.shape
    output = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])
    tokens = torch.cat([output.expand(prompts, -1, -1), sparse], 1)
    source = embedding + dense
    states, source = decoder.transformer(source, position.expand(prompts, -1, -1, -1), tokens)
    upscaled = decoder.output_upscaling(source.transpose(1, 2).reshape(prompts, channels, height, width))
    mask_states = states[:, 1 : 1 + decoder.num_mask_tokens].unbind(1)
    weights = torch.stack([mlp(x) for mlp, x in zip(decoder.output_hypernetworks_mlps, mask_states, strict=True)], 1)
    logits = (weights @ upscaled.flatten(2)).unflatten(2, upscaled.shape[2:])
    return logits, decoder.iou_prediction_head(states[:, 0])
