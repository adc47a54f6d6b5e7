"""What SAM offers for points and boxes on a frame: three nested masks with predicted IoU and stability.

Knows one SAM and its embeddings of the frames looked at last, which are computed ahead on one thread, the frame that
somebody waits for first. A click costs a pass of the decoder and never one of the encoder once the frame is known.
"""

import itertools
import queue
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import torch

from engine.annotation.cells import Cell
from engine.errors import UsageError
from engine.models.sam.asking import Asker, Question
from engine.models.sam.making import MadePrompter
from engine.models.sam.prompting import Embedding, stability
from engine.types import BoolArray, FloatArray, PointPrompt, UInt8Array

Key = tuple[str, int]  # clip, frame index
SHOWN_AS_TWIN = 0.7
"""Masks of an IoU above this with another track's are named as its likely doubles (as the paper's tool does)."""
_KEPT = 24
_SOON, _AHEAD = 0, 1


@dataclass(frozen=True)
class Ask:
    """points: of both labels; box: x0, y0, x1, y1 in pixels; at least one of the two."""

    points: tuple[PointPrompt, ...] = ()
    box: tuple[float, float, float, float] | None = None

    def question(self) -> Question:
        """As SAM takes it. Raises UsageError where nothing is pointed at."""
        if not self.points and self.box is None:
            raise UsageError("nothing was pointed at", "click on the object, or drag a box round it")
        points = np.array([[[p.x, p.y] for p in self.points]], np.float64).reshape(1, -1, 2)
        labels = np.array([[int(p.positive) for p in self.points]], np.int64).reshape(1, -1)
        boxes = None if self.box is None else np.array([self.box], np.float64)
        return Question(points, labels, boxes)


@dataclass(frozen=True)
class Offer:
    """Three masks bool (3, H, W), small to large; scores (predicted IoU) and stability of each; which one to take."""

    masks: BoolArray
    scores: FloatArray
    stability: FloatArray
    chosen: int

    def cell(self, index: int, points: Sequence[PointPrompt]) -> Cell:
        """One of them as a cell."""
        values = {"score": float(self.scores[index]), "stability": float(np.nan_to_num(self.stability[index]))}
        return Cell.of_mask(self.masks[index], "refined", **values, points=tuple(points), candidate=index)


class Offerer:
    """A SAM that is loaded when it is needed first. `image_of`: frames by clip and index."""

    def __init__(self, make: Callable[[], MadePrompter], image_of: Callable[[str, int], UInt8Array]) -> None:
        self._make, self._image_of = make, image_of
        self._made: MadePrompter | None = None
        self._asker: Asker | None = None
        self._embeddings: OrderedDict[Key, Embedding] = OrderedDict()
        self._waiting: dict[Key, Future[Embedding]] = {}
        self._queue: queue.PriorityQueue[tuple[int, int, Key | None]] = queue.PriorityQueue()
        self._order = itertools.count()
        self._guard = threading.Lock()
        self._network = threading.Lock()
        self._thread = threading.Thread(target=self._work, name="SAM embeddings", daemon=True)
        self._thread.start()

    def ask(self, clip: str, index: int, ask: Ask) -> Offer:
        """Masks for a prompt on a frame. Raises the errors of loading SAM and of reading the frame."""
        question = ask.question()
        embedding = self._embedding((clip, index), _SOON).result()
        assert self._asker is not None and self._made is not None
        with self._network:
            answers = self._asker.ask(embedding, question)
        return _offer(answers.logits[0, 1:], answers.scores[0, 1:], embedding, self._made)

    def prefetch(self, clip: str, indices: Sequence[int]) -> None:
        """Look at frames before anybody asks. What was to be looked at ahead before is forgotten."""
        with self._guard:
            early = [key for key, future in self._waiting.items() if getattr(future, "ahead", False)]
            for key in early:
                if self._waiting[key].cancel():
                    del self._waiting[key]
        for index in indices:
            self._embedding((clip, index), _AHEAD)

    def ready(self, clip: str, index: int) -> bool:
        """Whether a click on this frame would be answered without a pass of the encoder."""
        with self._guard:
            return (clip, index) in self._embeddings

    @property
    def encoder_calls(self) -> int:
        """Passes of the image encoder so far."""
        return 0 if self._made is None else self._made.prompter.encoder_calls

    def close(self) -> None:
        """End the thread, after the frame that it is looking at."""
        self._queue.put((-1, next(self._order), None))
        self._thread.join()

    def _embedding(self, key: Key, urgency: int) -> "Future[Embedding]":
        with self._guard:
            if key in self._embeddings:
                self._embeddings.move_to_end(key)
                done: Future[Embedding] = Future()
                done.set_result(self._embeddings[key])
                return done
            future = self._waiting.get(key)
            if future is None:
                future = self._waiting[key] = Future()
            elif urgency == _AHEAD:
                return future
            future.ahead = urgency == _AHEAD  # type: ignore[attr-defined]
        self._queue.put((urgency, next(self._order), key))
        return future

    def _work(self) -> None:
        while True:
            _, _, key = self._queue.get()
            if key is None:
                return
            with self._guard:
                future = self._waiting.get(key)
            if future is None or not future.set_running_or_notify_cancel():
                continue
            try:
                embedding = self._look(key)
            except Exception as error:  # goes to whoever waits for the frame
                self._forget(key)
                future.set_exception(error)
            else:
                self._keep(key, embedding)
                future.set_result(embedding)

    def _look(self, key: Key) -> Embedding:
        if self._made is None:
            self._made = self._make()
            self._asker = Asker(self._made.prompter)
        image = self._image_of(*key)
        with self._network:
            return self._made.prompter.embed(image)

    def _forget(self, key: Key) -> None:
        with self._guard:
            self._waiting.pop(key, None)

    def _keep(self, key: Key, embedding: Embedding) -> None:
        with self._guard:
            self._waiting.pop(key, None)
            self._embeddings[key] = embedding
            while len(self._embeddings) > _KEPT:
                self._embeddings.popitem(last=False)


def choose(stabilities: FloatArray, least: float) -> int:
    """The first mask that is stable enough, else the most stable one (the rule of the paper's tool)."""
    stable = np.flatnonzero(np.nan_to_num(stabilities, nan=-1.0) > least)
    return int(stable[0]) if len(stable) else int(np.nan_to_num(stabilities, nan=-1.0).argmax())


@torch.inference_mode()
def _offer(logits: torch.Tensor, scores: torch.Tensor, embedding: Embedding, made: MadePrompter) -> Offer:
    """logits (3, rows, columns), scores (3,) -> masks of the frame's size, the smallest first."""
    sam, geometry = made.prompter.sam, embedding.geometry
    stable = stability(logits, made.prompter.threshold, made.config.stability_offset)
    grown = sam.postprocess_masks(logits[None], geometry.resized, geometry.original)[0]
    masks = (grown > made.prompter.threshold).cpu().numpy()
    order = np.argsort(masks.sum((1, 2)), kind="stable")
    stable = np.asarray(stable)[order]
    known: FloatArray = np.asarray(scores.float().cpu())[order]
    return Offer(masks[order], known, stable, choose(stable, made.config.stability))
