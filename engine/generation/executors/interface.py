"""Who makes the clips of a run: this process, several, or the machines of a cluster, behind one interface."""

from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, Protocol, Self

from engine.generation.executors.work import Job, Outcome
from engine.generation.watch import Watch


class Executor(Protocol):
    """Use as context manager: at the end nobody works any more."""

    def begin(self) -> Mapping[str, Any]:
        """Set up the first maker; what clips are made with. Raises MugvosError where that fails."""
        ...

    def run(self, jobs: Iterator[Job], count: int, watch: Watch) -> Iterator[Outcome]:
        """Do the jobs, at most `count`; outcomes come as they are, in any order.

        Jobs are taken only when somebody is free, so the number of clips under way is that of the workers. Raises
        Interrupted when asked to stop, OutputError where nothing can be written.
        """
        ...

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
