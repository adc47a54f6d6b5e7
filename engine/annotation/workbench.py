"""Everything that a page asks for, put together: the project, its videos, SAM, trackers, jobs.

Knows the other modules of this room. Knows nothing of HTTP: answers are plain values, errors are raised.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.annotation import carrying, decisions
from engine.annotation.agreement import Agreement
from engine.annotation.candidates import SHOWN_AS_TWIN, Ask, Offer, Offerer
from engine.annotation.cells import DECIDED, Cell, packed_states
from engine.annotation.document import ClipDocument
from engine.annotation.jobs import Job, Jobs
from engine.annotation.journal import Entry
from engine.annotation.project import Person, Project
from engine.annotation.shelf import Shelf
from engine.errors import UsageError
from engine.masks import rle
from engine.models.sam.making import MadePrompter
from engine.propagation.tracker import Tracker
from engine.rendering.colours import colour_of
from engine.types import UInt8Array


@dataclass(frozen=True)
class Models:
    """What can be asked for help. sam: makes the SAM when it is needed first; trackers: by the names of models."""

    sam_name: str
    sam: Callable[[], MadePrompter]
    trackers: Mapping[str, Callable[[], Tracker]]


class Workbench:
    """A project with what its people work with. `open_shelf`: the frames of a clip."""

    def __init__(self, project: Project, open_shelf: Callable[[str], Shelf], models: Models) -> None:
        self.project, self.models = project, models
        self._open_shelf = open_shelf
        self._shelves: dict[str, Shelf] = {}
        self._agreements: dict[str, Agreement] = {}
        self._made: dict[str, Tracker] = {}
        self._guard = threading.Lock()
        self.offerer = Offerer(models.sam, self.image)
        self.jobs = Jobs()

    def shelf(self, clip: str) -> Shelf:
        """The frames of a clip."""
        with self._guard:
            if clip not in self._shelves:
                self.project.document(clip)
                self._shelves[clip] = self._open_shelf(clip)
            return self._shelves[clip]

    def image(self, clip: str, index: int) -> UInt8Array:
        """A frame by index, uint8 (H, W, 3)."""
        return self.shelf(clip).image(index)

    def clips(self) -> list[dict[str, Any]]:
        """Name and progress of every clip that was opened; the others by name alone."""
        opened = self.project.documents
        return [{"name": n, **(progress(opened[n]) if n in opened else {})} for n in self.project.clips]

    def clip(self, name: str) -> dict[str, Any]:
        """All of a clip but its masks."""
        document = self.project.document(name)
        return {
            "name": name,
            "width": document.width,
            "height": document.height,
            "frames": document.numbers,
            "fps": float(getattr(document.clip, "fps", None) or 5),
            "tracks": [self.track(name, track) for track in sorted(document.tracks)],
            "progress": progress(document),
            "seq": len(self.project.journal),
        }

    def track(self, clip: str, track: int) -> dict[str, Any]:
        """A track with the states of its frames."""
        document = self.project.document(clip)
        scores = document.scores(track)
        return {
            "id": track,
            **document.tracks[track].plain(),
            "colour": list(colour_of(track)),
            "states": packed_states(document.states(track)),
            "scores": [[None if x != x else round(float(x), 3) for x in row] for row in scores],
            "counts": document.counted(track),
        }

    def frame(self, clip: str, index: int) -> list[dict[str, Any]]:
        """The masks of a frame, as run lengths."""
        document = self.project.document(clip)
        return [{"track": track, **cell.plain()} for track, cell in document.cells(_number(document, index)).items()]

    def agreement(self, clip: str, track: int, indices: Sequence[int] | None = None) -> dict[int, float]:
        """IoU of a track's masks with those carried over from the frame before, by index."""
        document = self.project.document(clip)
        if track not in document.tracks:
            raise UsageError(f"clip {clip}: no track {track}", "reload the page")
        if clip not in self._agreements:
            self._agreements[clip] = Agreement(
                lambda index: self.image(clip, index), lambda t, index: document.mask(t, document.numbers[index])
            )
        for index in indices or ():
            _number(document, index)
        known = range(len(document.numbers)) if indices is None else indices
        return self._agreements[clip].of(track, known)

    def offer(self, clip: str, index: int, ask: Ask, besides: int | None = None) -> list[dict[str, Any]]:
        """SAM's three masks for a prompt, small to large; each with the track that it doubles, if any."""
        document = self.project.document(clip)
        number = _number(document, index)
        self._check_inside(document, ask)
        offer = self.offerer.ask(clip, index, ask)
        others = {track: cell for track, cell in document.cells(number).items() if track != besides}
        return [self._offered(document, offer, at, ask, others) for at in range(len(offer.masks))]

    def accept_rest(self, clip: str, track: int, least_iou: float, who: Person) -> Entry:
        """See `decisions.accept_rest`; the IoU of frames that the store does not know is measured."""
        measured = self.agreement(clip, track) if least_iou > 0 else {}

        def make(document: ClipDocument) -> decisions.Decision:
            by_number = {document.numbers[index]: value for index, value in measured.items()}
            return decisions.accept_rest(document, track, least_iou, by_number)

        return self.project.decide(clip, who, make)

    def carry(self, clip: str, track: int, frame: int, direction: str, model: str, who: Person) -> Job:
        """Begin to carry a frame's mask on; the result becomes one decision of that person."""
        if model not in self.models.trackers:
            raise UsageError(f"no model is called {model!r} here", f"use one of {', '.join(self.models.trackers)}")
        document = self.project.document(clip)
        runs = carrying.plan(document, track, frame, direction)
        self.project.hold(clip, track, who)

        def work(job: Job) -> None:
            def step(done: int) -> bool:
                self.project.locks.claim((clip, track), who.page, who.name)
                return job.step(done)

            cells = carrying.carry(
                document, track, runs, lambda index: self.image(clip, index), lambda: self._tracker(model), step
            )
            self.project.decide(clip, who, lambda d: decisions.carried(d, track, cells, frame, direction, model))

        about = {"clip": clip, "track": track, "frame": frame, "direction": direction, "model": model, "who": who.name}
        return self.jobs.begin(sum(map(len, runs)), about, work)

    def close(self) -> None:
        """End all threads; the project stays open."""
        self.jobs.close()
        self.offerer.close()
        for shelf in self._shelves.values():
            shelf.close()

    def _tracker(self, model: str) -> Tracker:
        if model not in self._made:
            self._made[model] = self.models.trackers[model]()
        return self._made[model]

    def _offered(
        self, document: ClipDocument, offer: Offer, at: int, ask: Ask, others: Mapping[int, Cell]
    ) -> dict[str, Any]:
        cell = offer.cell(at, ask.points)
        twin = _twin(cell, others, document)
        return {**cell.plain(), "chosen": at == offer.chosen, "twin": twin}

    def _check_inside(self, document: ClipDocument, ask: Ask) -> None:
        places = [(p.x, p.y) for p in ask.points]
        places += [] if ask.box is None else [ask.box[:2], ask.box[2:]]
        if not all(0 <= x <= document.width and 0 <= y <= document.height for x, y in places):
            size = f"{document.width}x{document.height}"
            raise UsageError(f"a point outside of the frame of {size}", "click inside of it")


def progress(document: ClipDocument) -> dict[str, int]:
    """Tracks by status, and frames of the tracks that are kept: all of them, and those that are decided."""
    statuses = [state.status for state in document.tracks.values()]
    kept = [document.counted(track) for track, state in document.tracks.items() if state.status != "rejected"]
    return {
        "tracks": len(statuses),
        **{status: statuses.count(status) for status in ("open", "done", "rejected", "approved", "returned")},
        "cells": sum(sum(counts.values()) for counts in kept),
        "decided": sum(counts[state] for counts in kept for state in DECIDED),
    }


def _twin(cell: Cell, others: Mapping[int, Cell], document: ClipDocument) -> dict[str, Any] | None:
    best: tuple[float, int] | None = None
    for track, other in others.items():
        if cell.counts and other.counts and min(cell.area, other.area) > SHOWN_AS_TWIN * max(cell.area, other.area, 1):
            iou = rle.iou(cell.counts, other.counts, document.height, document.width)
            if iou > SHOWN_AS_TWIN and (best is None or iou > best[0]):
                best = (iou, track)
    if best is None:
        return None
    return {"track": best[1], "name": document.tracks[best[1]].name, "iou": round(best[0], 3)}


def _number(document: ClipDocument, index: int) -> int:
    if not 0 <= index < len(document.numbers):
        raise UsageError(f"clip {document.name}: no frame {index}", f"it has {len(document.numbers)}")
    return document.numbers[index]
