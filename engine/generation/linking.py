"""Tracks carried to the next frame: SAM is asked inside each carried mask until one of its answers is like it.

Up to five rounds, each with new prompts and a lower demand; the last round takes the best there is or, where that is
asked for, keeps the carried mask. All tracks that are still open are decoded together, so a frame costs as many calls
of the decoder as it takes rounds.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from engine.generation.sampling import Sampler
from engine.generation.selection import Comparison, stable
from engine.masks.boxed import BoxedMask
from engine.models.sam.prompting import Decoded, Embedding, Prompter, stability
from engine.types import BoolArray, FloatArray

_PROMPTS_AT_ONCE = {"cpu": 80}
_PROMPTS_ON_GPU = 1024


@dataclass(frozen=True)
class LinkSettings:
    """The pipeline's constants. ladder: the IoU that a candidate needs to be taken, round by round.

    Beyond the paper, which takes whatever the last round's best is: least_iou: below it the track ends. keep_warped:
    below it the carried mask itself is the track's mask; rounds that would demand less are not asked.
    """

    ladder: tuple[float, ...] = (0.9, 0.8, 0.7, 0.6, 0.5)
    stability: float = 0.95
    stability_offset: float = 1.0
    least_iou: float | None = None
    keep_warped: float | None = None

    @property
    def demands(self) -> tuple[float, ...]:
        """The rounds that are asked, each with the IoU that ends it early; the last one ends in any case."""
        keep = self.keep_warped
        if keep is None:
            return self.ladder
        return *(demand for demand in self.ladder[:-1] if demand > keep), keep


@dataclass(frozen=True)
class Linked:
    """A track's mask on the new frame. points (n, 2): the prompt that made it. score: SAM's predicted IoU.

    Of a carried mask that was kept, warped_iou is that of the best candidate, and nothing else is known.
    """

    mask: BoxedMask
    warped_iou: float
    score: float
    stability: float
    points: FloatArray | None


LOST = Linked(BoxedMask(0, 0, np.zeros((0, 0), np.bool_)), 0.0, 0.0, float("nan"), None)
"""A track that is not to be seen (any more)."""


@dataclass(frozen=True)
class _Open:
    """A track that waits for a mask, with the prompts of this round (P, n, 2)."""

    track: int
    carried: BoxedMask
    prompts: FloatArray


class Linker:
    """Asks one SAM. prompts_at_once: whose logits are held in memory together; it never changes a result."""

    def __init__(self, prompter: Prompter, settings: LinkSettings, prompts_at_once: int | None = None) -> None:
        self._prompter, self._settings = prompter, settings
        self._at_once = prompts_at_once or _PROMPTS_AT_ONCE.get(prompter.device.type, _PROMPTS_ON_GPU)
        self.upsampled = 0

    def link(
        self,
        embedding: Embedding,
        carried: Mapping[int, BoxedMask],
        consistent: BoolArray,
        sampler: Sampler,
        frame: int,
    ) -> dict[int, Linked]:
        """Masks of frame number `frame` for the carried masks of all tracks, by track.

        consistent: pixels of this frame whose flow agrees with itself, bool (H, W).
        """
        comparison = Comparison(embedding.upsampler, self._prompter.threshold, consistent)
        waiting = {track: mask for track, mask in carried.items() if mask.area}
        found: dict[int, Linked] = {}
        demands = self._settings.demands
        for round, demand in enumerate(demands, 1):
            last = round == len(demands)
            asked = [_Open(track, mask, sampler(mask, frame, track, round)) for track, mask in waiting.items()]
            for group, decoded in self._decoded(embedding, asked):
                for entry, own in zip(group, _split(decoded, group), strict=True):
                    # A prompt that cannot vary gives the same in every round: what the last one would take is known.
                    final = last or len(entry.prompts) == 1
                    linked = self._choose(comparison, entry, own, -1.0 if final else demand)
                    if linked is not None or final:
                        found[entry.track] = self._settled(entry, linked)
                        del waiting[entry.track]
        self.upsampled += comparison.upsampled
        return {track: found.get(track, LOST) for track in carried}

    def _decoded(self, embedding: Embedding, asked: Sequence[_Open]) -> Iterator[tuple[list[_Open], Decoded]]:
        """The tracks' prompts decoded together, grouped by their number of points."""
        for count in sorted({entry.prompts.shape[1] for entry in asked}):
            group: list[_Open] = []
            held = 0
            for entry in (entry for entry in asked if entry.prompts.shape[1] == count):
                if group and held + len(entry.prompts) > self._at_once:
                    yield group, self._prompter.decode(embedding, np.concatenate([e.prompts for e in group]))
                    group, held = [], 0
                group.append(entry)
                held += len(entry.prompts)
            yield group, self._prompter.decode(embedding, np.concatenate([e.prompts for e in group]))

    def _choose(self, comparison: Comparison, entry: _Open, decoded: Decoded, demand: float) -> Linked | None:
        logits = decoded.logits.flatten(0, 1)
        scores = stability(logits, self._prompter.threshold, self._settings.stability_offset)
        kept = stable(scores, self._settings.stability)
        if not kept:
            return None
        choice = comparison.best(logits[kept], entry.carried, demand)
        if choice is None:
            return None
        index = kept[choice.index]
        score = float(decoded.scores.flatten()[index])
        return Linked(choice.mask, choice.iou, score, float(scores[index]), entry.prompts[index // 3])

    def _settled(self, entry: _Open, linked: Linked | None) -> Linked:
        """The track's mask, given the best candidate if any was stable."""
        least, keep = self._settings.least_iou, self._settings.keep_warped
        agreed = 0.0 if linked is None else linked.warped_iou
        if least is not None and agreed < least:
            return LOST
        if keep is not None and agreed < keep:
            return Linked(entry.carried, agreed, math.nan, math.nan, None)
        if linked is None:
            return LOST
        return replace(linked, points=linked.points if linked.mask.area else None)


def _split(decoded: Decoded, group: Sequence[_Open]) -> Iterator[Decoded]:
    start = 0
    for entry in group:
        stop = start + len(entry.prompts)
        yield Decoded(decoded.logits[start:stop], decoded.scores[start:stop])
        start = stop
