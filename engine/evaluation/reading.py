"""The true and the predicted mask of one track in one frame, whatever stands for a missing one.

Knows two clips and a unit of work. Knows no measures.
"""

import numpy as np

from engine.errors import EvaluationError
from engine.evaluation.plan import TrackPlan, Unit
from engine.store.source import ClipMasks
from engine.types import BoolArray

_GREY_HALF = 127


class PairReader:
    """Reads both sides of a unit. clip: the predicted clip, None if there is none.

    Raises EvaluationError where sizes differ, unless the unit says to resize.
    """

    def __init__(self, unit: Unit, clip: ClipMasks | None, true_clip: ClipMasks) -> None:
        self.unit, self.clip, self.true_clip = unit, clip, true_clip
        self.shape = (true_clip.height, true_clip.width)
        if clip is not None and not unit.resize:
            check_sizes(unit.clip, (clip.height, clip.width), self.shape)

    def truth(self, plan: TrackPlan, frame: int) -> BoolArray | None:
        """bool (H, W); None where the track is not annotated."""
        read = self.true_clip.void(frame) if plan.pixels == "void" else self.true_clip.mask(frame, plan.id)
        return np.zeros(self.shape, bool) if read is None and self.unit.truth_fills else read

    def void(self, frame: int) -> BoolArray | None:
        """Pixels to take out of both sides, None if there are none."""
        return self.true_clip.void(frame) if self.unit.void else None

    def predicted(self, plan: TrackPlan, frame: int | None, true_frame: int) -> BoolArray | None:
        """bool (H, W); None where the prediction is missing."""
        if self.clip is None or frame is None:
            return None
        if plan.predicted is None and plan.pixels == "track":
            return np.zeros(self.shape, bool) if plan.absent_is_empty else None
        P = self._read(plan, self.clip, frame)
        if P is None:
            return None if self.unit.files else np.zeros(self.shape, bool)
        return self.fitted(P, f"{self.unit.clip}/{plan.name}, frame {true_frame}")

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

    def _read(self, plan: TrackPlan, clip: ClipMasks, frame: int) -> BoolArray | None:
        if plan.pixels == "salient":
            return salient_mask(clip, frame)
        if plan.pixels == "void":
            return clip.void(frame)
        return clip.mask(frame, plan.predicted) if plan.predicted is not None else None


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
