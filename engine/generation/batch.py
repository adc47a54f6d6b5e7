"""Many clips into one store: each is a file of its own until all are done, so nothing finished is ever made again.

Beside the output lies `<output>.clips/` with the plan, a store for every finished clip, a note for every failed one,
and what the running one has made certain. It goes away with the last clip; while clips have failed it stays, so that
they can be tried again.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.errors import MugvosError, StoreError
from engine.generation.drift import agreement
from engine.generation.job import OnFrame, Workshop, make_clip
from engine.generation.plan import ClipTask
from engine.generation.quality import QualitySettings, judge, write_judged
from engine.store import StoreReader, StoreWriter, atomic, manifest
from engine.store.lock import FolderLock
from engine.store.spool import writing

_PLAN = "plan.json"
_PUBLISHED = "published"
_FORMAT = "mugvos-generate"


@dataclass(frozen=True)
class Failure:
    """A clip, or a video that gave no clips, that could not be made."""

    name: str
    reason: str


@dataclass
class Summary:
    """What came of it. earlier: clips that an earlier run had finished."""

    clips: int = 0
    earlier: int = 0
    tracks: int = 0
    masks: int = 0
    left_out: int = 0
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True)
class Watch:
    """Who is told what. on_clip: the clip that begins, by place and name. on_frame: see make_clip."""

    on_clip: Callable[[int, int, str], None] = lambda place, total, name: None
    on_frame: OnFrame = lambda done, total: None
    on_failure: Callable[[str, str], None] = lambda name, reason: None
    should_stop: Callable[[], bool] = lambda: False


class Batch:
    """The folder beside one output. Use as context manager.

    parameters: all that changes the result; an unfinished run of other ones is refused, or thrown away with
    `overwrite`. Raises OutputError if the output exists (and is not what failed clips are to be added to), StoreError
    for other parameters or if another process works there.
    """

    def __init__(self, output: Path, parameters: dict[str, Any], overwrite: bool = False, retry: bool = False) -> None:
        self.output = output
        self._parameters = parameters
        self._retry, self._overwrite = retry, overwrite
        self._folder = output.with_name(output.name + ".clips")
        self._forget_finished()
        with writing(output):
            output.parent.mkdir(parents=True, exist_ok=True)
        if not self._failed_before():
            atomic.refuse_existing(output, overwrite)
        with writing(output):
            self._folder.mkdir(exist_ok=True)
            self._lock = FolderLock(self._folder, output)
        try:
            self._known = self._read_plan()
        except BaseException:
            self._lock.release()
            raise

    def tasks(self, make: Callable[[Callable[[str, MugvosError], None]], list[ClipTask]]) -> list[ClipTask]:
        """The plan of the unfinished run, or a new one by `make`, which is told whom to tell of videos that fail."""
        if self._known is None or (self._retry and self._known["failed"]):
            failed: list[list[str]] = []
            tasks = make(lambda name, error: failed.append([name, str(error)]))
            self._write_plan(tasks, failed)
        assert self._known is not None
        return [ClipTask(**task) for task in self._known["tasks"]]

    def run(self, tasks: Sequence[ClipTask], workshop: Workshop, quality: QualitySettings, watch: Watch) -> Summary:
        """Make what is not made yet, then write the output with all that is. Raises Interrupted when asked to stop."""
        summary = Summary(failures=[Failure(*entry) for entry in (self._known or {"failed": []})["failed"]])
        for failure in summary.failures:
            watch.on_failure(failure.name, failure.reason)
        made: list[ClipTask] = []
        for place, task in enumerate(tasks):
            reason = self._make(place, len(tasks), task, workshop, quality, watch, summary)
            if reason is None:
                made.append(task)
            else:
                summary.failures.append(Failure(task.name, reason))
                watch.on_failure(task.name, reason)
        if made:
            self._publish(made, workshop, quality, summary)
        if not summary.failures:
            manifest.write_whole(self._folder / _PUBLISHED, b"")
            self._lock.release()
            atomic.remove(self._folder)
        elif not made and not self._any_stores():
            raise StoreError(f"{self.output}: none of the clips could be made", "the lines above say why")
        return summary

    def close(self) -> None:
        """Leave the folder as it is, to go on later."""
        self._lock.release()

    def __enter__(self) -> "Batch":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _make(
        self,
        place: int,
        total: int,
        task: ClipTask,
        workshop: Workshop,
        quality: QualitySettings,
        watch: Watch,
        summary: Summary,
    ) -> str | None:
        """Why the clip could not be made; None where it is there."""
        store, note = self._store(task), self._store(task).with_suffix(".failed")
        backwards = quality.min_agreement is not None
        if note.exists() and not self._retry:
            return note.read_text("utf-8")
        if store.exists() and (not backwards or store.with_name(f"{store.stem}-backwards.h5").exists()):
            summary.earlier += 1
            return None
        watch.on_clip(place, total, task.name)
        try:
            if not store.exists():
                make_clip(task, workshop, store, watch.on_frame, watch.should_stop)
            if backwards:
                agreement(task, workshop, store, watch.on_frame, watch.should_stop)
        except MugvosError as error:
            manifest.write_whole(note, str(error).encode())
            atomic.remove(store.with_name(store.name + ".part"))
            return str(error)
        note.unlink(missing_ok=True)
        return None

    def _publish(
        self, made: Sequence[ClipTask], workshop: Workshop, quality: QualitySettings, summary: Summary
    ) -> None:
        with StoreWriter(self.output, overwrite=True) as writer:
            for task in made:
                with StoreReader(self._store(task)) as reader:
                    clip = reader.clip(task.name)
                    out: dict[int, str] = {}
                    if quality.asks:
                        known = {}
                        if quality.min_agreement is not None:
                            known = agreement(task, workshop, self._store(task))
                        out = judge(clip, quality, known)
                        write_judged(writer, clip, out, quality)
                    else:
                        writer.copy_clip(task.name, reader.group(task.name))
                    summary.clips += 1
                    summary.tracks += len(clip.tracks) - len(out)
                    summary.masks += sum(1 for r in clip.records() if r.area and r.track not in out)
                    summary.left_out += len(out)

    def _store(self, task: ClipTask) -> Path:
        """Named after the clip alone, so that a new plan finds it."""
        return self._folder / f"{hashlib.blake2b(task.name.encode(), digest_size=8).hexdigest()}.h5"

    def _any_stores(self) -> bool:
        return any(self._folder.glob("*.h5"))

    def _read_plan(self) -> dict[str, Any] | None:
        path = self._folder / _PLAN
        if not path.exists():
            return None
        try:
            known: dict[str, Any] = json.loads(path.read_bytes())
            if known["format"] != _FORMAT or not isinstance(known["tasks"], list):
                raise ValueError("another format")
        except (ValueError, KeyError, TypeError) as error:
            raise StoreError(f"{path}: cannot be read ({error})", f"remove {self._folder} to start again") from error
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

    def _failed_before(self) -> bool:
        """Whether the output that is there is that of a run of which clips failed."""
        if not (self._folder / _PLAN).exists():
            return False
        known = json.loads((self._folder / _PLAN).read_bytes())
        return bool(known.get("failed")) or any(self._folder.glob("*.failed"))

    def _forget_finished(self) -> None:
        """A run that was killed between publishing its output and removing its folder."""
        if (self._folder / _PUBLISHED).exists() and self.output.exists():
            atomic.remove(self._folder)
