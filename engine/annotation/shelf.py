"""Frames of a clip's video in any order, fast.

Images are read when they are asked for. A video file can only be decoded from its beginning, so it is decoded once, on
a thread, and its frames are laid down as JPEG (quality 95, full colour) in a temporary folder; whoever asks for a frame
that is not there yet waits for it. Knows readers of frames and encoders of pictures.
"""

import tempfile
import threading
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np

from engine.errors import MugvosError, VideoError
from engine.types import UInt8Array
from engine.video import VideoReader

_QUALITY = [cv2.IMWRITE_JPEG_QUALITY, 95, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
_KEPT_BYTES = 64 << 20
_KEPT_IMAGES = 8


class Shelf:
    """Frames by index, 0 to count - 1. Safe to ask from several threads. Use as context manager, or call `close`."""

    def __init__(self, reader: VideoReader, count: int) -> None:
        self.count = count
        self._reader = reader
        self._stills = reader.names() is not None
        self._folder = tempfile.TemporaryDirectory(prefix="mugvos-frames-")
        self._ready = 0
        self._fault: MugvosError | None = None
        self._news = threading.Condition()
        self._closed = False
        self._jpegs: OrderedDict[int, bytes] = OrderedDict()
        self._images: OrderedDict[int, UInt8Array] = OrderedDict()
        self._guard = threading.Lock()
        self._thread: threading.Thread | None = None
        if not self._stills:
            self._thread = threading.Thread(target=self._lay_down, name="frames of the video", daemon=True)
            self._thread.start()

    @property
    def ready(self) -> int:
        """How many frames can be had at once."""
        return self.count if self._stills else self._ready

    def jpeg(self, index: int) -> bytes:
        """A frame as JPEG. Raises VideoError where the video has none there or cannot be decoded."""
        with self._guard:
            if index in self._jpegs:
                self._jpegs.move_to_end(index)
                return self._jpegs[index]
        data = _encoded(self.image(index)) if self._stills else self._laid(index)
        with self._guard:
            self._jpegs[index] = data
            while sum(map(len, self._jpegs.values())) > _KEPT_BYTES and len(self._jpegs) > 1:
                self._jpegs.popitem(last=False)
        return data

    def image(self, index: int) -> UInt8Array:
        """A frame, uint8 (H, W, 3) RGB."""
        with self._guard:
            if index in self._images:
                self._images.move_to_end(index)
                return self._images[index]
        image = self._still(index) if self._stills else _decoded(self._laid(index))
        with self._guard:
            self._images[index] = image
            while len(self._images) > _KEPT_IMAGES:
                self._images.popitem(last=False)
        return image

    def close(self) -> None:
        """Stop decoding and remove the temporary folder."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        if self._thread is not None:
            self._thread.join()
        self._folder.cleanup()
        self._reader.close()

    def _still(self, index: int) -> UInt8Array:
        frame = next(self._reader.frames(index, index + 1), None)
        if frame is None:
            raise self._beyond(index)
        return frame.image

    def _laid(self, index: int) -> bytes:
        if index >= self.count:
            raise self._beyond(index)  # waiting for it would never end
        with self._news:
            self._news.wait_for(lambda: self._ready > index or self._fault is not None or self._closed)
            if self._ready <= index:
                raise self._fault or self._beyond(index)
        return self._path(index).read_bytes()

    def _lay_down(self) -> None:
        fault: MugvosError | None = None
        try:
            for frame in self._reader.frames(0, self.count):
                if self._closed:
                    return
                self._path(frame.index).write_bytes(_encoded(frame.image))
                with self._news:
                    self._ready = frame.index + 1
                    self._news.notify_all()
        except MugvosError as error:
            fault = error
        except OSError as error:
            fault = VideoError(f"frames cannot be kept in {self._folder.name} ({error.strerror})", "free some space")
        if self._ready < self.count:
            with self._news:
                self._fault = fault or self._beyond(self._ready)
                self._news.notify_all()

    def _path(self, index: int) -> Path:
        return Path(self._folder.name) / f"{index:06d}.jpg"

    def _beyond(self, index: int) -> VideoError:
        return VideoError(f"{self._reader.info.source}: has no frame {index}", "give the video the masks belong to")


def _encoded(image: UInt8Array) -> bytes:
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), _QUALITY)
    assert done
    return data.tobytes()


def _decoded(data: bytes) -> UInt8Array:
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    return np.asarray(cv2.cvtColor(image, cv2.COLOR_BGR2RGB), np.uint8)
