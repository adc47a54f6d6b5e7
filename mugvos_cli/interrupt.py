"""Ctrl-C and SIGTERM as a wish to stop after the frame at hand, instead of an exception anywhere."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from mugvos_cli import console

GO_ON = "give the same command again to go on from there"


@contextmanager
def stoppable(work: str = "this frame", then: str = GO_ON) -> Iterator[Callable[[], bool]]:
    """Yields a function that says whether somebody asked to stop. A second signal stops at once.

    work: what is finished first, for the message; then: how to go on, for the line at the end. Signals that are
    ignored, as in background jobs, stay ignored.
    """
    asked = False

    def ask(number: int, frame: Any) -> None:
        nonlocal asked
        console.settings.signal = number
        if asked:
            raise KeyboardInterrupt
        asked = True
        console.info(f"stopping after {work}; once more stops at once")

    heard = [number for number in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(number) != signal.SIG_IGN]
    before = {number: signal.signal(number, ask) for number in heard}
    try:
        yield lambda: asked
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(str(stop) or f"interrupted; what was finished is kept: {then}") from stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def hear_termination() -> None:
    """From now on SIGTERM ends the program as Ctrl-C does: files are closed and temporary ones removed."""

    def end(number: int, frame: Any) -> None:
        console.settings.signal = number
        raise KeyboardInterrupt

    if signal.getsignal(signal.SIGTERM) == signal.SIG_DFL:
        signal.signal(signal.SIGTERM, end)
