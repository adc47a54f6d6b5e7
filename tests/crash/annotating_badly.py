"""`mugvos annotate` on full disks, in read-only folders, and ended by signals: what was answered is kept, and goes on.

A disk that fills up refuses decisions one by one, in one line each, and takes them again when there is room; the server
does not end for it. Knows the client of annotating.py and the disks of adversity.py.
"""

import contextlib
import http.client
import os
import random
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import annotating
import forked
import jobs
from adversity import SIGNALS, _mounted, mounts

_ROOM_KIB = (0, 4, 8, 16, 24, 40)
"""What a disk has left beside the store; a name takes about half of one, the store written anew some fifteen."""


def all_of(root: Path, signals: int, seed: int) -> Iterator[dict[str, Any]]:
    """A row for each kind of adversity, as of the other commands."""
    folder, rng = annotating._fresh(root), random.Random(f"annotate {seed}")
    annotating._day(folder, root, None, _tally(), rng)
    known = annotating._result(folder)
    if mounts():
        yield _row("full disk", [_full(root, known, room, at % 2 == 1) for at, room in enumerate(_ROOM_KIB)])
        yield _row("read-only output", [_read_only(root, known, rng)])
    for number, status in SIGNALS.items():
        yield _row(number.name, [_signalled(root, known, number, status, rng) for _ in range(signals)])


def _row(what: str, faults: list[str]) -> dict[str, Any]:
    return {"job": "annotate", "adversity": what, "times": len(faults), "faults": [fault for fault in faults if fault]}


def _tally() -> Any:
    from campaign import Tally

    return Tally()


def _full(root: Path, known: Any, room: int, ends: bool) -> str:
    """Names are given until one is refused; then, with room, all decisions are taken. ends: by a server begun anew."""
    folder = annotating._fresh(root)
    shutil.move(folder / "out", folder / "made")
    (folder / "out").mkdir()
    with _mounted(folder / "out", "-t", "tmpfs", "-o", "size=256m", "tmpfs"):
        shutil.copytree(folder / "made", folder / "out", dirs_exist_ok=True)
        found = os.statvfs(folder / "out")
        used = (found.f_blocks - found.f_bfree) * found.f_frsize
        _resize(folder, used + (room << 10))
        child, client = _begin(folder, root)
        refused = _named_until_refused(client) if client is not None else "no space left"
        if "bug" in refused or "no space left" not in refused:
            return f"{room} KiB: a decision is answered with {refused}"
        if ends and client is not None:
            child.end(signal.SIGINT)
        fault = _ended(child, 2) if ends or client is None else ""
        _resize(folder, 256 << 20)
        if ends or client is None:
            child, client = _begin(folder, root)
        return fault or _whole_day(folder, known, child, client, f"after {room} KiB")


def _resize(folder: Path, size: int) -> None:
    subprocess.run(["mount", "-o", f"remount,size={size}", str(folder / "out")], check=True)


def _begin(folder: Path, root: Path) -> tuple[forked.Child, annotating.Client | None]:
    """A server and its client; no client where the server ended instead."""
    child = forked.fork(annotating._ARGUMENTS, folder, root / "logs")
    with contextlib.suppress(TimeoutError):
        return child, annotating._client(child, child.began + forked.DEADLINE_S)
    return child, None


def _named_until_refused(client: annotating.Client) -> str:
    """Why a name was refused at last; empty if none was."""
    for number in range(300):
        try:
            client.ask("decide", action="describe", track=annotating.CORNER, name=f"{number}" * 20)
        except AssertionError as error:
            return str(error).lower()
    return ""


def _whole_day(folder: Path, known: Any, child: forked.Child, client: annotating.Client | None, where: str) -> str:
    """All decisions, Ctrl-C, and the store of the day that nothing befell."""
    if client is None:
        return f"{where}: no page: {child.err}"
    try:
        for decision in annotating._DECISIONS:
            client.ask("decide", **decision)
    except AssertionError as error:
        return f"{where}: {error}"
    child.end(signal.SIGINT)
    same = _ended(child, 0) or jobs.store_contents(folder / "out/tracks.h5") == known[1]
    return same if isinstance(same, str) else "" if same else f"{where}: another store"


def _ended(child: forked.Child, wanted: int) -> str:
    """A fault unless it ended with this status, and with one line if that is 2."""
    status = child.wait()
    lines = [line for line in child.err.splitlines() if line.startswith("mugvos: error:")]
    good = status == wanted and len(lines) == (wanted == 2) and "bug" not in child.err
    child.end()
    return "" if good and "Traceback" not in child.err else f"ends with {status}: {child.err}"


def _read_only(root: Path, known: Any, rng: random.Random) -> str:
    folder = annotating._fresh(root)
    with _mounted(folder / "out", "--bind", str(folder / "out")):
        subprocess.run(["mount", "-o", "remount,bind,ro", str(folder / "out")], check=True)
        child = forked.fork(annotating._ARGUMENTS, folder, root / "logs")
        fault = _ended(child, 2)
    return fault or _then_well(folder, root, known, rng, "after a read-only folder")


def _signalled(root: Path, known: Any, number: int, status: int, rng: random.Random) -> str:
    """A signal between two decisions, or before the page is there; all that was answered has to be on disk."""
    folder, answered, stop = annotating._fresh(root), 0, rng.randrange(-1, len(annotating._DECISIONS))
    child = forked.fork(annotating._ARGUMENTS, folder, root / "logs")
    if stop < 0:
        child.wait(rng.uniform(0.0, 0.2))
    else:
        client = annotating._client(child, child.began + forked.DEADLINE_S)
        for decision in annotating._DECISIONS[:stop]:
            client.ask("decide", **decision)
            answered += 1
    child.end(number)
    ended = child.wait()
    name = signal.Signals(number).name
    if ended not in ((0,) if stop >= 0 else (0, status, -number)):
        return f"{name} after {answered} decisions: status {ended}: {child.err}"
    if annotating._decided(folder) != answered:
        return f"{name}: {answered} decisions were answered, {annotating._decided(folder)} are on disk"
    return _then_well(folder, root, known, rng, f"after {name}")


def _then_well(folder: Path, root: Path, known: Any, rng: random.Random, where: str) -> str:
    """The rest of the decisions, and the result of the day that nothing befell."""
    tally = _tally()
    try:
        annotating._day(folder, root, None, tally, rng)
    except (AssertionError, OSError, http.client.HTTPException) as error:
        return f"{where}: {error!r}"
    if tally.faults:
        return f"{where}: {tally.faults}"
    return "" if annotating._result(folder) == known else f"{where}: another journal or store"
