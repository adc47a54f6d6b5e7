"""Points and boxes that a user names, before anybody has looked at the video.

`[NAME=]X,Y[,-][@FRAME]` is a point on the object, or with `-` beside it; `[NAME=]X0,Y0,X1,Y1[@FRAME]` is a box. What
has one name and one frame belongs together and asks for one mask; without names all of it is one track's.
"""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from engine.errors import MaskError
from engine.types import PointPrompt

UNNAMED = "object"
_TEXT = re.compile(r"(?:(?P<name>.+)=)?(?P<numbers>[^=@]+?)(?:@(?P<frame>[0-9]{1,9}))?", re.DOTALL)

Box = tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels


@dataclass
class Spot:
    """What asks for the mask of one track on one frame (number)."""

    name: str
    frame: int
    points: list[PointPrompt] = field(default_factory=list)
    box: Box | None = None

    def __str__(self) -> str:
        points = [f"{p.x:g},{p.y:g}{'' if p.positive else ',-'}" for p in self.points]
        box = [] if self.box is None else ["box " + ",".join(f"{value:g}" for value in self.box)]
        return f"{self.name}@{self.frame}: {' '.join([*points, *box])}"


def parse_spots(points: Iterable[str], boxes: Iterable[str]) -> list[Spot]:
    """All points and boxes by name and frame, in the order of frames.

    Raises MaskError for text that is none of these, two boxes of one track on one frame, and points that only say where
    the object is not.
    """
    spots: dict[tuple[int, str], Spot] = {}
    for text in points:
        name, frame, numbers = _read(text, "point", "[NAME=]X,Y[,-][@FRAME]")
        spots.setdefault((frame, name), Spot(name, frame)).points.append(_point(text, numbers))
    for text in boxes:
        name, frame, numbers = _read(text, "box", "[NAME=]X0,Y0,X1,Y1[@FRAME]")
        spot = spots.setdefault((frame, name), Spot(name, frame))
        if spot.box is not None:
            raise MaskError(
                f"two boxes of track {name!r} on frame {frame}", "give each its own name: --box NAME=X0,Y0,X1,Y1"
            )
        spot.box = _box(text, numbers)
    for spot in spots.values():
        if spot.box is None and not any(point.positive for point in spot.points):
            raise MaskError(
                f"track {spot.name!r} has background points only on frame {spot.frame}", "add a point on the object"
            )
    return sorted(spots.values(), key=lambda spot: spot.frame)


def check_inside(spot: Spot, size: tuple[int, int]) -> None:
    """Raises MaskError for points outside a frame of size (height, width); boxes may reach beyond it."""
    height, width = size
    for point in spot.points:
        if not (0 <= point.x < width and 0 <= point.y < height):
            raise MaskError(
                f"point {point.x:g},{point.y:g} of track {spot.name!r} lies outside the video, {width}x{height}",
                "give x and y in pixels, counted from the top left",
            )
    if spot.box is not None and (spot.box[0] >= width or spot.box[1] >= height or spot.box[2] < 0 or spot.box[3] < 0):
        raise MaskError(
            f"the box of track {spot.name!r} lies outside the video, {width}x{height}",
            "give x0,y0,x1,y1 in pixels, counted from the top left",
        )


def _read(text: str, what: str, form: str) -> tuple[str, int, Sequence[str]]:
    found = _TEXT.fullmatch(text.strip())
    if found is None:
        raise MaskError(f"{text!r} is no {what}", f"write {form}")
    return found["name"] or UNNAMED, int(found["frame"] or 0), [part.strip() for part in found["numbers"].split(",")]


def _point(text: str, numbers: Sequence[str]) -> PointPrompt:
    positive = True
    if len(numbers) == 3 and numbers[2] in "+-":
        positive, numbers = numbers[2] == "+", numbers[:2]
    x, y = _numbers(text, numbers, 2, "a point is X,Y or X,Y,-")
    return PointPrompt(x, y, positive)


def _box(text: str, numbers: Sequence[str]) -> Box:
    x0, y0, x1, y1 = _numbers(text, numbers, 4, "a box is X0,Y0,X1,Y1")
    if x1 <= x0 or y1 <= y0:
        raise MaskError(f"{text}: the box ends before it begins", "write left,top,right,bottom")
    return x0, y0, x1, y1


def _numbers(text: str, numbers: Sequence[str], count: int, form: str) -> list[float]:
    try:
        values = [float(number) for number in numbers]
    except ValueError:
        values = []
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise MaskError(f"{text!r} cannot be read", form)
    return values
