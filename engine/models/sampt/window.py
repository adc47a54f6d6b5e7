"""Points followed frame by frame, with any point tracker, on the few frames it needs to look at.

The newest frame is tracked to from the oldest one that is held; when the window is full its older part is forgotten,
and the points go on from where they were found on the frame that is then the oldest.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from engine.models.sampt.tracks import PointTracker, Tracks
from engine.types import FloatArray, UInt8Array


class PointWindow:
    """P points on a video that is fed frame by frame."""

    def __init__(self, tracker: PointTracker) -> None:
        self._tracker = tracker
        self._frames: list[UInt8Array] = []
        self._queries = np.zeros((0, 3))

    def start(self, frame: UInt8Array) -> None:
        """Begin on a frame, without points."""
        self._frames, self._queries = [frame], np.zeros((0, 3))

    def add(self, points: FloatArray) -> None:
        """Further points (M, 2) x, y on the newest frame; they come last."""
        self._queries = np.concatenate([self._queries, self._on_newest(points)])

    def replace(self, indices: Sequence[int], points: FloatArray) -> None:
        """Other places (M, 2) for some points, on the newest frame."""
        self._queries[list(indices)] = self._on_newest(points)

    def drop(self, indices: Sequence[int]) -> None:
        """Points that are followed no longer."""
        self._queries = np.delete(self._queries, list(indices), axis=0)

    def step(self, frame: UInt8Array) -> Tracks:
        """Where the points are in the next frame: xy (1, P, 2), visible (1, P)."""
        self._frames.append(frame)
        found = self._tracker.track(self._frames, self._queries)
        if len(self._frames) >= self._tracker.window:
            self._forget(found)
        return Tracks(found.xy[-1:], found.visible[-1:])

    def state(self) -> dict[str, Any]:
        """The frames held and the points asked for."""
        return {"frames": list(self._frames), "queries": self._queries.copy()}

    def load_state(self, state: dict[str, Any]) -> None:
        """Go on where `state` was taken."""
        self._frames = [np.asarray(frame) for frame in state["frames"]]
        self._queries = np.array(state["queries"], np.float64).reshape(-1, 3)

    def _on_newest(self, points: FloatArray) -> FloatArray:
        return np.concatenate([np.full((len(points), 1), len(self._frames) - 1.0), points], 1)

    def _forget(self, found: Tracks) -> None:
        stride = self._tracker.stride
        old = self._queries[:, 0] < stride
        self._queries[old, 1:] = found.xy[stride, old]
        self._queries[:, 0] = np.maximum(self._queries[:, 0] - stride, 0)
        self._frames = self._frames[stride:]
