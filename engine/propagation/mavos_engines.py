"""Engines of MAVOS: what one label space remembers and when (docs/mavos.md, "Memory").

An engine knows ten identities; a label space with more objects has several, which share the network and the frame's
features. Short-term memory is the frame before; long-term memory is the reference frame and one running frame, so it
never grows. Knows label maps; knows nothing of tracks, files or how labels overlap.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.memory.plain import from_plain, to_plain
from engine.models.mavos.engines import counts, one_hot, probabilities
from engine.models.mavos.gated_propagation import Seen, Tokens
from engine.models.mavos.network import MAVOS, Features, suppressed
from engine.runtime.batches import FittingBatches

Memory = list[Tokens]  # of each layer


@dataclass
class Engine:
    """Memories of ten identities (batch 1), and the view and the scores of the frame that was matched last."""

    long: Memory = field(default_factory=list)
    short: Memory = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    scores: Tensor | None = None

    @property
    def tokens(self) -> int:
        """Length of the long-term memory."""
        return self.long[0].key.shape[1] if self.long else 0


def match(network: MAVOS, features: Features, engines: Sequence[Engine], batches: FittingBatches) -> None:
    """Match a frame with the memories of all engines; each keeps its view and its scores (1, 11, H/4, W/4).

    Engines with memories of one length run together.
    """
    for length in sorted({engine.tokens for engine in engines}):
        alike = [engine for engine in engines if engine.tokens == length]

        def work(start: int, stop: int, alike: list[Engine] = alike) -> None:
            _match_together(network, features, alike[start:stop])

        list(batches.run(len(alike), work))


def _match_together(network: MAVOS, features: Features, engines: list[Engine]) -> None:
    long, short = (_joined([getattr(engine, kind) for engine in engines]) for kind in ("long", "short"))
    found = network.match(features, long, short)
    scores = network.decode(features, found.output).float()
    for at, engine in enumerate(engines):
        engine.seen = [_row(seen, at) for seen in found.seen]
        engine.scores = scores[at : at + 1]


class LabelSpace:
    """Labels that exclude each other, 1.. in order of entry, in as many engines as they need."""

    def __init__(self, interval: int) -> None:
        self.interval = interval
        self.objects = 0
        self.engines: list[Engine] = []
        self._since = 0

    def probabilities(self, size: tuple[int, int], align_corners: bool) -> Tensor:
        """Of the frame that was matched last: (1 + objects, *size), background first; frame size."""
        scores = torch.cat([engine.scores for engine in self.engines if engine.scores is not None])
        limits = torch.tensor(counts(self.objects), device=scores.device)
        large = F.interpolate(suppressed(scores, limits), size=size, mode="bilinear", align_corners=align_corners)
        return probabilities(large)[: 1 + self.objects]

    def remember(self, network: MAVOS, label: Tensor, size: tuple[int, int]) -> None:
        """The labels (H, W; the network's input size) of the frame that was matched last. size: of the features."""
        self._since += 1
        merge = self._since >= self.interval
        for engine, identity in zip(self.engines, self._identities(network, label), strict=True):
            engine.short = network.remembered(engine.seen, identity)
            if merge:
                engine.long = network.merge(engine.short, engine.long, size)
        self._since = 0 if merge else self._since
        self._forget_frame()

    def refer(self, network: MAVOS, features: Features, label: Tensor, objects: int) -> None:
        """A frame whose labels (H, W; the network's input size) are given: it enters both memories at once.

        The first such frame stays in the long-term memory for good. New objects may bring new engines.
        """
        self.objects = objects
        self.engines += [Engine() for _ in range(len(counts(objects)) - len(self.engines))]
        for engine, identity in zip(self.engines, self._identities(network, label), strict=True):
            engine.short = network.remembered(network.reference(features, identity).seen, identity)
            engine.long = network.merge(engine.short, engine.long, features.size) if engine.long else engine.short
        self._since = 0
        self._forget_frame()

    def state(self) -> dict[str, Any]:
        """Plain values."""
        memories = [[_plain(engine.long), _plain(engine.short)] for engine in self.engines]
        return {"objects": self.objects, "since": self._since, "engines": memories}

    @classmethod
    def from_state(cls, state: dict[str, Any], interval: int, device: torch.device) -> "LabelSpace":
        """Go on where `state` was taken."""
        space = cls(interval)
        space.objects, space._since = int(state["objects"]), int(state["since"])
        space.engines = [Engine(_tokens(long, device), _tokens(short, device)) for long, short in state["engines"]]
        return space

    def _identities(self, network: MAVOS, label: Tensor) -> list[Tensor]:
        """The identity embedding (1, L, 256) of each engine's share of the labels."""
        return list(network.identity(one_hot(label, self.objects)).split(1))

    def _forget_frame(self) -> None:
        for engine in self.engines:
            engine.seen, engine.scores = [], None


def _joined(memories: list[Memory]) -> Memory:
    """Memories of several engines as one batch."""
    if len(memories) == 1:
        return memories[0]
    layers = zip(*memories, strict=True)
    return [Tokens(*(torch.cat(parts) for parts in zip(*layer, strict=True))) for layer in layers]


def _row(seen: Seen, at: int) -> Seen:
    return Seen(*(None if part is None else part[at : at + 1] for part in seen))  # type: ignore[arg-type]


def _plain(memory: Memory) -> list[list[dict[str, Any]]]:
    return [[to_plain(part) for part in layer] for layer in memory]


def _tokens(memory: list[list[dict[str, Any]]], device: torch.device) -> Memory:
    return [Tokens(*(from_plain(part, device) for part in layer)) for layer in memory]
