"""Frames decoded on a thread of their own, a few ahead of whoever works on them.

Decoders and resizers let other threads run, so the model never waits for a frame that a file can
give in time, nor for its way to a card. Errors appear where the frame would have.
"""

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from engine.runtime.profile import Profile
from engine.types import Frame, UInt8Array
from engine.video import VideoReader

T = TypeVar("T")
_PATIENCE = 0.1  # seconds between two looks at whether anybody still wants frames
_FAREWELL = 5.0  # seconds that a source which never gives its next item (a pipe) is waited for


Prepare = Callable[[UInt8Array], None]


def supply(
    video: VideoReader, start: int, profile: Profile | None, prepare: Prepare | None = None, first: int = 0
) -> Iterable[Frame]:
    """Frames from `start` on, made ready early unless they are live; decoding and waiting are seen by a profile.

    prepare: told of every picture from frame `first` on, on the thread that decodes, before it is handed over.
    """
    frames: Iterable[Frame] = video.frames(start)
    if profile is not None:
        frames = profile.each(frames, "decode")
    if not video.live:
        frames = ahead(frames if prepare is None else prepared(frames, prepare, first))
    return frames if profile is None else profile.each(frames, "waiting for frames")


def preparation(tracker: Any) -> Prepare | None:
    """What sends pictures on their way to where a tracker looks at them; None where it looks at them as they are."""
    uploads = getattr(getattr(tracker, "frames", None), "uploads", None)
    return None if uploads is None else uploads.begin


def prepared(frames: Iterable[Frame], prepare: Prepare, first: int = 0) -> Iterator[Frame]:
    """The same frames; `prepare` is told of their pictures from frame `first` on, just before they are handed over."""
    for frame in frames:
        if frame.index >= first:
            prepare(frame.image)
        yield frame


def ahead(items: Iterable[T], depth: int = 2) -> Iterator[T]:
    """The same items in the same order, up to `depth` of them made ready early. Closing it ends the thread."""
    ready: queue.Queue[tuple[bool, T | BaseException | None]] = queue.Queue(depth)
    unwanted = threading.Event()
    thread = threading.Thread(target=_fill, args=(items, ready, unwanted), name="frames ahead", daemon=True)
    thread.start()
    try:
        yield from _taken(ready.get)
    finally:
        unwanted.set()
        thread.join(_FAREWELL)


def _taken(get: Callable[[], tuple[bool, T | BaseException | None]]) -> Iterator[T]:
    """Items until the one that says the end, or that carries an error."""
    while True:
        more, item = get()
        if isinstance(item, BaseException):
            raise item
        if not more:
            return
        yield item  # type: ignore[misc]


def _fill(
    items: Iterable[T], ready: "queue.Queue[tuple[bool, T | BaseException | None]]", unwanted: threading.Event
) -> None:
    """The thread: (True, item) for every item, then (False, None); (False, error) where one was raised."""
    iterator = iter(items)
    last: BaseException | None = None
    try:
        for item in iterator:
            if not _put(ready, (True, item), unwanted):
                break
    except BaseException as error:  # raised again where the frame is asked for
        last = error
    if hasattr(iterator, "close"):
        iterator.close()
    _put(ready, (False, last), unwanted)


def _put(ready: "queue.Queue[T]", entry: T, unwanted: threading.Event) -> bool:
    """Wait for room; False where nobody wants it any more."""
    while not unwanted.is_set():
        try:
            ready.put(entry, timeout=_PATIENCE)
            return True
        except queue.Full:
            continue
    return False
