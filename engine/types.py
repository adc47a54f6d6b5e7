"""The few plain records that every room of the engine shares. No behaviour, no files, no torch."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

BoolArray = NDArray[np.bool_]
UInt8Array = NDArray[np.uint8]
FloatArray = NDArray[np.floating]

Review = Literal["", "accepted", "rejected", "mended"]


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before its frames are decoded.

    `frame_count` is None where only decoding can tell (headers lie); `fps` is None for folders of images.
    """

    source: str
    name: str
    width: int
    height: int
    fps: Fraction | None = None
    frame_count: int | None = None


@dataclass(frozen=True)
class Frame:
    """One decoded frame. `image`: uint8 (H, W, 3), RGB, upright. `time`: seconds from the first frame, None if unknown.

    `name` is the stem of the image file the frame came from, or the five-digit index for video files.
    """

    index: int
    image: UInt8Array
    name: str
    time: float | None = None


@dataclass(frozen=True)
class PointPrompt:
    """A click at (x, y) in pixels of the frame; `positive` is False for background clicks."""

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True)
class Track:
    """One mask track of a clip.

    `parent` is the id of the smallest track that contains this one (None: no parent), `level` its depth in that tree
    (0 at the top). `id` is unique in its clip and never changes.
    """

    id: int
    name: str
    first_frame: int = 0
    parent: int | None = None
    level: int = 0
    review: Review = ""


@dataclass(frozen=True)
class MaskRecord:
    """One mask: one row of a clip's table.

    `counts` is COCO's compressed run-length code (column-major) of a mask of the clip's height and width.
    `box` is (x, y, width, height) in pixels, zeros for an empty mask. `score` in [0, 1] is the model's confidence,
    `stability` SAM's stability score, `warped_iou` the IoU in [0, 1] with the mask that optical flow carried over from
    the frame before; NaN where not known. `points` are the prompts that made the mask, if any.
    An empty mask (area 0) is kept as a row: the track exists and is absent in this frame.
    """

    frame: int
    track: int
    counts: bytes
    area: int
    box: tuple[int, int, int, int]
    score: float = float("nan")
    stability: float = float("nan")
    points: tuple[PointPrompt, ...] = field(default=())
    warped_iou: float = float("nan")
