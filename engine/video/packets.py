"""The compressed pictures of a stream, up to the end that the file itself promises.

FFmpeg ends quietly where a file was cut off, and a decoder that is then emptied gives pictures with gaps between them.
So packets stop, by an exception, at the last whole one. Knows demuxing; see damage.py for sizes, container.py for use.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from engine.video.damage import missing_bytes

_SLACK = 0.1  # a declared duration counts as missed beyond this fraction and
_SLACK_SECONDS = 1.0  # this time: containers round it, and a last picture may be shown for long


class StreamBroken(Exception):  # noqa: N818 (never leaves the room)
    """The stream ends before its end; the message says how that shows."""


def whole_packets(container: Any, stream: Any, path: Path) -> Iterator[Any]:
    """Packets of `stream`, then the empty one that flushes the decoder.

    Raises StreamBroken instead of the latter where the file lacks bytes by its own account, and in place of a packet
    that the demuxer knows to be damaged.
    """
    missing = missing_bytes(path)
    count, seconds = 0, 0.0
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise StreamBroken("the file ends too early" if missing else "the data are damaged there")
        if packet.size:
            count += 1
            seconds = max(seconds, _end(packet, stream))
        elif _lacks_pictures(stream, missing, count) or (missing is None and _is_short(container, stream, seconds)):
            raise StreamBroken("the file ends too early")
        yield packet


def _lacks_pictures(stream: Any, missing: int | None, count: int) -> bool:
    """Whether lost bytes mean lost pictures: not so where all that the header announces have come.

    (A GIF's number is counted by FFmpeg from what is there.)
    """
    announced = stream.frames if stream.container.format.name != "gif" else 0
    return bool(missing) and not (announced and count >= announced)


def _is_short(container: Any, stream: Any, seconds: float) -> bool:
    """Whether a stream of known duration ends well before it; for containers whose framing says nothing of sizes."""
    if stream.duration:
        declared = float(stream.duration * stream.time_base)
    elif container.duration and len(container.streams) == 1:
        declared = container.duration / 1e6
    else:
        return False
    return seconds < declared * (1 - _SLACK) - _SLACK_SECONDS


def _end(packet: Any, stream: Any) -> float:
    """Seconds from the stream's first time stamp to the end of this packet's picture."""
    if packet.pts is None:
        return 0.0
    return float((packet.pts - (stream.start_time or 0) + (packet.duration or 0)) * stream.time_base)
