"""A small box is looked at twice: in the picture, and in a crop around it that fills the network's input.

What a network of 448 pixels sees of a face in a 4K frame is a dozen pixels. Knows one picture and one box with its
points; which networks gain by it is known by whoever asks.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from engine.models.sam.asking import Asker, Question
from engine.models.sam.crops import Crop
from engine.models.sam.prompting import Embedding
from engine.types import FloatArray, UInt8Array

MARGIN = 0.4
"""What a crop shows on each side of the box, as a share of the box's side; a few pixels at least."""
_LEAST = 8
LARGEST = 0.6
"""Crops with a longer side than this share of the picture's would show little more than the picture does."""


def crop_around(corners: FloatArray, size: tuple[int, int]) -> Crop | None:
    """The crop for a box, or for what it spans together with points: corners (n, 2) x, y; size: (H, W) of the picture.

    None where the picture itself shows it large enough.
    """
    low, high = corners.min(0), corners.max(0)
    margin = MARGIN * (high - low) + _LEAST
    x0, y0 = np.maximum(np.floor(low - margin), 0).astype(int).tolist()
    x1, y1 = np.minimum(np.ceil(high + margin) + 1, size[::-1]).astype(int).tolist()
    return Crop(x0, y0, x1, y1, 1) if max(x1 - x0, y1 - y0) <= LARGEST * max(size) else None


@torch.inference_mode()
def look_closer(asker: Asker, image: UInt8Array, question: Question, logits: Tensor) -> Tensor:
    """A box's single mask, logits (H, W) of the whole picture, averaged with the same in a crop around the box.

    question: one box, with any points, no mask. The picture counts half for the largest crops, and less the smaller
    they are, since it shows the less. Outside of the crop nothing is found. The logits as they are where the box is
    large. Costs a pass of the image encoder.
    """
    assert question.boxes is not None
    corners = question.boxes.reshape(-1, 2)
    if question.points is not None:
        corners = np.concatenate([corners, question.points[0]])
    crop = crop_around(corners, (image.shape[0], image.shape[1]))
    if crop is None:
        return logits
    origin = np.array([crop.x0, crop.y0], np.float64)
    moved = replace(
        question,
        boxes=question.boxes - np.tile(origin, 2),
        points=None if question.points is None else question.points - origin,
    )
    view: Embedding = asker.prompter.embed(np.ascontiguousarray(image[crop.y0 : crop.y1, crop.x0 : crop.x1]))
    close = view.upsampler.full(asker.ask(view, moved).logits[0, 0])
    result = torch.full_like(logits, -torch.inf)
    rows, columns = slice(crop.y0, crop.y1), slice(crop.x0, crop.x1)
    share = max(crop.x1 - crop.x0, crop.y1 - crop.y0) / max(logits.shape) / LARGEST / 2
    result[rows, columns] = torch.lerp(close, logits[rows, columns], share)
    return result
