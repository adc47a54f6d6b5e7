"""The true and the predicted mask of one track in one frame, whatever stands for a missing one.

Knows two clips and a unit of work. Knows no measures.
"""

from collections.abc import Callable, Sequence

import numpy as np

from engine.errors import EvaluationError
from engine.evaluation.plan import TrackPlan, Unit
from engine.store.source import ClipMasks
from engine.types import BoolArray

_GREY_HALF = 127


FRAMES_AHEAD = 8


Mask = np.ndarray
"""bool (H, W), or packed: see PairReader."""


def _packs(unit: Unit, clip: ClipMasks | None, true_clip: ClipMasks) -> bool:
    plain = unit.proposals is None and not unit.void and not unit.resize
    tracks_only = all(plan.pixels == "track" for plan in unit.tracks)
    return plain and tracks_only and hasattr(clip, "packed") and hasattr(true_clip, "packed")


class _Ahead:
    """The masks of a clip, those of the next few frames of a track fetched together where the clip can do so.

    frames: what will be asked for, in this order. packs: masks come packed.
    """

    def __init__(self, clip: ClipMasks, frames: Sequence[int], packs: bool) -> None:
        self._clip, self._frames = clip, frames
        self._place = {frame: at for at, frame in enumerate(frames)}
        self._fetch: Callable[[Sequence[int], int], list[Mask | None]] | None = getattr(
            clip, "packed" if packs else "masks", None
        )
        self._packs = packs
        self._held: dict[int, dict[int, Mask | None]] = {}

    def mask(self, frame: int, track: int) -> Mask | None:
        if self._fetch is not None and self._packs and frame not in self._place:
            return self._fetch([frame], track)[0]
        if self._fetch is None or frame not in self._place:
            return self._clip.mask(frame, track)
        held = self._held.get(track, {})
        if frame not in held:
            at = self._place[frame]
            wanted = self._frames[at : at + FRAMES_AHEAD]
            held = self._held[track] = dict(zip(wanted, self._fetch(wanted, track), strict=True))
        return held.pop(frame)


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
        ahead = len(unit.tracks) == 1 and unit.tracks[0].only is None
        self._truth = _Ahead(true_clip, [frame for frame, _ in unit.frames] if ahead else [], self.packs)
        found = [frame for _, frame in unit.frames if frame is not None]
        self._predicted = None if clip is None else _Ahead(clip, found if ahead else [], self.packs)
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
