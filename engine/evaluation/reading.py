"""The true and the predicted mask of one track in one frame, whatever stands for a missing one.

Knows two clips and a unit of work. Knows no measures.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from engine.errors import EvaluationError
from engine.evaluation.plan import TrackPlan, Unit
from engine.store.source import ClipMasks
from engine.types import BoolArray

_GREY_HALF = 127

FRAMES_AT_ONCE = 8
BYTES_AT_ONCE = 24 << 20
"""Of the masks of a unit, both sides and all tracks: many or large tracks are read and scored in fewer frames."""

Mask = np.ndarray
"""bool (H, W), or packed: see PairReader."""

_Fetch = Callable[[Sequence[int], int], list[Mask | None]]


def frames_at_once(mask: int, tracks: int) -> int:
    """For how many frames the masks of all tracks of both sides may be in memory together. mask: bytes of one."""
    return max(1, min(FRAMES_AT_ONCE, BYTES_AT_ONCE // (2 * mask * max(1, tracks))))


def packed_bytes(shape: tuple[int, int]) -> int:
    """Bytes of a packed mask (height, width)."""
    return shape[0] * -(-shape[1] // 8)


class _Ahead:
    """The masks of a clip, those of the next few frames of a track fetched together where the clip can do so.

    frames: what will be asked for, in this order. ahead: how many of them at a time. packs: masks come packed.
    """

    def __init__(self, clip: ClipMasks, frames: Sequence[int], ahead: int, packs: bool) -> None:
        fetch: _Fetch | None = getattr(clip, "packed" if packs else "masks", None)
        self._fetch: _Fetch = fetch or partial(_one_by_one, clip)
        self._frames, self._ahead = frames, ahead if fetch else 1
        self._place = {frame: at for at, frame in enumerate(frames)}
        self._held: dict[int, dict[int, Mask | None]] = {}

    def mask(self, frame: int, track: int) -> Mask | None:
        held = self._held.get(track, {})
        if frame not in held:
            at = self._place[frame]
            wanted = self._frames[at : at + self._ahead]
            held = self._held[track] = dict(zip(wanted, self._fetch(wanted, track), strict=True))
        return held[frame]


def _one_by_one(clip: ClipMasks, frames: Sequence[int], track: int) -> list[Mask | None]:
    return [clip.mask(frame, track) for frame in frames]


def _packs(unit: Unit, clip: ClipMasks | None, true_clip: ClipMasks) -> bool:
    """Whether both sides can give packed masks and nothing is to be done to them before they are counted."""
    if unit.proposals is not None or unit.resize or any(plan.pixels != "track" for plan in unit.tracks):
        return False
    both = hasattr(clip, "packed") and hasattr(true_clip, "packed")
    return both and not (unit.void and any(true_clip.void(frame) is not None for frame, _ in unit.frames))


class PairReader:
    """Reads both sides of a unit. clip: the predicted clip, None if there is none.

    `packs`: masks come transposed and packed, uint8 (W, ceil(H / 8)), because both sides hold run lengths and nothing
    is to be done to pixels before they are counted. Raises EvaluationError where sizes differ, unless the unit says to
    resize.
    """

    def __init__(self, unit: Unit, clip: ClipMasks | None, true_clip: ClipMasks) -> None:
        self.unit, self.clip, self.true_clip = unit, clip, true_clip
        self.shape = (true_clip.height, true_clip.width)
        self.packs = _packs(unit, clip, true_clip)
        size = packed_bytes(self.shape) if self.packs else self.shape[0] * self.shape[1]
        ahead = frames_at_once(size, len(unit.tracks)) if all(plan.only is None for plan in unit.tracks) else 1
        found = [frame for _, frame in unit.frames if frame is not None]
        self._truth = _Ahead(true_clip, [frame for frame, _ in unit.frames], ahead, self.packs)
        self._predicted = None if clip is None else _Ahead(clip, found, ahead, self.packs)
        if clip is not None and not unit.resize:
            check_sizes(unit.clip, (clip.height, clip.width), self.shape)

    def truth(self, plan: TrackPlan, frame: int) -> Mask | None:
        """bool (H, W), or packed; None where the track is not annotated."""
        read = self.true_clip.void(frame) if plan.pixels == "void" else self._truth.mask(frame, plan.id)
        return self._empty() if read is None and self.unit.truth_fills else read

    def void(self, frame: int) -> BoolArray | None:
        """Pixels to take out of both sides, None if there are none."""
        return self.true_clip.void(frame) if self.unit.void else None

    def predicted(self, plan: TrackPlan, frame: int | None, true_frame: int) -> Mask | None:
        """bool (H, W), or packed; None where the prediction is missing."""
        if self.clip is None or frame is None:
            return None
        if plan.predicted is None and plan.pixels == "track":
            return self._empty() if plan.absent_is_empty else None
        P = self._read(plan, frame)
        if P is None:
            return None if self.unit.files else self._empty()
        return P if self.packs else self.fitted(P, f"{self.unit.clip}/{plan.name}, frame {true_frame}")

    def proposal(self, track: int, frame: int, true_frame: int) -> BoolArray:
        """A predicted track, bool (H, W); empty where the prediction holds none."""
        P = self.clip.mask(frame, track) if self.clip is not None else None
        if P is None:
            return np.zeros(self.shape, bool)
        return self.fitted(P, f"{self.unit.clip}, proposal {track}, frame {true_frame}")

    def fitted(self, P: BoolArray, where: str) -> BoolArray:
        """The mask at the size of the truth."""
        if self.unit.resize and P.shape != self.shape:
            return resized(P, *self.shape)
        check_sizes(where, P.shape, self.shape)
        return P

    def _empty(self) -> Mask:
        height, width = self.shape
        return np.zeros((width, -(-height // 8)), np.uint8) if self.packs else np.zeros(self.shape, bool)

    def _read(self, plan: TrackPlan, frame: int) -> Mask | None:
        if self.clip is None or self._predicted is None:
            return None
        if plan.pixels == "salient":
            return salient_mask(self.clip, frame)
        if plan.pixels == "void":
            return self.clip.void(frame)
        return self._predicted.mask(frame, plan.predicted) if plan.predicted is not None else None


def salient_mask(clip: ClipMasks, frame: int) -> BoolArray | None:
    """The one object of a salient prediction: a map of 0 and 1, of 0 and 255, or grey, cut at 127; else all tracks."""
    values = getattr(clip, "values", None)
    if values is not None:
        if frame not in clip.frames:
            return None
        image = values(frame)
        salient: BoolArray = image == 1 if int(image.max()) <= 1 else image >= _GREY_HALF
        return salient
    masks = [mask for track in clip.tracks if (mask := clip.mask(frame, track.id)) is not None]
    return np.logical_or.reduce(masks) if masks else None


def resized(mask: BoolArray, height: int, width: int) -> BoolArray:
    """The mask at another size, nearest neighbour: the pixel under the centre of each new one."""
    rows = ((2 * np.arange(height) + 1) * mask.shape[0]) // (2 * height)
    columns = ((2 * np.arange(width) + 1) * mask.shape[1]) // (2 * width)
    return mask[rows[:, None], columns]


def check_sizes(where: str, predicted: tuple[int, ...], truth: tuple[int, ...]) -> None:
    """Raise EvaluationError with both sizes unless they are equal."""
    if predicted != truth:
        sizes = [f"{size[1]}x{size[0]}" for size in (predicted, truth)]
        raise EvaluationError(
            f"{where}: the prediction is {sizes[0]}, the truth {sizes[1]}",
            "write the prediction at the size of the truth, or pass --resize (nearest neighbour)",
        )
