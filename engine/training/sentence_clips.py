"""Batches for models that read sentences: clips of frames, token ids, boxes and masks of what is meant.

Knows `Referred` clips, a tokenizer and how clips are shown; knows no network.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.errors import FormatError
from engine.models.sgmg.preprocess import LOADER_MULTIPLE, normalised, padded
from engine.models.sgmg.tokenizer import Tokenizer, as_trained, find_tokenizer
from engine.training.footage import Footage
from engine.training.referred import Referred, choose_frames, open_referred
from engine.training.sentence_views import View, plain_view, varied_view
from engine.training.settings import TrainSettings


class SentenceClips:
    """A source of clips. `generator` is all its randomness."""

    def __init__(
        self, referred: Sequence[Referred], tokenizer: Tokenizer, settings: TrainSettings, generator: torch.Generator
    ) -> None:
        self.referred = list(referred)
        self.tokenizer = tokenizer
        self.generator = generator
        self._size, self._frames, self._varied = settings.clips.size, settings.clips.frames, settings.augment
        self._footage = Footage()

    def batch(self, clips: int) -> tuple[Tensor, ...]:
        """images (B, T, 3, H, W), normalised and padded; sizes (B, 2), height and width before that; ids (B, L); boxes
        (B, T, 4); masks (B, T, H, W); valid (B, T)."""
        views = [self._view() for _ in range(clips)]
        images, _ = padded([normalised(list(view.images)) for view in views], LOADER_MULTIPLE)
        height, width = images.shape[-2:]
        masks = torch.stack([_padded_masks(view, height, width) for view in views])
        sizes = torch.tensor([view.masks.shape[1:] for view in views])
        ids = self.tokenizer([view.sentence for view in views])
        boxes = torch.stack([boxes_of(torch.from_numpy(view.masks)) for view in views])
        valid = masks.flatten(2).any(2).float()
        return tuple(part.to(self.generator.device) for part in (images, sizes, ids, boxes, masks, valid))

    def _view(self) -> View:
        seed = torch.randint(1 << 62, (), generator=self.generator, device=self.generator.device)
        rng = np.random.default_rng(int(seed))
        meant = self.referred[int(rng.integers(len(self.referred)))]
        numbers = choose_frames(list(meant.masks.frames), self._frames, rng)
        images, masks = meant.images(self._footage, numbers), meant.objects(numbers)
        sentence = as_trained(meant.sentence)
        if self._varied:
            return varied_view(images, masks, sentence, self._size, rng)
        return plain_view(images, masks, sentence, self._size)


def open_sentences(
    names: Sequence[str],
    settings: TrainSettings,
    generator: torch.Generator,
    videos: Path | None = None,
    text_encoder: Path | None = None,
) -> SentenceClips:
    """Clips of all these folders and stores. Raises the errors of `open_referred` and of the tokenizer."""
    for name in names:
        if not Path(name).exists():
            raise FormatError(
                f"{name}: no such data", "name a folder in the layout of Ref-YouTube-VOS, or a mask store"
            )
    referred = [clip for name in names for clip in open_referred(name, videos)]
    return SentenceClips(referred, Tokenizer(find_tokenizer(text_encoder)), settings, generator)


def boxes_of(masks: Tensor) -> Tensor:
    """bool (T, h, w) -> boxes (T, 4), cx, cy, w, h as shares of the picture; zeros for empty masks."""
    height, width = masks.shape[1:]
    sides = []
    for seen, length in ((masks.any(1), width), (masks.any(2), height)):
        place = torch.arange(length)
        first = torch.where(seen, place, length).amin(1).float()
        last = torch.where(seen, place + 1, 0).amax(1).float()
        sides.append((((first + last) / 2) / length, (last - first) / length))
    (cx, w), (cy, h) = sides
    return torch.stack([cx, cy, w, h], 1) * masks.flatten(1).any(1, keepdim=True)


def _padded_masks(view: View, height: int, width: int) -> Tensor:
    masks = torch.from_numpy(view.masks).float()
    return F.pad(masks, (0, width - masks.shape[2], 0, height - masks.shape[1]))
