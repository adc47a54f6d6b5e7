"""What a run over clips tells, and how it is asked to stop. Knows neither clips nor who listens."""

from collections.abc import Callable
from dataclasses import dataclass

OnFrame = Callable[[int, int | None], None]
ShouldStop = Callable[[], bool]


def _nothing(*told: object) -> None:
    """For what nobody wants to hear."""


@dataclass(frozen=True)
class Watch:
    """Who is told what.

    on_begin: the name of a clip that begins. on_frame: its frames done and in all (None: not known); told where clips
    are made one after the other. on_done: clips behind us and in all. on_joined: clips in
    the output and in all, once all are made. on_failure: name and reason. should_stop: asked
    after each frame.
    """

    on_begin: Callable[[str], None] = _nothing
    on_frame: OnFrame = _nothing
    on_done: Callable[[int, int], None] = _nothing
    on_joined: Callable[[int, int], None] = _nothing
    on_failure: Callable[[str, str], None] = _nothing
    should_stop: ShouldStop = lambda: False
