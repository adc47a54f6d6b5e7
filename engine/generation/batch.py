"""Many clips into one store: each is a file of its own until all are done, so nothing finished is ever made again.

Beside the output lies `<output>.clips/` with the plan, a store for every finished clip, a note for every failed one,
and what the running ones have made certain. It goes away with the last clip; while clips have failed it stays, so that
they can be tried again. Who makes the clips is the executors' business.
"""

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import MugvosError, StoreError
from engine.generation.executors.interface import Executor
from engine.generation.executors.work import Job
from engine.generation.joining import Joined, join
from engine.generation.plan import ClipTask
from engine.generation.quality import QualitySettings
from engine.generation.watch import Watch
from engine.names import encoded
from engine.store import atomic, manifest
from engine.store.lock import FolderLock
from engine.store.parts import Parts
from engine.store.spool import writing

_PLAN = "plan.json"
_PUBLISHED = "published"
_MERGED = "merged.h5"
_FORMAT = "mugvos-generate"


@dataclass(frozen=True)
class Failure:
    """A clip, or a video that gave no clips, that could not be made."""

    name: str
    reason: str


@dataclass
class Summary:
    """What came of it. earlier: clips that an earlier run had finished; made: what the output holds."""

    earlier: int = 0
    made: Joined = field(default_factory=Joined)
    failures: list[Failure] = field(default_factory=list)


class Batch:
    """The folder beside one output. Use as context manager.

    parameters: all that changes the result; an unfinished run of other ones is refused, or thrown away with
    `overwrite`. parts: what the output is a part of, for whoever merges it. Raises OutputError if the output exists
    (and is not what failed clips are to be added to), StoreError for other parameters or if another process works
    there.
    """

    def __init__(
        self,
        output: Path,
        parameters: dict[str, Any],
        overwrite: bool = False,
        retry: bool = False,
        parts: Parts | None = None,
    ) -> None:
        self.output = output
        self._parameters, self._parts = parameters, parts
        self._retry, self._overwrite = retry, overwrite
        self._folder = output.with_name(output.name + ".clips")
        self._finish_published()
        with writing(output):
            output.parent.mkdir(parents=True, exist_ok=True)
        known = self._load_plan()
        if not self._failed_before(known):
            atomic.refuse_existing(output, overwrite)
        with writing(output):
            self._folder.mkdir(exist_ok=True)
            self._lock = FolderLock(self._folder, output)
        self._unplanned: list[list[str]] = []
        try:
            self._known = self._matching(known)
        except BaseException:
            self._lock.release()
            raise

    def tasks(self, make: Callable[[Callable[[str, MugvosError], None]], list[ClipTask]]) -> list[ClipTask]:
        """The plan of the unfinished run, or a new one by `make`, which is told whom to tell of videos that fail."""
        if self._known is None or (self._retry and self._known["failed"]):
            failed: list[list[str]] = []
            tasks = make(lambda name, error: failed.append([name, str(error)]))
            self._write_plan(tasks, failed)
        known, self._known = self._known, None  # a plan of many clips is large
        assert known is not None
        self._unplanned = known["failed"]
        return [ClipTask(**task) for task in known["tasks"]]

    def run(self, tasks: Sequence[ClipTask], executor: Executor, quality: QualitySettings, watch: Watch) -> Summary:
        """Make what is not made yet, then write the output with all that is. Raises Interrupted when asked to stop."""
        summary = Summary(failures=[Failure(*entry) for entry in self._unplanned])
        for failure in summary.failures:
            watch.on_failure(failure.name, failure.reason)
        failed: set[str] = set()
        self._make(tasks, executor, quality, watch, summary, failed)
        count = len(tasks) - len(failed)
        if not count:
            why = "the lines above say why" if summary.failures else "no video has frames enough for one; see --dry-run"
            raise StoreError(f"{self.output}: none of the clips could be made", why)

        def made() -> Iterator[Job]:
            return (self._job(task, quality) for task in tasks if task.name not in failed)

        merged = self._folder / _MERGED
        summary.made = join(made, merged, quality, self._parts, lambda done: watch.on_joined(done, count))
        self._publish(whole=not summary.failures)
        return summary

    def close(self) -> None:
        """Leave the folder as it is, to go on later."""
        self._lock.release()

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _publish(self, whole: bool) -> None:
        """Give the merged store its name. The mark before says that only this was left to do."""
        if whole:
            manifest.write_whole(self._folder / _PUBLISHED, b"")
        atomic.publish(self._folder / _MERGED, self.output)
        if whole:
            self._lock.release()
            self._remove_folder()

    def _make(
        self,
        tasks: Sequence[ClipTask],
        executor: Executor,
        quality: QualitySettings,
        watch: Watch,
        summary: Summary,
        failed: set[str],
    ) -> None:
        """Have every clip made that is not there, and name those that fail."""
        behind = 0

        def count(name: str, reason: str | None) -> None:
            nonlocal behind
            behind += 1
            if reason is not None:
                failed.add(name)
                summary.failures.append(Failure(name, reason))
                watch.on_failure(name, reason)
            watch.on_done(behind, len(tasks))

        def missing() -> Iterator[Job]:
            for task in tasks:
                job = self._job(task, quality)
                if job.note.exists() and not self._retry:
                    count(task.name, job.note.read_text("utf-8"))
                elif job.done():
                    summary.earlier += 1
                    count(task.name, None)
                else:
                    job.store.parent.mkdir(exist_ok=True)
                    yield job

        for outcome in executor.run(missing(), len(tasks), watch):
            count(outcome.job.task.name, outcome.reason)

    def _job(self, task: ClipTask, quality: QualitySettings) -> Job:
        """Its store is named after the clip alone, so that a new plan finds it; many folders, none of them large."""
        digest = hashlib.blake2b(encoded(task.name), digest_size=8).hexdigest()
        return Job(task, self._folder / digest[:2] / f"{digest}.h5", quality.min_agreement is not None)

    def _load_plan(self) -> dict[str, Any] | None:
        path = self._folder / _PLAN
        if not path.exists():
            return None
        try:
            known: dict[str, Any] = json.loads(path.read_bytes())
            if known["format"] != _FORMAT or not isinstance(known["tasks"], list):
                raise ValueError("another format")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(f"{path}: cannot be read ({error})", f"remove {self._folder} to start again") from error
        return known

    def _matching(self, known: dict[str, Any] | None) -> dict[str, Any] | None:
        """The plan of an unfinished run if it is the same run. With `overwrite` another one is thrown away."""
        if known is None:
            return None
        changed = manifest.differing(known["parameters"], self._parameters)
        if not changed:
            return known
        if not self._overwrite:
            raise StoreError(
                f"{self.output}: an unfinished run with other parameters is there: {', '.join(changed)}",
                "repeat its parameters to go on with it, or pass --overwrite to start again",
            )
        for entry in self._folder.iterdir():
            if entry.name != FolderLock.NAME:
                atomic.remove(entry)
        return None

    def _write_plan(self, tasks: Sequence[ClipTask], failed: list[list[str]]) -> None:
        self._known = {
            "format": _FORMAT,
            "parameters": json.loads(manifest.canonical(self._parameters)),
            "tasks": [task.as_dict() for task in tasks],
            "failed": failed,
        }
        with writing(self.output):
            manifest.write_whole(self._folder / _PLAN, json.dumps(self._known).encode())

    def _failed_before(self, known: dict[str, Any] | None) -> bool:
        """Whether the output that is there is that of a run of which clips failed."""
        return known is not None and (bool(known.get("failed")) or any(self._folder.glob("*/*.failed")))

    def _finish_published(self) -> None:
        """A run that was killed while its output got its name, or between that and removing its folder."""
        if (self._folder / _PUBLISHED).exists():
            if (self._folder / _MERGED).exists():
                atomic.publish(self._folder / _MERGED, self.output)
            self._remove_folder()

    def _remove_folder(self) -> None:
        """Out of the way by one rename first: a kill while many files are removed leaves nothing to wonder about."""
        gone = atomic.temporary_beside(self.output)
        self._folder.replace(gone)
        atomic.remove(gone)
