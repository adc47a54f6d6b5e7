"""`mugvos annotate` killed while somebody decides: what was answered is kept, and the end is that of an unbroken day.

A client goes through a list of decisions, each one a request. The server is killed at a random moment and started
again; the client looks how far its decisions have got and goes on. What was answered must be there; at most the one
that was under way may be there besides.
"""

import contextlib
import http.client
import json
import random
import re
import signal
import time
from pathlib import Path
from typing import Any

import forked
import jobs
from annotation_clips import CORNER, FRAMES, SQUARE, write_project_store

_PAGE = "page-of-anna"
_DECISIONS: list[dict[str, Any]] = [
    {"action": "judge", "track": SQUARE, "frames": [0, 1], "state": "accepted"},
    {"action": "judge", "track": SQUARE, "frames": [2], "state": "rejected"},
    {"action": "mend", "track": SQUARE, "frame": 2, "cell": {"runs": [100, 60, 48 * 64 - 160]}},
    {"action": "describe", "track": CORNER, "name": "the corner"},
    {"action": "set_aside", "track": CORNER, "wanted": False},
    {"action": "add", "frame": 1, "name": "new", "tag": "", "cell": {"runs": [40, 9, 48 * 64 - 49]}},
    {"action": "accept_rest", "track": SQUARE, "least_iou": 0},
    {"action": "set_aside", "track": CORNER, "wanted": True},
    {"action": "empty_rest", "track": CORNER, "frame": 3},
    {"action": "judge", "track": CORNER, "frames": [0, 1, 2], "state": "accepted"},
]
_ARGUMENTS = ["annotate", "out/tracks.h5", "--video", "out/frames", "--no-browser", "--annotator", "Anna"]


class Client:
    """A browser with the annotator's link. Raises OSError or http.client.HTTPException where the server is gone."""

    def __init__(self, link: str) -> None:
        self._host, self._port = re.findall(r"http://([0-9.]+):([0-9]+)/", link)[0]
        self._cookie = ""
        answer = self._answer("GET", link[link.index("/enter") :], b"")
        self._cookie = str(answer.headers["set-cookie"]).partition(";")[0]

    def ask(self, question: str, **values: Any) -> dict[str, Any]:
        """A question's answer. Raises AssertionError where it is refused."""
        answer = self._answer("POST", f"/api/{question}?clip=clip", json.dumps(values).encode())
        found: dict[str, Any] = json.loads(answer.read())
        assert answer.status == 200, found
        return found

    def _answer(self, method: str, path: str, body: bytes) -> http.client.HTTPResponse:
        connection = http.client.HTTPConnection(self._host, int(self._port), timeout=60)
        origin = f"http://{self._host}:{self._port}"
        headers = {"Origin": origin, "X-Page": _PAGE, "Cookie": self._cookie, "Connection": "close"}
        connection.request(method, path, body, headers)
        return connection.getresponse()


def battle(root: Path, kills: int, seed: int) -> Any:
    """At least so many kills of the server."""
    from campaign import Tally

    tally, began, rng = Tally(), time.monotonic(), random.Random(f"annotate {seed}")
    import mugvos_cli.annotate.server as server

    server._QUIET_SECONDS = 0.02  # decisions are written into the store between any two of them
    folder = _fresh(root)
    _day(folder, root, None, Tally(), rng)
    known, longest, changes = _result(folder), time.monotonic() - began, int((root / "count").read_text())
    while tally.kills < kills:
        folder = _fresh(root)
        for _ in range(rng.randint(1, 4)):
            if tally.kills >= kills:
                break
            at = rng.randrange(changes) if rng.random() < 0.5 else -1
            _day(folder, root, (at, rng.uniform(0, longest)), tally, rng)
        _day(folder, root, None, tally, rng)
        tally.rounds += 1
        found = _result(folder)
        if found != known:
            tally.fault(folder, "another journal or store than the unbroken day's")
    tally.seconds = time.monotonic() - began
    return tally


def _fresh(root: Path) -> Path:
    import shutil

    folder = root / "annotate"
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "out").mkdir(parents=True)
    write_project_store(folder / "out")
    return folder


def _day(folder: Path, root: Path, kill: tuple[int, float] | None, tally: Any, rng: random.Random) -> None:
    """Start the server, decide what is not decided yet, and end it well, or (kill: change, seconds) badly."""
    before = _decided(folder)
    hurt = forked.killing_itself(folder, kill[0] if kill else -1, root / "count")
    child = forked.fork(_ARGUMENTS, folder, root / "logs", hurt)
    until = time.monotonic() + (kill[1] if kill and kill[0] < 0 else forked.DEADLINE_S)
    answered = before
    try:
        client = _client(child, until)
        there = [e for e in client.ask("beat", after=0)["entries"] if "clip" in e]
        if len(there) != before:
            tally.fault(folder, f"{before} decisions on disk, the server knows {len(there)}")
        for decision in _DECISIONS[before:]:
            if time.monotonic() > until:
                raise TimeoutError
            client.ask("decide", **decision)
            answered += 1
            time.sleep(rng.choice((0, 0, 0.05)))
    except (OSError, http.client.HTTPException, TimeoutError) as error:
        if kill is None:
            tally.fault(folder, f"the server is gone: {error!r}: {child.err}")
    _end(child, kill is not None, folder, tally)
    now = _decided(folder)
    if not answered <= now <= answered + (kill is not None):
        tally.fault(folder, f"{answered} decisions were answered, {now} are on disk")
    jobs.opens(folder / "out/tracks.h5")


def _client(child: forked.Child, until: float) -> Client:
    while time.monotonic() < until and not child.ended():
        found = re.search(r"annotator: (\S+)\n", child.out)
        if found:
            with contextlib.suppress(ConnectionRefusedError):  # the link is told a moment before it opens
                return Client(found[1])
        time.sleep(0.005)
    raise TimeoutError


def _end(child: forked.Child, badly: bool, folder: Path, tally: Any) -> None:
    if badly:
        child.end()
        tally.kills += child.wait() == -signal.SIGKILL
        return
    child.end(signal.SIGINT)
    status = child.wait()
    if status != 0:
        child.end()
        tally.fault(folder, f"ends with {status}: {child.err}")


def _entries(folder: Path) -> list[dict[str, Any]]:
    path = folder / "out/tracks.h5.annotation/journal.ndjson"
    lines = path.read_text("utf-8").splitlines(keepends=True) if path.exists() else []
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _decided(folder: Path) -> int:
    return sum("clip" in entry for entry in _entries(folder))


def _result(folder: Path) -> Any:
    plain = [{k: v for k, v in e.items() if k not in ("seq", "time", "crc")} for e in _entries(folder) if "clip" in e]
    assert FRAMES == 6
    return plain, jobs.store_contents(folder / "out/tracks.h5")
