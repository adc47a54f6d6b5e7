"""Where tracks begin: proposals on a clip's first frame, and later ones where nothing is tracked yet."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.generation.settings import GenerateSettings
from engine.generation.suppression import limited, without_duplicates
from engine.masks.boxed import BoxedMask
from engine.models.sam.automatic import Proposal, propose
from engine.models.sam.prompting import Embedding, Prompter
from engine.runtime.seeds import numpy_generator
from engine.types import BoolArray, UInt8Array


@dataclass(frozen=True)
class Birth:
    """A track that begins. score: SAM's predicted IoU."""

    track: int
    mask: BoxedMask
    score: float
    stability: float


class Births(Protocol):
    """Says which tracks begin on a frame."""

    def due(self, index: int) -> bool:
        """Whether frame `index` of the clip, from 0, has to be looked at."""
        ...

    def __call__(
        self, index: int, image: UInt8Array, embedding: Embedding | None, masks: Mapping[int, BoxedMask], next_id: int
    ) -> list[Birth]:
        """The new tracks beside those that are there with their masks. next_id: an id that was never used, nor above.

        embedding: of the image, None where it was not made.
        """
        ...


class ProposalBirths:
    """Tracks from SAM's automatic masks. on_note: told, in words, what somebody should know of this clip."""

    def __init__(
        self,
        prompter: Prompter,
        settings: GenerateSettings,
        clip: str,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        self._prompter, self._settings, self._clip = prompter, settings, clip
        self._on_note = on_note

    def due(self, index: int) -> bool:
        """The first frame, and every so many where that was asked for."""
        every = self._settings.reseed_every
        return index == 0 or (every is not None and index % every == 0)

    def __call__(
        self, index: int, image: UInt8Array, embedding: Embedding | None, masks: Mapping[int, BoxedMask], next_id: int
    ) -> list[Birth]:
        """See Births."""
        visible = [mask for mask in masks.values() if mask.area]
        free = _uncovered(visible, image.shape[0], image.shape[1]) if index else None
        room = self._settings.most_tracks - len(visible)
        if room < 1 or (free is not None and not free.any()):
            return []
        found = propose(self._prompter, image, self._settings.proposals, embedding, free)
        if free is not None:
            share = self._settings.new_share
            found = [p for p in found if np.count_nonzero(p.mask.within(free)) >= share * p.mask.area]
        kept = self._kept(found, image.shape[0] * image.shape[1], room, index)
        if index == 0 and not kept:
            self._on_note("no proposal passed on the first frame; lower --predicted-iou or --stability")
        return [Birth(next_id + i, p.mask, p.score, p.stability) for i, p in enumerate(kept)]

    def _kept(self, found: list[Proposal], pixels: int, room: int, index: int) -> list[Proposal]:
        found = [found[i] for i in without_duplicates([p.mask for p in found], self._settings.mask_nms)]
        generator = numpy_generator(self._settings.seed, self._clip, "limit", index)
        kept = limited([p.mask for p in found], pixels, generator, room, self._settings.large)
        if kept.dropped_large:
            self._on_note(f"{kept.dropped_large} large masks more than --max-tracks were left out")
        return [found[i] for i in kept.indices]


def _uncovered(masks: list[BoxedMask], height: int, width: int) -> BoolArray:
    """Pixels of no mask."""
    free = np.ones((height, width), np.bool_)
    for mask in masks:
        free[mask.top : mask.bottom, mask.left : mask.right] &= ~mask.crop
    return free
