"""From a decoded FFmpeg frame to an upright uint8 RGB picture.

Knows pixel formats and the display matrix. Knows nothing of files or of time.
"""

from typing import Any

import numpy as np
from av.sidedata.sidedata import Type
from av.video.reformatter import VideoReformatter

from engine.types import UInt8Array
from engine.video.stills import over_black


class RgbConverter:
    """Turns frames of one stream into RGB. Keeps swscale's tables, which cost far more than the conversion itself."""

    def __init__(self) -> None:
        self._reformatter = VideoReformatter()

    def __call__(self, frame: Any) -> UInt8Array:
        """The picture of an `av.VideoFrame`: uint8 (H, W, 3), RGB, alpha over black, turned by its display matrix."""
        if any(component.is_alpha for component in frame.format.components):
            return _upright(over_black(self._as(frame, "rgba")), frame)
        return _upright(self._as(frame, "rgb24"), frame)

    def _as(self, frame: Any, layout: str) -> UInt8Array:
        return np.asarray(self._reformatter.reformat(frame, format=layout, threads=1).to_ndarray(), np.uint8)


def upright_size(frame: Any) -> tuple[int, int]:
    """(width, height) of the upright picture, without converting it."""
    a, b = _display_matrix(frame)[0]
    turned = abs(b) > abs(a)
    return (frame.height, frame.width) if turned else (frame.width, frame.height)


def is_upright(frame: Any) -> bool:
    """Whether the picture is shown as it is stored, neither turned nor mirrored."""
    (a, b), (_, d) = _display_matrix(frame)
    return a > 0 and d > 0 and abs(a) >= abs(b)


def _upright(image: UInt8Array, frame: Any) -> UInt8Array:
    """Applies the nearest of the eight turns and mirrors that keep pixels on the grid."""
    (a, b), (c, d) = _display_matrix(frame)
    if abs(b) > abs(a):  # x of the source runs along y of the display
        image = image.transpose(1, 0, 2)
        a, d = c, b
    if a < 0:
        image = image[:, ::-1]
    if d < 0:
        image = image[::-1]
    return np.ascontiguousarray(image)


def _display_matrix(frame: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    """((a, b), (c, d)): a stored point (x, y) is shown at (a x + c y, b x + d y); identity where there is none.

    FFmpeg keeps the nine values row by row as 32-bit fixed point; only signs and the greater of a, b matter here.
    """
    data = frame.side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return (1, 0), (0, 1)
    m = np.frombuffer(bytes(data), dtype=np.int32)
    return (int(m[0]), int(m[1])), (int(m[3]), int(m[4]))
