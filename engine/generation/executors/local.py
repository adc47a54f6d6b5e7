"""One clip after the other, in this process; the only executor that tells of single frames."""

from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from engine.generation.executors.work import Job, Maker, Outcome, Recipe, Seat, perform
from engine.generation.watch import Watch


class LocalExecutor:
    """Work in this process (an Executor). `on_note`: see Watch; told while the maker is set up too."""

    def __init__(self, recipe: Recipe, seat: Seat, on_note: Callable[[str], None] = lambda note: None) -> None:
        self._recipe, self._seat, self._on_note = recipe, seat, on_note
        self._maker: Maker | None = None

    def begin(self) -> Mapping[str, Any]:
        """Set up the maker; its parameters."""
        return self._ready().parameters

    def run(self, jobs: Iterator[Job], count: int, watch: Watch) -> Iterator[Outcome]:
        """Do one job after the other."""
        for job in jobs:
            watch.on_begin(job.task.name)
            yield perform(job, self._ready(), watch.on_frame, watch.should_stop)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._maker = None

    def _ready(self) -> Maker:
        if self._maker is None:
            self._maker = self._recipe.build(self._seat, self._on_note)
        return self._maker
