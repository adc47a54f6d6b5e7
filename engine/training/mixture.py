"""Several sources of clips as one: each batch comes from one of them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.training.loop import ClipSource


class Mixture:
    """Draws the source of each batch with equal chance. All sources share one generator."""

    def __init__(self, sources: Sequence[ClipSource], generator: torch.Generator) -> None:
        self.sources = sources
        self.generator = generator

    def batch(self, clips: int) -> tuple[Tensor, ...]:
        """A batch of one of the sources."""
        draw = torch.randint(len(self.sources), (), generator=self.generator, device=self.generator.device)
        return self.sources[int(draw)].batch(clips)
