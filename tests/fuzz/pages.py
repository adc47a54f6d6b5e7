"""Hostile input of `annotate`: journals, what pages send, the headers it comes with.

Knows the parts of the server; opens no socket.
"""

import atexit
import contextlib
import os
import shutil
import sys
from functools import cache
from pathlib import Path
from typing import Any

from wishes import FOLDER, Wish, changed, file

from engine.errors import MugvosError

_RUNS = [100, 60, 48 * 64 - 160]
_CELL = {"runs": _RUNS, "score": 0.5, "stability": 0.5, "points": [[3, 4, 1]], "candidate": 1}
_REQUESTS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("decide", {"action": "judge", "track": 1, "frames": [0, 1], "state": "accepted"}),
    ("decide", {"action": "mend", "track": 1, "frame": 2, "cell": _CELL}),
    ("decide", {"action": "add", "frame": 1, "name": "new", "tag": "part", "cell": _CELL}),
    ("decide", {"action": "describe", "track": 2, "name": "the corner", "tag": ""}),
    ("decide", {"action": "set_aside", "track": 2, "wanted": False}),
    ("decide", {"action": "accept_rest", "track": 1, "least_iou": 0}),
    ("decide", {"action": "accept_rest", "track": 1, "least_iou": 0.9}),
    ("decide", {"action": "empty_rest", "track": 2, "frame": 3}),
    ("decide", {"action": "review", "track": 1, "satisfactory": False, "note": "look again", "frame": 1}),
    ("undo", {"again": False}),
    ("undo", {"again": True}),
    ("start", {}),
    ("me", {"name": "Anna"}),
    ("invite", {"role": "supervisor"}),
    ("clip", {}),
    ("beat", {"after": 0}),
    ("hold", {"track": 1}),
    ("offer", {"index": 1, "points": [[3, 4, 1]], "box": [1, 2, 30, 40], "track": 1}),
    ("prefetch", {"indices": [1, 2]}),
    ("carry", {"track": 1, "frame": 2, "direction": "both", "model": "dis"}),
    ("stop", {"job": 1}),
    ("save", {}),
    ("masks", {"index": 3}),
    ("track", {"track": 1}),
    ("agreement", {"track": 1, "indices": [1, 2]}),
)
_DECISIONS_A_PROJECT = 300


def journals(data: bytes) -> None:
    """The decisions of an annotation."""
    from engine.annotation.journal import Journal, _line

    wish = Wish(data)
    entry = {"seq": 1, "action": "judge", "clip": "c", "track": 1, "cells": [], "tracks": []}
    whole = _line(entry) + _line({**entry, "seq": 2})
    spoiled = bytearray(whole)
    for _ in range(1 + wish.number(4)):
        spoiled[wish.number(len(spoiled))] = wish.number(256)
    with file("journal.ndjson", bytes(spoiled) + wish.rest()) as path:
        journal = Journal(path)
        try:
            list(journal.entries())
        finally:
            journal.close()


def fields(data: bytes) -> None:
    """Values of a request, one by one."""
    from mugvos_cli.annotate.fields import Fields

    wish = Wish(data)
    sample = {"track": 1, "frames": [1, 2], "points": [[1, 2, 1]], "box": [1, 2, 3, 4], "name": "x", "wanted": True}
    given = changed({"all": sample}, wish).get("all")
    asked = {
        "integer": "track", "integers": "frames", "points": "points", "box": "box", "text": "name", "flag": "wanted",
        "number": "track", "inner": "all",
    }  # fmt: skip
    found = Fields(given)
    for kind, name in asked.items():
        with contextlib.suppress(MugvosError):
            getattr(found, kind)(name)


def requests(data: bytes) -> None:
    """Whole requests, answered over a real project; what was decided is written into its store now and then."""
    from starlette.responses import JSONResponse

    from mugvos_cli.annotate.answers import Asked
    from mugvos_cli.annotate.fields import Fields

    wish = Wish(data)
    question, sample = _REQUESTS[wish.number(len(_REQUESTS))]
    role = "supervisor" if wish.number(2) else "annotator"
    clip = wish.one_of(("clip", "clip", "clip", "", "\0", "../x"))
    given = changed({"all": sample}, wish).get("all")
    office = _office()
    answer = getattr(office.answers, question)(Asked(office.sessions[role], f"page-of-{role}", clip, Fields(given)))
    JSONResponse(answer)
    JSONResponse(office.answers.clip(Asked(office.sessions[role], "page", "clip", Fields({}))))
    office.tidy()


def headers(data: bytes) -> None:
    """Addresses and headers of a request; what passes reaches nothing."""
    office, wish = _office(), Wish(data)
    host = wish.one_of((b"127.0.0.1:8123", b"localhost:8123", b"[::1]:8123", wish.rest()[:20]))
    cookie = office.access.cookie.encode() + b"=" + wish.one_of((office.secret, b"x", b"", wish.rest()[:20]))
    known = [(b"host", host), (b"origin", b"http://" + host), (b"cookie", cookie), (b"content-length", b"10")]
    given = [(name, wish.rest()[:30] if wish.number(4) == 0 else value) for name, value in known]
    scope = {
        "type": "http", "method": wish.one_of(("GET", "POST", "PUT", "HEAD")), "headers": given,
        "path": wish.one_of(("/enter", "/", "/api/clip", "/static/../x")),
        "query_string": wish.one_of((b"token=", b"", b"token=%C3%A9")) + wish.rest(),
    }  # fmt: skip
    _run(office.guarded(scope, _nothing, _swallow))


async def _nothing() -> dict[str, Any]:
    return {"type": "http.request", "body": b"x" * 4000, "more_body": False}


async def _swallow(message: Any) -> None:
    assert message["type"].startswith("http.response")


async def _inner(scope: Any, receive: Any, send: Any) -> None:
    await receive()
    await send({"type": "http.response.start", "status": 200, "headers": []})


def _run(work: Any) -> None:
    """A coroutine that waits for nothing."""
    with contextlib.suppress(StopIteration):
        work.send(None)
        raise AssertionError("the request waits")


class _Office:
    """A project of two tracks over six small frames, and a supervisor and an annotator in it."""

    def __init__(self) -> None:
        from mugvos_cli.annotate.access import Guarded, Sessions, host_names

        self.folder = FOLDER / f"fuzz-{os.getpid()}-office"
        self.access = Sessions("mugvos", "somebody")
        self.sessions: dict[str, Any] = {
            role: self.access.redeem(self.access.link(role)) for role in ("annotator", "supervisor")
        }
        self.access.link("annotator")  # one that nobody has opened yet
        self.secret = self.sessions["annotator"].secret.encode()
        self.guarded = Guarded(_inner, self.access, host_names("127.0.0.1", 8123, {"here"}))
        self._open()

    def _open(self) -> None:
        import numpy as np
        from annotation_clips import write_project_store

        from engine.annotation.candidates import Offer
        from engine.annotation.project import Project
        from engine.annotation.videos import ClipVideos
        from engine.annotation.workbench import Models, Workbench
        from mugvos_cli.annotate.answers import Answers

        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        path = write_project_store(self.folder)
        videos = ClipVideos(path, str(self.folder / "frames"))
        self.project = Project(path, videos.document)
        self.bench = Workbench(self.project, videos.shelf, Models("sam", _refuse, {"dis": _refuse}))
        offer = Offer(np.ones((3, 48, 64), bool), np.ones(3), np.array([0.5, np.nan, 1.0]), 0)
        self.bench.offerer.ask = lambda clip, index, ask: (ask.question(), offer)[1]  # type: ignore[method-assign]
        self.answers = Answers(self.bench, self.access, "http://127.0.0.1:8123")
        self._asked = 0

    def tidy(self) -> None:
        """Every so often write the decisions into the store, read it, and begin anew."""
        self._asked += 1
        if self._asked < _DECISIONS_A_PROJECT:
            return
        from engine.store import StoreReader

        self.project.fold()
        self.close()
        with StoreReader(self.folder / "tracks.h5") as store:
            list(store.clip("clip").records())
        self._open()

    def close(self) -> None:
        """End the threads and let go of the files."""
        self.bench.close()
        self.project.close()


def _refuse() -> Any:
    raise MugvosError("no network is loaded here")


@cache
def _office() -> _Office:
    sys.path.append(str(Path(__file__).resolve().parents[1] / "annotation"))
    office = _Office()
    atexit.register(shutil.rmtree, office.folder, ignore_errors=True)
    return office
