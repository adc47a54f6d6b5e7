"""What a page sends, checked value by value before anything is done with it.

Knows plain JSON. Each fault is a UsageError that names the field.
"""

from collections.abc import Mapping
from typing import Any

from engine.errors import UsageError

MOST_POINTS = 200
LARGEST = 2.0**53
"""Of numbers, far beyond any place in a picture; a whole number may have more digits than any float can hold."""


class Fields:
    """The members of a JSON object."""

    def __init__(self, values: Any) -> None:
        if not isinstance(values, Mapping):
            raise _wrong("the request", "an object")
        self._values = values

    def __contains__(self, name: str) -> bool:
        return self._values.get(name) is not None

    def integer(self, name: str) -> int:
        """A whole number."""
        value = self._values.get(name)
        if not isinstance(value, int) or isinstance(value, bool) or abs(value) > LARGEST:
            raise _wrong(name, "a whole number")
        return value

    def number(self, name: str, low: float = -LARGEST, high: float = LARGEST) -> float:
        """A number in [low, high]."""
        return _number(self._values.get(name), name, low, high)

    def text(self, name: str, most: int = 200) -> str:
        """Text of at most so many characters; what is not given is empty."""
        value = self._values.get(name, "")
        if not isinstance(value, str) or len(value) > most or not _can_be_stored(value):
            raise _wrong(name, f"text of at most {most} characters")
        return value

    def flag(self, name: str) -> bool:
        """True or false; what is not given is false."""
        value = self._values.get(name, False)
        if not isinstance(value, bool):
            raise _wrong(name, "true or false")
        return value

    def integers(self, name: str, most: int = 1_000_000) -> list[int]:
        """Whole numbers from 0 on."""
        values = self._values.get(name)
        if not isinstance(values, list) or len(values) > most or not all(type(v) is int and v >= 0 for v in values):
            raise _wrong(name, "a list of whole numbers from 0 on")
        return values

    def points(self, name: str) -> list[tuple[float, float, bool]]:
        """Points as [x, y, 1 or 0]; what is not given are none."""
        values = self._values.get(name, [])
        if not isinstance(values, list) or len(values) > MOST_POINTS:
            raise _wrong(name, f"a list of at most {MOST_POINTS} points")
        if not all(isinstance(v, list) and len(v) == 3 for v in values):
            raise _wrong(name, "a list of [x, y, 1 or 0]")
        return [(_number(x, name), _number(y, name), bool(_number(kind, name, 0, 1))) for x, y, kind in values]

    def box(self, name: str) -> tuple[float, float, float, float] | None:
        """[x0, y0, x1, y1], None if not given."""
        value = self._values.get(name)
        if value is None:
            return None
        if not isinstance(value, list) or len(value) != 4:
            raise _wrong(name, "[x0, y0, x1, y1]")
        x0, y0, x1, y1 = (_number(v, name) for v in value)
        return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)

    def inner(self, name: str) -> "Fields":
        """A member that is an object itself."""
        return Fields(self._values.get(name))


def _can_be_stored(text: str) -> bool:
    """No half of a surrogate pair, which no encoding takes, and no zero, at which HDF5 ends a text."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _number(value: Any, name: str, low: float = -LARGEST, high: float = LARGEST) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not abs(value) <= LARGEST:
        raise _wrong(name, "a number")
    if not low <= value <= high:
        raise _wrong(name, f"a number from {low:g} to {high:g}")
    return float(value)


def _wrong(name: str, wanted: str) -> UsageError:
    return UsageError(f"{name} is not {wanted}", "reload the page")
