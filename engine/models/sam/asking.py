"""SAM asked in every way it can be: points of both labels, boxes, masks, in any combination, many prompts a call.

`Prompter.decode` answers foreground points by the hundred in less work; here any prompt is answered, with the single
mask beside the three. All prompts of a call look at one embedding. Knows prompts and networks, nothing of time.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything.modeling import MaskDecoder
from torch import Tensor

from engine.models.sam.decoding import decode
from engine.models.sam.prompt_encoder import DrawnPromptEncoder
from engine.models.sam.prompting import Embedding, Prompter
from engine.runtime.batches import FittingBatches
from engine.runtime.precision import autocast
from engine.types import FloatArray

DecoderFor = Callable[[int, int], MaskDecoder]

_PASS_ON_CPU, _PASS_ON_GPU = 8, 64


@dataclass(frozen=True)
class Question:
    """P prompts of one kind, for one picture; at least one part is given.

    points: (P, n, 2) x, y in pixels of the picture, n may be 0; labels: (P, n), 1 object, 0 background. boxes: (P, 4)
    x0, y0, x1, y1 in pixels, corners included. masks: low-resolution logits (P, rows, columns) of an earlier answer.
    """

    points: FloatArray | None = None
    labels: NDArray[np.integer[Any]] | None = None
    boxes: FloatArray | None = None
    masks: Tensor | None = None

    def __len__(self) -> int:
        return next(len(part) for part in (self.points, self.boxes, self.masks) if part is not None)

    def __getitem__(self, chosen: slice | NDArray[np.integer[Any]]) -> "Question":
        """Some of the prompts."""
        return Question(
            None if self.points is None else self.points[chosen],
            None if self.labels is None else self.labels[chosen],
            None if self.boxes is None else self.boxes[chosen],
            None if self.masks is None else self.masks[chosen],
        )

    def shown(self, masks: Tensor, boxes: FloatArray | None = None) -> "Question":
        """The same points with another mask and other boxes (none by default)."""
        return replace(self, masks=masks, boxes=boxes)


@dataclass(frozen=True)
class Answers:
    """Four masks a prompt, the single one first: `logits` (P, 4, rows, columns) float32, `scores` (P, 4)."""

    logits: Tensor
    scores: Tensor

    def best(self) -> tuple[Tensor, Tensor]:
        """Of the three masks that differ in size, the most trusted: logits (P, rows, columns), scores (P,)."""
        scores, chosen = self.scores[:, 1:].max(1)
        return self.logits[torch.arange(len(chosen), device=chosen.device), chosen + 1], scores


class Asker:
    """A Prompter that takes any question. `decoder_calls` counts the prompts that were decoded."""

    def __init__(self, prompter: Prompter, dtype: torch.dtype = torch.float32) -> None:
        self.prompter = prompter
        self.device = prompter.device
        self._dtype = dtype
        self._batches = FittingBatches(_PASS_ON_CPU if self.device.type == "cpu" else _PASS_ON_GPU)
        self.decoder_calls = 0

    @property
    def side(self) -> int:
        """Side of the network's square input in pixels."""
        side: int = self.prompter.sam.image_encoder.img_size
        return side

    @property
    def draws(self) -> bool:
        """Whether the network is a small one that has its prompts drawn."""
        return isinstance(self.prompter.sam.prompt_encoder, DrawnPromptEncoder)

    @torch.inference_mode()
    def ask(self, embedding: Embedding, question: Question, decoder: DecoderFor | None = None) -> Answers:
        """Masks for P prompts. decoder: makes the one for prompts start..stop-1 where it is not the network's own."""
        if len(question) == 0:
            rows, columns = (4 * length for length in embedding.image.size)
            return Answers(torch.zeros(0, 4, rows, columns, device=self.device), torch.zeros(0, 4, device=self.device))
        self.decoder_calls += len(question)
        done = list(
            self._batches.run(
                len(question),
                lambda start, stop: self._pass(
                    embedding, question[start:stop], decoder(start, stop) if decoder else self.prompter.sam.mask_decoder
                ),
            )
        )
        return Answers(torch.cat([logits for logits, _ in done]), torch.cat([scores for _, scores in done]))

    def _pass(self, embedding: Embedding, question: Question, decoder: MaskDecoder) -> tuple[Tensor, Tensor]:
        sam = self.prompter.sam
        points, boxes = self._points(embedding, question), None
        if question.boxes is not None:
            corners = embedding.geometry.points(question.boxes.reshape(-1, 2, 2)).reshape(-1, 4)
            boxes = torch.as_tensor(corners, device=self.device)
        masks = None if question.masks is None else question.masks[:, None].to(self.device)
        with autocast(self.device, self._dtype):
            sparse, dense = sam.prompt_encoder(points=points, boxes=boxes, masks=masks)
            features = embedding.features.expand(len(question), -1, -1, -1)
            logits, scores = decode(decoder, features, sam.prompt_encoder.get_dense_pe(), sparse, dense)
        return logits.float(), scores.float()

    def _points(self, embedding: Embedding, question: Question) -> tuple[Tensor, Tensor] | None:
        """Coordinates of the network's input and labels. A network that draws points needs one, if of no label."""
        if question.points is None or question.labels is None:
            return None
        placed = torch.as_tensor(embedding.geometry.points(question.points), device=self.device)
        labels = torch.as_tensor(question.labels, device=self.device)
        if placed.shape[1] == 0 and self.draws:
            return placed.new_zeros(len(placed), 1, 2), labels.new_full((len(placed), 1), -1)
        return placed, labels
