"""What is seen of a run over many clips: how many are behind us, the one at hand where there is only one, the joining.

Knows the displays of console.py. Knows no clips.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from mugvos_cli import console


class ClipsProgress:
    """The display of one run of `total` clips. alone: they are made one after the other, and frames are told of."""

    def __init__(self, total: int, alone: bool) -> None:
        self._behind = 0
        self._shown = ExitStack()
        self._joining: console.ProgressCallback | None = None
        self._run = self._shown.enter_context(console.run_progress("clips", total)) if alone else None
        self._count = None if alone else self._shown.enter_context(console.progress("clips", total))

    def begin(self, name: str) -> None:
        """A clip begins."""
        if self._run is not None:
            self._run.begin(self._behind, name)

    def advance(self, done: int, total: int | None = None) -> None:
        """Frames of the clip at hand."""
        if self._run is not None:
            self._run.advance(done, total)

    def done(self, done: int, total: int) -> None:
        """Clips that are behind us."""
        self._behind = done
        if self._count is not None:
            self._count(done, total)

    def joined(self, done: int, total: int) -> None:
        """Clips in the output, once all are made."""
        if self._joining is None:
            self._shown.close()
            self._joining = self._shown.enter_context(console.progress("joining", total))
        self._joining(done, total)

    def close(self) -> None:
        """Nothing is shown any more."""
        self._shown.close()


@contextmanager
def clips_progress(total: int, alone: bool) -> Iterator[ClipsProgress]:
    """A display that is gone at the end, whatever happens."""
    shown = ClipsProgress(total, alone)
    try:
        yield shown
    finally:
        shown.close()
