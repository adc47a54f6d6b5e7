"""One clip as a piece of work that any process can do: what is to be made, what is there already, what went wrong.

Knows files beside a run's output. How masks come about is the maker's business, who works is the executors'.
"""

import errno
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from engine.errors import Interrupted, MugvosError, OutputError, StoreError
from engine.generation.plan import ClipTask
from engine.generation.watch import OnFrame, ShouldStop
from engine.store import atomic, manifest
from engine.store.lock import BusyError
from engine.store.spool import writing

_FULL = {errno.ENOSPC, errno.EDQUOT}
_PATIENCE = 600.0  # seconds; whoever still holds a clip after its run was killed stops behind its frame
_LOOK_AGAIN = 0.2


@dataclass(frozen=True)
class Job:
    """A clip and the store that it becomes; `backwards`: it is run backwards too (drift.py). Plain values."""

    task: ClipTask
    store: Path
    backwards: bool = False

    @property
    def note(self) -> Path:
        """Where it is written why the clip could not be made."""
        return self.store.with_suffix(".failed")

    @property
    def backwards_store(self) -> Path:
        """What came of it backwards."""
        return backwards_of(self.store)

    def done(self) -> bool:
        """Whether all of it is there. A store has its name only once it is whole."""
        return self.store.exists() and (not self.backwards or self.backwards_store.exists())

    def fail(self, reason: str) -> None:
        """Note why it cannot be made, and forget what was begun."""
        with writing(self.note):
            manifest.write_whole(self.note, reason.encode("utf-8", "replace"))
        atomic.remove(self.store.with_name(self.store.name + ".part"))


class Maker(Protocol):
    """Makes clips, one after the other. `parameters`: all that changes a result, beside the clip itself."""

    @property
    def parameters(self) -> Mapping[str, Any]: ...

    def make(self, job: Job, on_frame: OnFrame, should_stop: ShouldStop) -> None:
        """Make what of the job is not there yet. Raises MugvosError, Interrupted when asked to stop."""
        ...


@dataclass(frozen=True)
class Seat:
    """Where a maker works. device: as `resolve_device` takes it; threads: None for as many as libraries like."""

    device: str = "auto"
    threads: int | None = None


class Recipe(Protocol):
    """How to set up a maker; plain values that travel to other processes and machines."""

    def build(self, seat: Seat, on_note: Callable[[str], None]) -> Maker:
        """Raises MugvosError where it cannot be set up."""
        ...


@dataclass(frozen=True)
class Outcome:
    """What came of a job. reason: None where its clip is there, else why not."""

    job: Job
    reason: str | None = None


def backwards_of(store: Path) -> Path:
    """The store of a clip run backwards, beside that of the clip."""
    return store.with_suffix(".backwards")


def set_up(recipe: Recipe, seat: Seat, on_note: Callable[[str], None]) -> Maker:
    """A maker. Raises MugvosError, for what nobody foresaw too, so that it is told where somebody listens."""
    try:
        return recipe.build(seat, on_note)
    except MugvosError:
        raise
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:300]}"
        raise StoreError(f"a worker cannot be set up ({reason})", "see whether --executor local can") from error


def perform(job: Job, maker: Maker, on_frame: OnFrame, should_stop: ShouldStop) -> Outcome:
    """Do the job. Whatever is the clip's fault is noted and told; what would meet every clip is raised.

    Raises OutputError where nothing can be written, Interrupted when asked to stop.
    """
    if not job.store.parent.is_dir():
        raise StoreError(
            f"{job.store.parent}: cannot be seen by a worker",
            "put the output where every machine finds it by this path",
        )
    try:
        _in_turn(job, maker, on_frame, should_stop)
    except OutputError:
        raise
    except MugvosError as error:
        return _failed(job, str(error))
    except Exception as error:
        if isinstance(error, OSError) and error.errno in _FULL:
            raise OutputError.of(job.store, error) from error
        return _failed(job, f"this is a bug in mugvos: {type(error).__name__}: {' '.join(str(error).split())[:300]}")
    job.note.unlink(missing_ok=True)
    return Outcome(job)


def _in_turn(job: Job, maker: Maker, on_frame: OnFrame, should_stop: ShouldStop) -> None:
    """Make the clip; wait for whoever is at it still, such as a worker whose run was killed."""
    deadline = time.monotonic() + _PATIENCE
    while not job.done():
        try:
            maker.make(job, on_frame, should_stop)
        except BusyError:
            if time.monotonic() > deadline:
                raise
            if should_stop():
                raise Interrupted from None
            time.sleep(_LOOK_AGAIN)


def _failed(job: Job, reason: str) -> Outcome:
    job.fail(reason)
    return Outcome(job, reason)
