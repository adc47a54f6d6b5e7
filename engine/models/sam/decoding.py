"""SAM's mask decoder for prompts of many images at once.

segment-anything's own forward pass takes one image and repeats it for its prompts; here every prompt brings the
embedding of its image, so that training decodes a whole batch in one call. Same weights, same arithmetic.
"""

from segment_anything.modeling import MaskDecoder
from torch import Tensor

from engine.models.sam.drawn_decoder import DrawnMaskDecoder, decode_source


def decode(
    decoder: MaskDecoder, embedding: Tensor, position: Tensor, sparse: Tensor, dense: Tensor, again: bool = True
) -> tuple[Tensor, Tensor]:
    """Masks and their predicted IoU for P prompts.

    embedding (P, C, h, w), position (1, C, h, w), sparse (P, tokens, C), dense (P, C, h, w); for a DrawnMaskDecoder the
    embedding with its fine features and the dense one with its planes -> logits (P, 4, 4h, 4w), the single mask first,
    and predicted IoU (P, 4). again: boxes are asked twice, see DrawnMaskDecoder.answer.
    """
    if not isinstance(decoder, DrawnMaskDecoder):
        return decode_source(decoder, embedding + dense, position, sparse)
    if again:
        return decoder.answer(embedding, position, sparse, dense)
    coarse, fine = decoder.split(embedding)
    return decode_source(decoder, decoder.source(coarse, dense), position, sparse, fine)
