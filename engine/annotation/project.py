"""A mask store under annotation: its clips, the journal of decisions, and who works on which track.

One process at a time. A decision is checked, written to the journal, made certain, and only then holds; folding writes
all of them into the store. Knows nothing of pages, pictures or models. Safe to call from several threads.
"""

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

from engine.annotation.decisions import Decision
from engine.annotation.document import ClipDocument
from engine.annotation.folding import write_folded
from engine.annotation.history import History
from engine.annotation.journal import Entry, Journal
from engine.annotation.locks import Locks
from engine.errors import StoreError, UsageError
from engine.store import StoreReader, atomic
from engine.store.lock import FolderLock

SUFFIX = ".annotation"
_DIGESTED = 1 << 20


class Person(NamedTuple):
    """Who decides: a name as they gave it, what they may do, and which page they look at."""

    name: str
    role: str
    page: str


class Project:
    """The store at `path` and the folder `<path>.annotation` beside it, which holds journal and lock.

    Raises StoreError for a store that is missing or damaged, that another process annotates, or that is another one
    than its decisions were made on.
    """

    def __init__(self, path: Path, open_document: Callable[[StoreReader, str], ClipDocument]) -> None:
        """open_document: makes the document of a clip; it knows the video."""
        self.path = path
        self.reader = StoreReader(path)
        self.folder = path.with_name(path.name + SUFFIX)
        self._open_document = open_document
        self._guard = threading.RLock()
        self.documents: dict[str, ClipDocument] = {}
        self.history = History()
        self.locks = Locks()
        self.folder.mkdir(exist_ok=True)
        self._lock = FolderLock(self.folder, path)
        try:
            self.journal = Journal(self.folder / "journal.ndjson")
            self._check_same()
        except BaseException:
            self._lock.release()
            self.reader.close()
            raise
        folded = None
        for entry in self.journal.entries():
            self.history.note(entry)
            folded = entry["store"] if entry["action"] == "fold" else folded
        if folded != digest(path):  # killed before the folded store took its name, or an older one was put back
            self.history.refold()

    @property
    def clips(self) -> Sequence[str]:
        """Names of the clips."""
        return self.reader.clips

    @property
    def unfolded(self) -> int:
        """Decisions that the store itself does not hold yet."""
        return self.history.unfolded

    def document(self, name: str) -> ClipDocument:
        """A clip as it stands. Raises StoreError for a name that is none."""
        with self._guard:
            if name not in self.clips:
                raise StoreError(f"{self.path}: holds no clip {name!r}", "reload the page")
            if name not in self.documents:
                document = self._open_document(self.reader, name)
                for entry in self.journal.entries():
                    if entry.get("clip") == name:
                        document.apply(entry["cells"], entry["tracks"])
                self.documents[name] = document
            return self.documents[name]

    def decide(self, clip: str, who: Person, make: Callable[[ClipDocument], Decision]) -> Entry:
        """Have a decision made, certain and in force. Raises HeldError where another page has its track."""
        with self._guard:
            document = self.document(clip)
            decision = make(document)
            self._claim(clip, decision.track, who)
            if not decision.cells and not decision.tracks:
                return {**decision.entry(), "action": "nothing", "seq": len(self.journal)}
            return self._record(document, who, decision.entry())

    def undo(self, clip: str, who: Person, again: bool = False) -> Entry:
        """Take back what this person decided last in the clip, or (again) what they took back last.

        Raises UsageError where there is nothing, or somebody changed the same since.
        """
        with self._guard:
            document = self.document(clip)
            seq = self.history.last(clip, who.name, again)
            if seq is None:
                raise UsageError(f"{who.name} has nothing to {'do again' if again else 'take back'} in {clip}")
            entry = self.journal.entry(seq)
            self._claim(clip, entry["track"], who)
            if not document.fits(entry["cells"], entry["tracks"]):
                raise UsageError(f"track {entry['track']} was changed since", "nothing was taken back")
            return self._record(document, who, _inverse(entry, again))

    def hold(self, clip: str, track: int, who: Person) -> None:
        """Claim a track before working on it. Raises HeldError where another page has it."""
        with self._guard:
            self._claim(clip, track, who)

    def changes(self, after: int) -> list[Entry]:
        """All decisions behind sequence number `after`, without their masks."""
        with self._guard:
            return self.history.since(after)

    def fold(self) -> bool:
        """Write all decisions into the store, by one rename. False if there were none to write."""
        with self._guard:
            if not self.unfolded:
                return False
            for name in self.history.clips:
                if name in self.clips:
                    self.document(name)
            documents = {name: document for name, document in self.documents.items() if name in self.history.clips}
            target = self.folder / "folded.h5"
            write_folded(self.reader, documents, target)
            self.history.note(self.journal.append({"action": "fold", "store": digest(target)}))
            atomic.publish(target, self.path)
            return True

    def close(self) -> None:
        """Let go of store, journal and lock. Nothing is folded."""
        with self._guard:
            self.journal.close()
            self.reader.close()
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _claim(self, clip: str, track: int, who: Person) -> None:
        other = self.locks.claim((clip, track), who.page, who.name)
        if other is not None:
            raise HeldError(f"track {track}: {other} is working on it", "wait, or choose another track")

    def _record(self, document: ClipDocument, who: Person, values: Mapping[str, Any]) -> Entry:
        entry = self.journal.append({"clip": document.name, "who": who.name, "role": who.role, **values})
        self.history.note(entry)
        document.apply(entry["cells"], entry["tracks"])
        return entry

    def _check_same(self) -> None:
        """The store is the one that the journal began with, or one that was folded since."""
        found = digest(self.path)
        known = {entry["store"] for entry in self.journal.entries() if "store" in entry}
        if not known:
            self.journal.append({"action": "begin", "store": found})
        elif found not in known:
            raise StoreError(
                f"{self.path}: is another file than the one its decisions in {self.folder.name} were made on",
                "put the former file back, or move that folder away to begin anew",
            )


class HeldError(UsageError):
    """Somebody else is working on the track."""


def digest(path: Path) -> str:
    """Tells stores apart: size, first and last mebibyte."""
    state = hashlib.sha256(str(path.stat().st_size).encode())
    with path.open("rb") as stream:
        state.update(stream.read(_DIGESTED))
        stream.seek(max(0, path.stat().st_size - _DIGESTED))
        state.update(stream.read(_DIGESTED))
    return state.hexdigest()[:16]


def _inverse(entry: Entry, again: bool) -> dict[str, Any]:
    return {
        "action": "redo" if again else "undo",
        "of": entry["seq"],
        "track": entry["track"],
        "cells": [[track, frame, after, before] for track, frame, before, after in reversed(entry["cells"])],
        "tracks": [[track, after, before] for track, before, after in reversed(entry["tracks"])],
    }
