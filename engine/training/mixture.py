"""Several sources of clips as one: each batch comes from one of them."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from engine.training.loop import ClipSource, Positioned


class Mixture:
    """Draws the source of each batch with equal chance. All sources share one generator."""

    def __init__(self, sources: Sequence[ClipSource], generator: torch.Generator) -> None:
        self.sources = sources
        self.generator = generator

    @property
    def position(self) -> list[Any]:
        """That of each source, None for those that have none."""
        return [source.position if isinstance(source, Positioned) else None for source in self.sources]

    @position.setter
    def position(self, position: list[Any]) -> None:
        for source, at in zip(self.sources, position, strict=True):
            if isinstance(source, Positioned):
                source.position = at

    def batch(self, clips: int) -> tuple[Tensor, ...]:
        """A batch of one of the sources."""
        draw = torch.randint(len(self.sources), (), generator=self.generator, device=self.generator.device)
        return self.sources[int(draw)].batch(clips)
