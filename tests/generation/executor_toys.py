"""Clips that are made in no time, or that misbehave as their names say; who made what is written down.

Names begin with: ok; bad (the clip's own fault); bug; die (its worker is killed the first time); late (its worker is
killed right after the store got its name); poison (kills every worker); slow (takes until told otherwise).
"""

import os
import signal
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import Interrupted, VideoError
from engine.generation.executors.work import Job, Seat
from engine.generation.plan import ClipTask
from engine.generation.watch import OnFrame, ShouldStop
from engine.masks import rle
from engine.store import StoreWriter
from engine.types import MaskRecord, Track

SIZE = 16


@dataclass(frozen=True)
class ToyRecipe:
    """log: a folder; each making of a clip becomes a line of its file `made`, each end of one a line of `done`."""

    log: Path
    frames: int = 2

    def build(self, seat: Seat, on_note: Callable[[str], None]) -> "ToyMaker":
        on_note(f"ready on {seat.device}")
        return ToyMaker(self)


@dataclass(frozen=True)
class ToyMaker:
    recipe: ToyRecipe

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"model": "toy", "weights": "none"}

    def make(self, job: Job, on_frame: OnFrame, should_stop: ShouldStop) -> None:
        name = job.task.name
        _say(self.recipe.log / "made", f"{name} {os.getpid()}")
        _before(name, self.recipe.log, should_stop)
        write_toy(job.store, name, self.recipe.frames)
        _say(self.recipe.log / "done", name)
        if name.startswith("late"):
            os.kill(os.getpid(), signal.SIGKILL)


def write_toy(path: Path, name: str, frames: int = 2) -> None:
    """A store of one clip with one track."""
    mask = np.zeros((SIZE, SIZE), np.bool_)
    mask[2 : 2 + len(name) % 9 + 1, 3:9] = True
    counts = rle.encode(mask)
    box, area = rle.box(counts, SIZE, SIZE), int(mask.sum())
    records = [MaskRecord(frame, 0, counts, area, box) for frame in range(frames)]
    with StoreWriter(path, overwrite=True) as writer:
        writer.add_clip(name, SIZE, SIZE, frames, [Track(0, "0")], records)


def toy_tasks(*names: str) -> list[ClipTask]:
    """A clip for each name."""
    return [ClipTask(name, f"{name}.mp4") for name in names]


def counted(log: Path, what: str) -> Counter[str]:
    """How often each clip was begun (`made`) or came to its end (`done`)."""
    path = log / what
    return Counter(line.split()[0] for line in path.read_text().splitlines()) if path.exists() else Counter()


def _before(name: str, log: Path, should_stop: ShouldStop) -> None:
    kind = name.split("-")[0]
    if kind == "bad":
        raise VideoError(f"{name}: cannot be decoded", "check the video")
    if kind == "bug":
        raise ZeroDivisionError("a bug")
    if kind == "poison" or (kind == "die" and counted(log, "made")[name] == 1):
        os.kill(os.getpid(), signal.SIGKILL)
    while kind == "slow" and not (log / "go").exists():
        if should_stop():
            raise Interrupted
        time.sleep(0.02)


def _say(path: Path, line: str) -> None:
    with path.open("a") as stream:
        stream.write(line + "\n")
