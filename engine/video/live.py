"""A reader that keeps up with its source: whoever asks gets the newest picture, those in between are dropped.

A thread takes every picture as soon as it comes and holds the last one only. Knows captures, clocks and how late masks
were; knows nothing of masks themselves.
"""

import threading
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engine.errors import VideoError
from engine.types import Frame
from engine.video.capture import Capture, Captured
from engine.video.streaming import StreamReader

_PATIENCE = 0.1  # seconds between two looks at whether somebody asked to stop
_FAREWELL = 2.0  # seconds that a thread waiting for a picture is waited for


@dataclass(frozen=True)
class LiveReport:
    """captured: pictures that came. dropped: those of them that nobody took. median, late: latency in seconds from
    capture to mask, its median and 95th percentile; None where no mask was made."""

    captured: int
    dropped: int
    median: float | None
    late: float | None

    def as_dict(self) -> dict[str, float | int | None]:
        """For provenance and JSON, in milliseconds."""
        median, late = (None if value is None else round(1000 * value, 1) for value in (self.median, self.late))
        return {
            "captured": self.captured,
            "dropped": self.dropped,
            "latency_ms_median": median,
            "latency_ms_95": late,
        }


class LiveReader(StreamReader):
    """The newest frame of a capture, whenever one is asked for. `Frame.index` counts the frames that were given out;
    `numbers()` says which of the captured ones they are.

    A source that breaks off ends the video; `fault` says why.
    """

    live = True

    def __init__(self, capture: Capture, source: str, name: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(capture, source, name)
        self._clock = clock
        self._stopped: Callable[[], bool] = lambda: False
        self._ready = threading.Condition()
        self._newest: tuple[int, Captured, float] | None = None
        self._captured, self._ended = 1, False
        self._numbers = array("q", [0])
        self._moments = array("d", [clock()])
        self._latencies = array("d")
        self._thread: threading.Thread | None = None
        self.fault: VideoError | None = None

    @property
    def captured(self) -> int:
        """Pictures that have come so far."""
        return self._captured

    def numbers(self) -> Sequence[int]:
        """For each frame that was given out, which of the captured pictures it is. Grows while frames are read."""
        return self._numbers

    def stop_when(self, wanted: Callable[[], bool]) -> None:
        """The video ends once `wanted` says so."""
        self._stopped = wanted

    def done(self, index: int) -> None:
        """The masks of a frame are known."""
        self._latencies.append(self._clock() - self._moments[index])

    def report(self) -> LiveReport:
        """What has been captured, dropped and how late masks were, so far."""
        with self._ready:
            dropped = self._captured - len(self._numbers)
        if not self._latencies:
            return LiveReport(self._captured, dropped, None, None)
        median, late = np.percentile(np.array(self._latencies), (50, 95))
        return LiveReport(self._captured, dropped, float(median), float(late))

    def close(self) -> None:
        """Ends the thread, then as for any stream."""
        with self._ready:
            self._ended = True
        if self._thread is not None:
            self._thread.join(_FAREWELL)
        super().close()

    def _frames(self, start: int, stop: int | None, step: int) -> Iterator[Frame]:
        if stop is None and self._thread is None:
            self._thread = threading.Thread(target=self._fill, name="live capture", daemon=True)
            self._thread.start()
        return super()._frames(start, stop, step)

    def _all(self) -> Iterator[Captured]:
        """The first picture, on which masks are given, then whichever is the newest."""
        yield self._first
        while (taken := self._take()) is not None:
            number, captured, moment = taken
            self._numbers.append(number)
            self._moments.append(moment)
            yield captured
        self._number = len(self._numbers)

    def _take(self) -> tuple[int, Captured, float] | None:
        """The newest picture once there is one; None at the end, or when somebody asked to stop."""
        with self._ready:
            while self._newest is None and not self._ended and not self._stopped():
                self._ready.wait(_PATIENCE)
            if self._stopped():
                return None
            taken, self._newest = self._newest, None
            return taken

    def _fill(self) -> None:
        """The thread: the newest picture in place of the one before, up to the end or a fault."""
        try:
            while not self._ended and (captured := self._read()) is not None:
                self._check_size(self._captured, captured)
                with self._ready:
                    self._newest = (self._captured, captured, self._clock())
                    self._captured += 1
                    self._ready.notify_all()
        except VideoError as error:
            self.fault = error
        finally:
            with self._ready:
                self._ended = True
                self._ready.notify_all()
