"""What a user may choose about trackers that ask SAM. Values only; no torch."""

from dataclasses import dataclass
from typing import Literal, get_args

from engine.errors import UsageError

MEANT = {
    "sam-iou": ("grid",),
    "persam": ("form", "area"),
    "persam-f": ("form",),
    "sam-pt": ("positive_points", "negative_points", "refinements", "iou_threshold", "point_tracker", "flow"),
}
"""Which options mean something to which model, beside those that every tracker has."""

SAM_MODELS = tuple(MEANT)
Form = Literal["video", "image"]
Area = Literal["exact", "modulo"]


@dataclass(frozen=True)
class SAMOptions:
    """sam: name or file of the SAM that is asked.

    grid: points per side of `sam-iou`'s proposals. form: of PerSAM; for videos (asked with the last box as well) or for
    pictures (guided attention, every frame on its own). area: how `persam` finds the largest of three masks; by its
    true area, or modulo 256 as the published script does. positive_points, negative_points: that `sam-pt` tracks.
    refinements, iou_threshold: of `sam-pt`; None stands for what the SAM is good for, 12 and 0.7, and 3 and 0 for
    sam-tiny. point_tracker: of `sam-pt`, "flow" or "cotracker1", "2", "3". flow: the optical flow that carries
    points. exclusive, chunk, seed: as for every tracker.
    """

    sam: str = "sam-tiny"
    grid: int = 32
    form: Form = "video"
    area: Area = "exact"
    positive_points: int = 16
    negative_points: int = 1
    refinements: int | None = None
    iou_threshold: float | None = None
    point_tracker: str = "flow"
    flow: str = "dis"
    exclusive: bool = False
    chunk: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        """Raises UsageError for values out of range."""
        for name, least in (("grid", 1), ("positive_points", 1), ("negative_points", 0), ("chunk", 1)):
            if getattr(self, name) < least:
                raise UsageError(f"{name.replace('_', ' ')} {getattr(self, name)} is below {least}", "give more")
        if self.refinements is not None and self.refinements < 0:
            raise UsageError(f"refinements {self.refinements} is below 0", "give 0 or more")
        if self.iou_threshold is not None and not self.iou_threshold <= 1:
            raise UsageError(f"IoU threshold {self.iou_threshold} is above 1", "no mask would be kept; give less")
        for name, kind in (("form", Form), ("area", Area)):
            if getattr(self, name) not in get_args(kind):
                raise UsageError(
                    f"{getattr(self, name)!r} is no choice for {name}", f"use one of {', '.join(get_args(kind))}"
                )
