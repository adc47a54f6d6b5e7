"""Ctrl-C and SIGTERM as a wish to stop after the frame at hand, instead of an exception anywhere."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mugvos_cli import console


@contextmanager
def stoppable(work: str = "this frame") -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether somebody asked to stop. A second signal stops at once.

    work: what is finished first, for the message. Signals that are ignored, as in background jobs, stay ignored.
    """
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True
        console.info(f"stopping after {work}; once more stops at once")

    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, ask) for number in heard}
    try:
        yield lambda: asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
