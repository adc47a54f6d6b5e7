"""A stand-in for a model of text: sentences name a colour, and the pixels of that colour are the answer."""

from collections.abc import Callable, Collection, Sequence

import numpy as np

from engine.propagation.sentences import Choice, Window
from engine.types import BoolArray, Frame, UInt8Array

RED, GREEN = "the red square", "the green square"
SIZE = (48, 80)


def squares(count: int) -> tuple[list[Frame], dict[str, list[BoolArray]]]:
    """Frames of two textured squares that drift apart over a dark ground, and the masks of each."""
    rng = np.random.default_rng(5)
    ground = rng.integers(0, 60, (12, 20, 1), dtype=np.uint8).repeat(4, 0).repeat(4, 1).repeat(3, 2)
    texture = rng.integers(190, 256, (6, 6), dtype=np.uint8).repeat(3, 0).repeat(3, 1)
    frames, masks = [], {RED: [], GREEN: []}
    for index in range(count):
        image = ground.copy()
        for name, channel, left in ((RED, 0, 20 - index), (GREEN, 1, 42 + index)):
            mask = np.zeros(SIZE, np.bool_)
            mask[14:32, left : left + 18] = True
            image[14:32, left : left + 18] = 0
            image[14:32, left : left + 18, channel] = texture
            masks[name].append(mask)
        frames.append(Frame(index, image, f"{index:05d}", index / 25))
    return frames, masks


class ColourAsker:
    """Answers with what is bright in one channel. blind: numbers of windows where it finds nothing. The score falls
    with the distance from frame `peak` of a window."""

    def __init__(self, sentences: Sequence[str], blind: Collection[int] = (), peak: int = 2) -> None:
        self.channels = [(RED, GREEN).index(sentence) for sentence in sentences]
        self.blind, self.peak = blind, peak
        self.windows: list[int] = []

    def prepare(self, image: UInt8Array) -> UInt8Array:
        return image

    def answer(self, images: Sequence[UInt8Array], size: tuple[int, int], on_share: Callable[[float], None]) -> Window:
        on_share(0.5)
        sees = len(self.windows) not in self.blind
        self.windows.append(len(images))
        stack = np.stack(images)
        masks = np.stack([(stack[..., channel] > 150) & sees for channel in self.channels], 1)
        assert masks.shape[2:] == size
        scores = np.array([[0.9 - 0.1 * abs(at - self.peak) for at in range(len(images))]] * len(self.channels))
        on_share(1.0)
        choices = [Choice(1, (0.1, float(score))) for score in scores.mean(1)]
        return Window(choices, scores, iter(masks))
