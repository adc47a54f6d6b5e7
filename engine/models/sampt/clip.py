"""SAM-PT over a whole clip that is held in memory, with re-initialisation: new points are chosen on frames ahead.

This is the published procedure. `mugvos propagate` does not look ahead; it goes frame by frame (engine.propagation).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from engine.models.sam.asking import Asker
from engine.models.sam.prompting import Embedding
from engine.models.sampt.queries import PointChoice
from engine.models.sampt.readout import ReadOut, read_out
from engine.models.sampt.tracks import PointTracker, codes
from engine.types import BoolArray, FloatArray, UInt8Array

Choice = Literal["median", "similar", "last"]
_SMALLEST = 25  # pixels; smaller masks are no place to begin again
_ENDED = -1


@dataclass(frozen=True)
class Restart:
    """Begin again on one of the `horizon` frames ahead: where the area is the median, is most like the one at the
    start ("similar"), or on the last of them."""

    horizon: int = 24
    choice: Choice = "median"


@dataclass(frozen=True)
class Method:
    """Everything SAM-PT is made of. restart: None tracks each query to the ends of the clip."""

    asker: Asker
    tracker: PointTracker
    how: ReadOut = field(default_factory=ReadOut)
    choice: PointChoice = field(default_factory=PointChoice)
    restart: Restart | None = None


class ClipResult(NamedTuple):
    """logits (T, N, H, W), -inf where nothing was found; scores (T, N), NaN without points; xy (T, N, P, 2); codes
    (T, N, P), -1 after a track's end."""

    logits: FloatArray
    scores: FloatArray
    xy: FloatArray
    codes: FloatArray


def segment_clip(method: Method, frames: Sequence[UInt8Array], masks: BoolArray, starts: Sequence[int]) -> ClipResult:
    """Masks of all frames from bool masks (N, H, W), mask n given on frame starts[n].

    frames: uint8 (H, W, 3) whose longer side is the network's. The clip and its reverse are tracked from each query and
    joined there.
    """
    embeddings = [method.asker.prompter.embed(frame) for frame in frames]
    last = len(frames) - 1
    begin = np.array(starts, np.intp)
    ahead = _forward(method, frames, embeddings, masks, begin)
    back = _forward(method, frames[::-1], embeddings[::-1], masks, last - begin)
    after = (np.arange(len(frames))[:, None] >= begin)[:, :, None]
    return ClipResult(
        np.where(after[..., None], ahead.logits, back.logits[::-1]),
        np.where(after[..., 0], ahead.scores, back.scores[::-1]),
        np.where(after[..., None], ahead.xy, back.xy[::-1]),
        np.where(after, ahead.codes, back.codes[::-1]),
    )


def _forward(
    method: Method,
    frames: Sequence[UInt8Array],
    embeddings: Sequence[Embedding],
    masks: BoolArray,
    begin: NDArray[np.intp],
) -> ClipResult:
    """From each query to the end of these frames."""
    tracks, count = len(masks), method.how.positives + method.how.negatives
    size = frames[0].shape[:2]
    result = ClipResult(
        np.full((len(frames), tracks, *size), -np.inf, np.float32),
        np.full((len(frames), tracks), np.nan),
        np.zeros((len(frames), tracks, count, 2)),
        np.full((len(frames), tracks, count), float(_ENDED)),
    )
    now, given = begin.copy(), list(masks)
    for start in range(len(frames)):
        rows = np.flatnonzero(now == start)
        if len(rows) == 0:
            continue
        stop = len(frames) if method.restart is None else min(start + method.restart.horizon, len(frames))
        counts = method.how.positives, method.how.negatives
        points = np.stack([method.choice(given[row], frames[start], *counts) for row in rows])
        _round(method, frames[start:stop], embeddings[start:stop], points, result, start, rows)
        if method.restart is None or stop == len(frames):
            continue
        for row in rows.tolist():
            areas = (result.logits[start:stop, row] > 0).sum((1, 2))
            chosen = next_start(areas, method.restart)
            now[row] = -1 if chosen is None else start + chosen
            if chosen is None:
                _end(result, start + 1, row)
            else:
                given[row] = result.logits[start + chosen, row] > 0
    return result


def _round(
    method: Method,
    frames: Sequence[UInt8Array],
    embeddings: Sequence[Embedding],
    points: FloatArray,
    result: ClipResult,
    start: int,
    rows: NDArray[np.intp],
) -> None:
    """Track points (M, P, 2) of some rows through some frames and write their masks."""
    flat = points.reshape(-1, 2)
    found = method.tracker.track(frames, np.concatenate([np.zeros((len(flat), 1)), flat], 1))
    shape = (len(frames), *points.shape[:2])
    xy, seen = found.xy.reshape(*shape, 2), codes(found, frames[0].shape[:2]).reshape(shape)
    for t, embedding in enumerate(embeddings):
        logits, scores = read_out(method.asker, embedding, xy[t], seen[t], method.how)
        result.logits[start + t, rows], result.scores[start + t, rows] = logits.cpu().numpy(), scores
        result.xy[start + t, rows], result.codes[start + t, rows] = xy[t], seen[t]


def next_start(areas: NDArray[np.integer], restart: Restart) -> int | None:
    """Where to begin again, as an offset from a start whose area is areas[0]; None where no mask is large enough.

    The first quarter of the horizon is too near, as long as there are frames behind it.
    """
    if restart.choice == "last":
        return len(areas) - 1
    ahead = np.arange(1, len(areas))
    near = restart.horizon // 4
    if len(ahead) > near:
        ahead = ahead[near:]
    valid = ahead[areas[ahead] > _SMALLEST]
    if len(valid) == 0:
        return None
    if restart.choice == "similar":
        return int(valid[np.abs(areas[valid] - areas[0]).argmin()])
    ordered = np.sort(areas[valid])
    return int(valid[np.flatnonzero(areas[valid] == ordered[(len(ordered) - 1) // 2])[0]])


def _end(result: ClipResult, start: int, row: int) -> None:
    result.logits[start:, row], result.scores[start:, row], result.codes[start:, row] = -np.inf, np.nan, _ENDED
