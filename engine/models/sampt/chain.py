"""Points carried from frame to frame by optical flow: a point tracker without weights of its own.

What is covered for a moment is lost: the point then follows whatever covers it, unless the flow there and back
disagree, in which case it is called hidden for that frame.
"""

from collections.abc import Sequence

import numpy as np

from engine.flow.interface import Flow
from engine.models.sampt.tracks import Tracks
from engine.types import FloatArray, UInt8Array


class FlowChain:
    """A PointTracker over any flow. cycle: pixels by which flow there and back may disagree; None asks one way only
    and takes every point inside the frame for visible, as published."""

    window, stride = 2, 1

    def __init__(self, flow: Flow, cycle: float | None = 3.0) -> None:
        self._flow = flow
        self._cycle = cycle

    def track(self, frames: Sequence[UInt8Array], queries: FloatArray) -> Tracks:
        """Each point at its query frame is what was asked; before and after it is chained away from there."""
        times = queries[:, 0].astype(np.intp)
        xy = np.repeat(queries[None, :, 1:], len(frames), 0).astype(np.float64)
        agree = np.ones(xy.shape[:2], np.bool_)
        for t in range(len(frames) - 1):
            chosen = np.flatnonzero(times <= t)
            self._carry(frames[t], frames[t + 1], xy, agree, t, t + 1, chosen)
        for t in range(len(frames) - 1, 0, -1):
            chosen = np.flatnonzero(times >= t)
            self._carry(frames[t], frames[t - 1], xy, agree, t, t - 1, chosen)
        height, width = frames[0].shape[:2]
        inside = ((xy >= 0) & (xy <= (width - 1, height - 1))).all(-1)
        return Tracks(xy, inside & agree)

    def _carry(
        self,
        here: UInt8Array,
        there: UInt8Array,
        xy: FloatArray,
        agree: np.ndarray,
        source: int,
        target: int,
        chosen: np.ndarray,
    ) -> None:
        """Write where some points of frame `source` are in frame `target`."""
        if len(chosen) == 0:
            return
        if self._cycle is None:
            xy[target, chosen] = xy[source, chosen] + sampled(self._flow(here, there), xy[source, chosen])
            return
        flow, back = self._flow.both(here, there)
        moved = xy[source, chosen] + sampled(flow, xy[source, chosen])
        error = moved + sampled(back, moved) - xy[source, chosen]
        xy[target, chosen] = moved
        agree[target, chosen] = np.hypot(error[:, 0], error[:, 1]) <= self._cycle


def sampled(flow: FloatArray, xy: FloatArray) -> FloatArray:
    """Flow (2, H, W) at points (P, 2), bilinear; outside the frame the border's: (P, 2)."""
    height, width = flow.shape[1:]
    x, y = np.clip(xy[:, 0], 0, width - 1), np.clip(xy[:, 1], 0, height - 1)
    left, top = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    across, down = x - left, y - top
    upper = flow[:, top, left] * (1 - across) + flow[:, top, right] * across
    lower = flow[:, bottom, left] * (1 - across) + flow[:, bottom, right] * across
    read: FloatArray = (upper * (1 - down) + lower * down).T.astype(np.float64)
    return read
