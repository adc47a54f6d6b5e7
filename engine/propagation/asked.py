"""Masks for points and boxes: SAM asked about the frames of a video that have any.

Every frame is looked at once. One point alone may mean a part or a whole, so the most trusted of SAM's three masks is
taken; whatever says more is answered by its single mask. Small networks look at small boxes from closer by.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from engine.errors import MaskError
from engine.models.sam.asking import Asker, Question
from engine.models.sam.closer import look_closer
from engine.models.sam.prompting import Embedding
from engine.propagation.spots import Spot, check_inside
from engine.types import BoolArray, UInt8Array
from engine.video import VideoReader, frame_numbers


@dataclass(frozen=True)
class Answer:
    """The mask of a spot, bool (H, W). chosen: 1, 2 or 3 of SAM's three, 0 for the single one. score: predicted IoU."""

    spot: Spot
    mask: BoolArray
    chosen: int
    score: float

    def __str__(self) -> str:
        which = f"mask {self.chosen} of 3" if self.chosen else "the single mask"
        pixels = int(np.count_nonzero(self.mask))
        return f"{self.spot.name}: {which} on frame {self.spot.frame}, predicted IoU {self.score:.2f}, {pixels} pixels"


def answer_spots(asker: Asker, video: VideoReader, spots: Sequence[Spot]) -> Iterator[Answer]:
    """The masks of all spots, in the order of frames.

    Raises MaskError for frames that the video does not have, points outside it, and where SAM finds nothing.
    """
    for number, group in groupby(sorted(spots, key=lambda spot: spot.frame), key=lambda spot: spot.frame):
        image = _frame(video, number)
        embedding = asker.prompter.embed(image)
        for spot in group:
            check_inside(spot, image.shape[:2])
            yield _answer(asker, image, embedding, spot)


def _answer(asker: Asker, image: UInt8Array, embedding: Embedding, spot: Spot) -> Answer:
    labels = np.array([[point.positive for point in spot.points]], np.int64)
    points = np.array([[(point.x, point.y) for point in spot.points]], np.float64)
    question = Question(
        points if spot.points else None,
        labels if spot.points else None,
        None if spot.box is None else np.array([spot.box], np.float64),
    )
    answers = asker.ask(embedding, question)
    alone = spot.box is None and len(spot.points) == 1
    chosen = int(answers.scores[0, 1:].argmax()) + 1 if alone else 0
    logits = embedding.upsampler.full(answers.logits[0, chosen])
    if spot.box is not None and asker.draws:
        logits = look_closer(asker, image, question, logits)
    mask = (logits > asker.prompter.threshold).cpu().numpy()
    if not mask.any():
        raise MaskError(f"SAM finds no object for {spot}", "move the point, add another or a box, or choose --sam")
    return Answer(spot, mask, chosen, float(answers.scores[0, chosen]))


def _frame(video: VideoReader, number: int) -> UInt8Array:
    """The frame of this number, as stores and prompts count."""
    numbers = frame_numbers(video)
    index = number
    if numbers is not None and number in numbers:
        index = list(numbers).index(number)
    elif numbers is not None and number != 0:
        raise MaskError(
            f"a point or box is given on frame {number}, which the images do not have",
            f"their names run from {numbers[0]} to {numbers[-1]}; mend the number after @",
        )
    for frame in video.frames(index, index + 1):
        return frame.image
    raise MaskError(f"a point or box is given on frame {number}, the video ends before it", "mend the number after @")
