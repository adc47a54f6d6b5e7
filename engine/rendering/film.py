"""From frames with masks to films: every frame of a scene drawn in turn, one image in memory at a time.

Knows scenes and how they look. Encoding is engine.video's; contact sheets are bands.py and sheet.py.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from engine.errors import UsageError
from engine.rendering.overlay import overlay
from engine.rendering.scene import Scene, Shot
from engine.types import BoolArray, UInt8Array
from engine.video import VideoWriter

SIDE_GAP = 4  # grey columns between the frame and its overlay
FOLDER_RATE = Fraction(24)  # frames a second where neither the video nor the clip knows


@dataclass(frozen=True)
class Style:
    """How frames are drawn: see `overlay`. `max_width`: wider pictures are scaled down to it (None: never)."""

    alpha: float = 0.5
    contour: bool = True
    labels: bool = False
    side_by_side: bool = False
    max_width: int | None = None

    @property
    def room(self) -> int | None:
        """Pixels that the frame itself may be wide."""
        if self.max_width is None or not self.side_by_side:
            return self.max_width
        return max(1, (self.max_width - SIDE_GAP) // 2)


@dataclass(frozen=True)
class Span:
    """Frames start, start + step, ... below stop (None: to the end), counted from 0."""

    start: int = 0
    stop: int | None = None
    step: int = 1


def draw(shot: Shot, scene: Scene, style: Style) -> UInt8Array:
    """One frame with its masks, uint8; beside the bare frame where the style says so.

    Frame and masks are scaled before drawing, so that lines and words have their width in the result.
    """
    image, masks = shot.image, dict(shot.masks)
    height, width = image.shape[:2]
    room = style.room
    if room is not None and width > room:
        size = (room, max(1, round(height * room / width)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        masks = {track: _scaled(mask, size) for track, mask in masks.items()}
    drawn = overlay(image, masks, style.alpha, style.contour, scene.names if style.labels else False)
    if not style.side_by_side:
        return drawn
    gap = np.full((image.shape[0], SIDE_GAP, 3), 128, np.uint8)
    return np.concatenate([image, gap, drawn], axis=1)


def film(scene: Scene, span: Span, style: Style) -> Iterator[tuple[Shot, UInt8Array]]:
    """Every frame of the span, drawn, with what it was drawn from. Nothing is kept."""
    for shot in scene.shots(span.start, span.stop, span.step):
        yield shot, draw(shot, scene, style)


def write_film(
    scene: Scene,
    path: Path,
    span: Span,
    style: Style,
    fps: float | None = None,
    on_progress: Callable[[int], None] = lambda done: None,
) -> int:
    """Draw the span into a film, or a folder of PNGs, at `path`; returns how many frames of the video that span is.

    fps: None keeps the speed of the video, so that every third frame is shown for three times as long.
    Raises UsageError for a span without frames, the errors of VideoWriter, and those of the video.
    """
    pictures = film(scene, span, style)
    first = next(pictures, None)
    if first is None:
        raise UsageError(f"clip {scene.clip.name}: no frame from {span.start} on", "lower --start")
    height, width = first[1].shape[:2]
    rate = fps if fps is not None else (scene.rate or FOLDER_RATE) / span.step
    end = span.start
    with VideoWriter(path, rate, width, height) as writer:
        for done, (shot, picture) in enumerate(chain([first], pictures), start=1):
            writer.write(picture)
            end = shot.index + span.step
            on_progress(done)
    return end - span.start


def _scaled(mask: BoolArray, size: tuple[int, int]) -> BoolArray:
    """The mask at (width, height): a pixel belongs to it where at least half of it did."""
    shares = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    return np.asarray(shares >= 128)
