"""segment-anything's own prompt encoder and decoder in double precision, and an Asker that is compared with them.

Recordings go through up to fourteen decodes in a row, each of which shows SAM its last answer. On its way back in, an
answer passes a norm over four channels; where those hardly differ float32 rounding is magnified, so that within a chain
2e-4 grows to 0.2 logits, in the recording as much as here. What holds for every decode by itself is compared here:
equal questions, equal features, the published code.
"""

import copy

import torch
from recording import RecordingAsker
from segment_anything.modeling import Sam
from segment_anything.modeling.prompt_encoder import PositionEmbeddingRandom
from torch import Tensor

from engine.models.sam.asking import Answers, DecoderFor, Question
from engine.models.sam.prompting import Embedding, Prompter

EACH = 5e-3  # logits of one decode


class PublishedSAM:
    """What `Asker.ask` should answer."""

    def __init__(self, sam: Sam) -> None:
        self._prompts, self._decoder = (copy.deepcopy(part).double() for part in (sam.prompt_encoder, sam.mask_decoder))
        self._prompts.pe_layer = _ExactPositions(self._prompts.pe_layer)

    @torch.inference_mode()
    def logits(self, embedding: Embedding, question: Question) -> Tensor:
        """(P, 4, rows, columns) float64."""
        place, points, boxes = embedding.geometry.points, None, None
        if question.points is not None and question.labels is not None:
            points = torch.as_tensor(place(question.points)), torch.as_tensor(question.labels)
        if question.boxes is not None:
            boxes = torch.as_tensor(place(question.boxes.reshape(-1, 2, 2))).reshape(-1, 4)
        masks = None if question.masks is None else question.masks[:, None].double()
        sparse, dense = self._prompts(points=points, boxes=boxes, masks=masks)
        positions = self._prompts.get_dense_pe()
        logits: Tensor = self._decoder.predict_masks(embedding.features.double(), positions, sparse, dense)[0]
        return logits


class ComparedAsker(RecordingAsker):
    """`furthest`: the largest difference of a logit from the published code's, over all decodes with its decoder."""

    def __init__(self, prompter: Prompter) -> None:
        super().__init__(prompter)
        self.furthest = 0.0
        self._published = PublishedSAM(prompter.sam)

    def ask(self, embedding: Embedding, question: Question, decoder: DecoderFor | None = None) -> Answers:
        answers = super().ask(embedding, question, decoder)
        if decoder is None and len(question):
            difference = (answers.logits - self._published.logits(embedding, question)).abs().max()
            self.furthest = max(self.furthest, float(difference))
        return answers


class _ExactPositions(PositionEmbeddingRandom):
    """The same positions without a step in float32."""

    def __init__(self, plain: PositionEmbeddingRandom) -> None:
        super().__init__()
        self.positional_encoding_gaussian_matrix = plain.positional_encoding_gaussian_matrix.double()

    def forward(self, size: tuple[int, int]) -> Tensor:
        y, x = torch.meshgrid(*((torch.arange(n).double() + 0.5) / n for n in size), indexing="ij")
        return self._pe_encoding(torch.stack([x, y], -1)).permute(2, 0, 1)

    def forward_with_coords(self, coords_input: Tensor, image_size: tuple[int, int]) -> Tensor:
        return self._pe_encoding(coords_input.double() / torch.tensor(image_size[::-1]).double())
