"""Ctrl-C and SIGTERM as a wish to stop after the frame at hand, instead of an exception anywhere."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mugvos_cli import console


@contextmanager
def stoppable() -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether somebody asked to stop. A second signal stops at once."""
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        console.info("stopping after this frame; once more stops at once")

    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
