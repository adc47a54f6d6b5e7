"""A dataclass of plain values from JSON that a stranger may have written: every value is of the kind its field says.

Knows dataclasses and their annotations: int, float, bool, str, None, Literal, tuples, dataclasses, and
Annotated[int, range(...)] for bounds. Knows nothing of what the values mean.
"""

import math
from collections.abc import Mapping
from dataclasses import is_dataclass
from types import NoneType
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from engine.limits import LAYERS, NETWORK_SIDE, NETWORK_WIDTH

Layers = Annotated[int, range(LAYERS + 1)]
"""How many blocks stand one behind the other."""
Side = Annotated[int, range(16, NETWORK_SIDE + 1)]
"""Of an image that a network sees, in pixels."""
Stride = Annotated[int, range(1, 65)]
Count = Annotated[int, range(1, NETWORK_WIDTH + 1)]

_LONGEST = 64
_LONGEST_TEXT = 200
_T = TypeVar("_T")


def read(kind: type[_T], values: Any) -> _T:
    """The dataclass `kind` with these values. Raises ValueError that names the first one that does not belong."""
    if not isinstance(values, Mapping):
        raise ValueError(f"{kind.__name__} is no object")
    hints = get_type_hints(kind, include_extras=True)
    unknown = [name for name in values if name not in hints]
    if unknown:
        raise ValueError(f"{kind.__name__} has no {str(unknown[0])[:_LONGEST_TEXT]!r}")
    try:
        return kind(**{name: _value(name, hints[name], value) for name, value in values.items()})
    except TypeError as error:  # one is missing
        raise ValueError(str(error)) from error


def _value(name: str, kind: Any, value: Any) -> Any:
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return _checked(name, value, type(value) is int and value in inner[1])
    if origin is Literal:
        return _checked(name, value, value in inner)
    if origin is tuple:
        return _tuple(name, inner, value)
    if NoneType in inner:
        return None if value is None else _value(name, next(one for one in inner if one is not NoneType), value)
    if is_dataclass(kind):
        return read(kind, value)  # type: ignore[arg-type]
    return _checked(name, value, _SIMPLE[kind](value))


def _tuple(name: str, inner: tuple[Any, ...], value: Any) -> tuple[Any, ...]:
    fixed = len(inner) != 2 or inner[1] is not Ellipsis
    length = len(value) if isinstance(value, list | tuple) else -1
    _checked(name, value, length == len(inner) if fixed else 0 <= length <= _LONGEST)
    return tuple(_value(name, inner[at] if fixed else inner[0], one) for at, one in enumerate(value))


def _checked(name: str, value: Any, holds: bool) -> Any:
    if not holds:
        raise ValueError(f"{name} cannot be {str(value)[:40]!r}")
    return value


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 1e6 and math.isfinite(value)


_SIMPLE = {
    bool: lambda value: isinstance(value, bool),
    int: lambda value: type(value) is int and 0 <= value <= NETWORK_WIDTH,
    float: _is_number,
    str: lambda value: isinstance(value, str) and len(value) <= _LONGEST_TEXT,
}
