"""Sentences asked of a window of frames: what a model of text and video answers, as soft masks of the frames' size.

Knows SgMg and pictures; knows no files, no stores and nothing of other windows.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from engine.errors import UsageError
from engine.models.sgmg.inference import Answer, answer_clip, exclusive_labels, to_size
from engine.models.sgmg.network import SgMg
from engine.models.sgmg.preprocess import SMALLEST_SIDE, normalised, resized, video_size
from engine.types import BoolArray, UInt8Array


@dataclass(frozen=True)
class Choice:
    """Which query answers one sentence in one window. means: scores of all queries in [0, 1], means over the window."""

    query: int
    means: tuple[float, ...]


@dataclass(frozen=True)
class Window:
    """The answers to all sentences in one window of frames.

    choices: by sentence. scores: float (sentences, frames) in [0, 1], the chosen query's. masks: for each frame in
    order bool (sentences, H, W), made when asked for.
    """

    choices: list[Choice]
    scores: np.ndarray
    masks: Iterator[BoolArray]


class Asker(Protocol):
    """Who answers."""

    def prepare(self, image: UInt8Array) -> UInt8Array:
        """A frame, uint8 (H, W, 3) RGB, as it is kept until its window is full."""
        ...

    def answer(self, images: Sequence[UInt8Array], size: tuple[int, int], on_share: Callable[[float], None]) -> Window:
        """images: prepared frames; size: height and width of the masks. on_share: told now and then what share of the
        work is done; what it raises ends the work."""
        ...


class SgMgAsker:
    """SgMg and its sentences. exclusive: a pixel belongs to one sentence at most, as in the published evaluation."""

    def __init__(
        self,
        network: SgMg,
        ids: Tensor,
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        exclusive: bool = False,
        short_side: int | None = None,
    ) -> None:
        """ids: token ids (sentences, L). short_side: of the network's input in pixels; None: what it was made for.

        Raises UsageError for a side below 129.
        """
        self.short_side = short_side or network.config.short_side
        if self.short_side < SMALLEST_SIDE:
            raise UsageError(f"a short side of {self.short_side} pixels", f"SgMg needs at least {SMALLEST_SIDE}")
        self.device = torch.device(device)
        self.network = network.to(self.device).eval()
        self.dtype, self.exclusive = dtype, exclusive
        with torch.inference_mode():
            self._text = self.network.read(ids.to(self.device))

    def prepare(self, image: UInt8Array) -> UInt8Array:
        """The frame at the network's size."""
        return resized(image, video_size(image.shape[0], image.shape[1], self.short_side))

    def answer(
        self,
        images: Sequence[UInt8Array],
        size: tuple[int, int],
        on_share: Callable[[float], None] = lambda share: None,
    ) -> Window:
        """Every sentence in every frame. Raises what the network raises."""
        clip = normalised(images).to(self.device)
        answers = answer_clip(self.network, clip, self._text, self.dtype, on_share=on_share)
        choices = [Choice(answer.query, tuple(answer.means.tolist())) for answer in answers]
        scores = np.stack([answer.scores.cpu().numpy() for answer in answers])
        return Window(choices, scores, self._masks(answers, size))

    @torch.inference_mode()
    def _masks(self, answers: list[Answer], size: tuple[int, int]) -> Iterator[BoolArray]:
        """Frame by frame, so that only one is held at full size."""
        for frame in range(len(answers[0].logits)):
            soft = torch.cat([to_size(answer.logits[frame, None], size) for answer in answers])
            if self.exclusive:
                labels = exclusive_labels(soft)
                yield torch.stack([labels == number for number in range(1, len(answers) + 1)]).cpu().numpy()
            else:
                yield (soft > 0.5).cpu().numpy()
