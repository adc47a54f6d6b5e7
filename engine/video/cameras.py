"""A camera, by its number or its device file, through OpenCV (V4L on Linux).

Knows names of cameras and what to say where one is missing. Pictures that nobody takes are live.py's business.
"""

import os
import re
import sys
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import VideoError
from engine.video.capture import Captured

_DEVICE = re.compile(r"/dev/video(\d+)")
_FOLDER = Path("/dev")


def is_camera(source: str) -> bool:
    """Whether the text names a camera: a number (unless a file or folder is called so) or /dev/videoN."""
    return bool(_DEVICE.fullmatch(source)) or (source.isdecimal() and not Path(source).exists())


class CameraCapture:
    """A Capture (see engine.video.capture) of one camera. Times are those of this machine's clock.

    Raises VideoError, here, for a camera that is not there, not allowed or in use; in `read` when it stops.
    """

    def __init__(self, source: str, clock: Callable[[], float] = time.monotonic) -> None:
        found = _DEVICE.fullmatch(source)
        number = int(found[1] if found else source)
        self._name = f"camera {number}"
        self._clock = clock
        self._begun: float | None = None
        if sys.platform == "linux":
            _check_device(self._name, _FOLDER / f"video{number}")
        self._camera, rate = _opened(self._name, number)
        self.rate = Fraction(rate).limit_denominator(1001) if 0 < rate <= 1000 else None

    def read(self) -> Captured | None:
        there, image = self._camera.read()
        if not there:
            raise VideoError(f"{self._name}: gives no more pictures", "check that it is still plugged in")
        now = self._clock()
        self._begun = now if self._begun is None else self._begun
        return Captured(np.ascontiguousarray(image[..., ::-1]), now - self._begun)

    def close(self) -> None:
        self._camera.release()


def _check_device(name: str, device: Path) -> None:
    """On Linux a camera is a file, which tells why it cannot be opened; OpenCV does not."""
    if not device.exists():
        others = sorted(str(path) for path in _FOLDER.glob("video*") if _DEVICE.fullmatch(str(path)))
        hint = f"plug it in, or choose one of {', '.join(others)}" if others else "plug it in; no camera was found here"
        raise VideoError(f"{name}: not there ({device} does not exist)", hint)
    if not os.access(device, os.R_OK | os.W_OK):
        raise VideoError(f"{name}: no permission for {device}", "join its group, often: sudo usermod -aG video $USER")


def _opened(name: str, number: int) -> tuple[Any, float]:
    """The camera and its frames a second, 0 where it does not say."""
    import cv2  # costs a tenth of a second at every start of a program that has no camera

    set_level = getattr(cv2, "setLogLevel", None)
    before = getattr(cv2, "getLogLevel", lambda: 3)()
    if set_level:
        set_level(0)  # OpenCV writes its own lines to standard error
    try:
        camera = cv2.VideoCapture(number, cv2.CAP_V4L2 if sys.platform == "linux" else cv2.CAP_ANY)
    finally:
        if set_level:
            set_level(before)
    if not camera.isOpened():
        raise VideoError(f"{name}: cannot be opened", "close other programs that use it, or choose another camera")
    camera.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    return camera, float(camera.get(cv2.CAP_PROP_FPS))
