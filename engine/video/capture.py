"""What a source of pictures that cannot be asked twice looks like: a camera, a pipe.

Knows the interface and the fault that ends one. See cameras.py and pipes.py for those who fill it in, streaming.py and
live.py for readers on top of them.
"""

from fractions import Fraction
from typing import NamedTuple, Protocol

from engine.types import UInt8Array


class Captured(NamedTuple):
    """One picture: uint8 (H, W, 3) RGB, upright. time: seconds from the first picture, None if unknown."""

    image: UInt8Array
    time: float | None


class Capture(Protocol):
    """Pictures one after the other, each once, whenever they come."""

    rate: Fraction | None

    def read(self) -> Captured | None:
        """The next picture, once it is there; None after the last. Raises VideoError for what breaks off."""
        ...

    def close(self) -> None:
        """Gives the source back. Safe to call twice, never while another thread is in `read`."""
        ...
