"""One clip under way: frame after frame its tracks are carried on, new ones begin, and what is known can be saved.

Knows frames, flow and SAM. Holds one frame and its masks, so memory does not grow with the clip. Knows no files.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from engine.flow.interface import Flow
from engine.generation.births import Births
from engine.generation.cycle import consistent, warp
from engine.generation.linking import LOST, Linked, Linker
from engine.generation.sampling import Sampler
from engine.generation.settings import GenerateSettings
from engine.generation.tree import Containment
from engine.masks import rle
from engine.masks.boxed import BoxedMask
from engine.models.sam.prompting import Prompter
from engine.types import MaskRecord, PointPrompt, Track, UInt8Array


@dataclass(frozen=True)
class Tools:
    """What a clip is worked on with."""

    prompter: Prompter
    linker: Linker
    flow: Flow
    sampler: Sampler
    births: Births


class RunningClip:
    """The tracks of one clip. Frames come in order; after `load_state` the last one before goes to `resume` first."""

    def __init__(self, tools: Tools, settings: GenerateSettings) -> None:
        self._tools, self._settings = tools, settings
        self._image: UInt8Array | None = None
        self._masks: dict[int, BoxedMask] = {}
        self._first_frames: dict[int, int] = {}
        self._containment = Containment(settings.contained)

    def step(self, index: int, number: int, image: UInt8Array) -> list[MaskRecord]:
        """The masks of the next frame, uint8 (H, W, 3). index: in the clip, from 0; number: in the store."""
        carried, inside = self._carried(image)
        due = self._tools.births.due(index)
        needed = due or any(mask.area for mask in carried.values())
        embedding = self._tools.prompter.embed(image) if needed else None
        linked = dict.fromkeys(carried, LOST)
        if embedding is not None and inside is not None:
            linked = self._tools.linker.link(embedding, carried, inside, self._tools.sampler, index)
        if due:
            there = {track: found.mask for track, found in linked.items()}
            born = self._tools.births(index, image, embedding, there, max(self._first_frames, default=-1) + 1)
            linked |= {b.track: Linked(b.mask, 1.0, b.score, b.stability, None) for b in born}
            self._first_frames |= {b.track: number for b in born}
        self._image = image
        self._masks = {track: found.mask for track, found in linked.items()}
        self._containment.add(self._masks)
        return [record_of(number, track, found, image.shape[:2]) for track, found in linked.items()]

    def tracks(self) -> list[Track]:
        """All tracks so far, with their places in the granularity tree as far as it is known."""
        places = self._containment.tree()
        return [
            Track(track, str(track), first, *((p.parent, p.level) if (p := places.get(track)) else (None, 0)))
            for track, first in self._first_frames.items()
        ]

    def state(self) -> dict[str, Any]:
        """What the next frame starts from, but for the image of the last one."""
        codes = [rle.encode(mask.crop) if mask.area else b"" for mask in self._masks.values()]
        boxes = [(m.top, m.left, *m.crop.shape) for m in self._masks.values()]
        return {
            "ids": np.array(list(self._masks), np.int64),
            "first_frames": np.array([self._first_frames[track] for track in self._masks], np.int64),
            "boxes": np.array(boxes, np.int64).reshape(-1, 4),
            "lengths": np.array([len(code) for code in codes], np.int64),
            "codes": np.frombuffer(b"".join(codes), np.uint8),
            "containment": self._containment.state(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        """Take over what `state` gave."""
        codes, ends = state["codes"].tobytes(), np.cumsum(state["lengths"]).tolist()
        self._masks, self._first_frames = {}, {}
        for track, first, (top, left, height, width), begin, end in zip(
            state["ids"].tolist(),
            state["first_frames"].tolist(),
            state["boxes"].tolist(),
            [0, *ends[:-1]],
            ends,
            strict=True,
        ):
            crop = rle.decode(codes[begin:end], height, width) if end > begin else np.zeros((0, 0), np.bool_)
            self._masks[track] = BoxedMask(top, left, crop)
            self._first_frames[track] = first
        self._containment.load_state(state["containment"])

    def resume(self, image: UInt8Array) -> None:
        """The last frame that was worked on before the state was saved."""
        self._image = image

    def _carried(self, image: UInt8Array) -> tuple[dict[int, BoxedMask], Any]:
        """All masks as flow carries them to this frame, and its pixels where flow is consistent (None: no flow)."""
        if self._image is None or not any(mask.area for mask in self._masks.values()):
            return dict.fromkeys(self._masks, LOST.mask), None
        there, back = self._tools.flow.both(self._image, image)
        before = consistent(there, back, self._settings.cycle)
        seen = [track for track, mask in self._masks.items() if mask.area]
        moved = dict(zip(seen, warp([self._masks[track] for track in seen], back, before), strict=True))
        carried = {track: moved.get(track, LOST.mask) for track in self._masks}
        return carried, consistent(back, there, self._settings.cycle)


def record_of(number: int, track: int, found: Linked, size: tuple[int, ...]) -> MaskRecord:
    """The store's row of a mask."""
    height, width = size
    points = () if found.points is None else tuple(PointPrompt(float(x), float(y)) for x, y in found.points)
    plain = rle.record(number, track, found.mask.whole(height, width), found.score)
    return replace(plain, stability=found.stability, points=points, warped_iou=found.warped_iou)
