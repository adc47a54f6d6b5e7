"""MAVOS through time. Its labels exclude each other, so tracks that overlap live in different layers.

Every layer is a label space of its own, with as many engines of ten identities as its tracks need; tracks are shared
out among the fewest layers in which nothing overlaps. With `exclusive` there is one layer, as published. What a
track that ended would take goes to the background, and its identity is not used again.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from engine.models.mavos.config import IDENTITIES
from engine.propagation.colouring import coloured
from engine.propagation.mavos_engines import LabelSpace, match
from engine.propagation.mavos_frames import MAVOSFrame, MAVOSFrames
from engine.propagation.pending import Pending, PendingTracker
from engine.propagation.rivals import against_rivals
from engine.runtime.batches import FittingBatches
from engine.runtime.precision import autocast

TOUCHING = 0.05
"""Share of the smaller one up to which a mask that was predicted may reach under one that is given: it yields."""
ENDED = -1


@dataclass
class Layer:
    """Tracks that share no pixel. rows: the tracker's row of each label, ENDED where the track is over."""

    space: LabelSpace
    rows: list[int]


class MAVOSTracker(PendingTracker[MAVOSFrame]):
    """The Tracker interface over layers of engines. `soft` of a pending frame has the frame's own size.

    Where tracks overlap so much that the search for the fewest layers is given up, `on_note` is told so.
    """

    frames: MAVOSFrames

    def __init__(
        self,
        frames: MAVOSFrames,
        interval: int,
        chunk: int = IDENTITIES,
        on_note: Callable[[str], None] = lambda note: None,
    ) -> None:
        """interval: frames between merges into long-term memory. chunk: most tracks in one pass; an engine at least."""
        super().__init__(frames)
        self.interval = interval
        self.layers: list[Layer] = []
        self._on_note = on_note
        self._batches = FittingBatches(max(chunk // IDENTITIES, 1))

    @torch.inference_mode()
    def state(self) -> dict[str, Any]:
        """Memories of all engines, and which track is which label. Masks can no longer be given on this frame."""
        settled = self._settled()
        layers = [{"rows": list(layer.rows), "space": layer.space.state()} for layer in self.layers]
        return {**settled, "layers": layers}

    @torch.inference_mode()
    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken, with the same weights and options, bit for bit on the same machine."""
        self._resettle(state)
        self.layers = [
            Layer(
                LabelSpace.from_state(layer["space"], self.interval, self.frames.device),
                [int(row) for row in layer["rows"]],
            )
            for layer in state["layers"]
        ]

    def _begin(self, frame: MAVOSFrame) -> None:
        self.layers = []

    def _enter(self, frame: MAVOSFrame, tracks: int) -> None:
        """Layers are found once it is known what was given on the frame."""

    def _leave(self, rows: Sequence[int]) -> None:
        for layer in self.layers:
            layer.rows = [ENDED if row in rows else row - sum(gone < row for gone in rows) for row in layer.rows]
        self.layers = [layer for layer in self.layers if set(layer.rows) != {ENDED}]

    def _segment(self, frame: MAVOSFrame, last: bool) -> Tensor:
        soft = torch.zeros(self._tracks, *frame.size, device=self.frames.device)
        with autocast(self.frames.device, self.frames.dtype):
            match(self.frames.network, frame.features, self._engines(), self._batches)
        for layer in self.layers:
            found = layer.space.probabilities(frame.size, self.frames.config.align_corners)
            against = against_rivals(found)
            for row, plane in zip(layer.rows, against[1:], strict=True):
                if row != ENDED:
                    soft[row] = plane
        return soft

    def _remember(self, pending: Pending[MAVOSFrame]) -> None:
        """Layers with given masks take the frame as a reference, the others remember what was predicted."""
        before = {id(layer): len(layer.rows) for layer in self.layers}
        self._assign(pending)
        network, features = self.frames.network, pending.frame.features
        for layer in self.layers:
            label = self.frames.label_in(pending.frame, _label(layer, pending))
            with autocast(self.frames.device, self.frames.dtype):
                if before.get(id(layer)) != len(layer.rows) or pending.given & set(layer.rows):
                    layer.space.refer(network, features, label, len(layer.rows))
                else:
                    layer.space.remember(network, label, features.size)

    @property
    def _tracks(self) -> int:
        return 1 + max((row for layer in self.layers for row in layer.rows), default=-1)

    def _engines(self) -> list[Any]:
        return [engine for layer in self.layers for engine in layer.space.engines]

    def _assign(self, pending: Pending[MAVOSFrame]) -> None:
        """Every track that is in no layer yet goes to one; none is moved."""
        placed = {row: at for at, layer in enumerate(self.layers) for row in layer.rows if row != ENDED}
        rows = range(len(pending.soft))
        entering = [row for row in rows if row not in placed]
        if not entering:
            return
        if self.exclusive:
            chosen = [0] * len(rows)
        else:
            found = coloured(_overlaps(pending, entering), [placed.get(row) for row in rows], IDENTITIES)
            chosen = found.colours
            if not found.exact:
                self._on_note(f"{1 + max(chosen)} layers of tracks that do not overlap; fewer might do")
        for row in entering:
            while len(self.layers) <= chosen[row]:
                self.layers.append(Layer(LabelSpace(self.interval), []))
            self.layers[chosen[row]].rows.append(row)


def _overlaps(pending: Pending[MAVOSFrame], entering: list[int]) -> list[set[int]]:
    """For each row the rows that it may not share a layer with, as far as one of the two is entering.

    Given masks may not share a pixel; a prediction may reach a little under what is given.
    """
    shared = _shared(pending.soft > 0.5).tolist()
    near: list[set[int]] = [set() for _ in shared]
    for a in entering:
        for b in range(len(shared)):
            allowed = 0.0 if b in pending.given else TOUCHING * min(shared[a][a], shared[b][b])
            if a != b and shared[a][b] > allowed:
                near[a].add(b)
                near[b].add(a)
    return near


def _label(layer: Layer, pending: Pending[MAVOSFrame]) -> Tensor:
    """Labels (H, W) of a layer: what was predicted lies under what was given, then later tracks above earlier ones."""
    label = torch.zeros(pending.soft.shape[1:], dtype=torch.long, device=pending.soft.device)
    for at in sorted(range(len(layer.rows)), key=lambda at: layer.rows[at] in pending.given):
        if layer.rows[at] != ENDED:
            label[pending.soft[layer.rows[at]] > 0.5] = at + 1
    return label


def _shared(masks: Tensor) -> Tensor:
    """bool (N, H, W) -> pixels that each two of them share (N, N); a mask's own area on the diagonal."""
    parts = (part.float() for part in masks.flatten(1).split(1 << 16, 1))
    return torch.stack([part @ part.T for part in parts]).double().sum(0)
