"""From frames with masks to films: every frame of a scene drawn in turn, one image in memory at a time.

Knows scenes and how they look. Encoding is engine.video's; contact sheets are bands.py and sheet.py.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path

import cv2
import numpy as np

from engine.errors import UsageError
from engine.rendering.colours import LIGHT
from engine.rendering.overlay import line_width, overlay
from engine.rendering.scene import Scene, Shot
from engine.types import BoolArray, UInt8Array
from engine.video import VideoWriter

SIDE_GAP = 4  # grey columns between the frame and its overlay
FRINGE = 8  # pixels round a cut-out that keep their colour
FOLDER_RATE = Fraction(24)  # frames a second where neither the video nor the clip knows


@dataclass(frozen=True)
class Style:
    """How frames are drawn: see `overlay`. `max_width`: wider pictures are scaled down to it (None: never).

    Of the three, one at most: side_by_side: the bare frame to the left; split: the left half stays bare; cut_out: what
    the masks cover, the rest is transparent.
    """

    alpha: float = 0.5
    contour: bool = True
    labels: bool = False
    side_by_side: bool = False
    split: bool = False
    cut_out: bool = False
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
    """One frame with its masks, uint8 (H, W, 3), as the style says; (H, W, 4) for cut-outs.

    Frame and masks are scaled before drawing, so that lines and words have their width in the result.
    """
    image, masks = shot.image, dict(shot.masks)
    height, width = image.shape[:2]
    room = style.room
    if room is not None and width > room:
        size = (room, max(1, round(height * room / width)))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        masks = {track: _scaled(mask, size) for track, mask in masks.items()}
    if style.cut_out:
        return _cut_out(image, masks)
    drawn = overlay(image, masks, style.alpha, style.contour, scene.names if style.labels else False)
    if style.split:
        return _split(image, drawn)
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
    with VideoWriter(path, rate, width, height, style.cut_out) as writer:
        for done, (shot, picture) in enumerate(chain([first], pictures), start=1):
            writer.write(picture)
            end = shot.index + span.step
            on_progress(done)
    return end - span.start


def _split(image: UInt8Array, drawn: UInt8Array) -> UInt8Array:
    """The bare frame up to the middle, the drawn one from there, a line between."""
    middle, line = image.shape[1] // 2, line_width(image)
    result = np.concatenate([image[:, :middle], drawn[:, middle:]], axis=1)
    result[:, middle - line : middle + line] = LIGHT
    return result


def _cut_out(image: UInt8Array, masks: Mapping[int, BoolArray]) -> UInt8Array:
    """The frame, uint8 (H, W, 4), opaque where any mask is.

    Colours go on for a few pixels beyond the masks: encoders mix neighbours, and editors would show a dark fringe.
    """
    opaque = np.zeros(image.shape[:2], np.uint8)
    for mask in masks.values():
        opaque[mask] = 255
    near = cv2.dilate(opaque, np.ones((2 * FRINGE + 1, 2 * FRINGE + 1), np.uint8))
    return np.dstack([np.where(near[..., None] > 0, image, 0).astype(np.uint8), opaque])


def _scaled(mask: BoolArray, size: tuple[int, int]) -> BoolArray:
    """The mask at (width, height): a pixel belongs to it where at least half of it did."""
    shares = cv2.resize(mask.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA)
    return np.asarray(shares >= 128)
