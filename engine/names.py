"""Names of files: numbers in them, their natural order (frame2 before frame10), which frame one means, their bytes.

Knows strings and paths. Knows nothing of what the files hold.
"""

import re
from pathlib import Path

NaturalKey = tuple[tuple[str | int, ...], str]
_DIGITS = re.compile(r"([0-9]+)")


def natural_key(text: str) -> NaturalKey:
    """Sort key that compares runs of digits as numbers and letters without case; ties fall back to the plain text."""
    parts = _DIGITS.split(text.casefold())
    return tuple(int(part) if at % 2 else part for at, part in enumerate(parts)), text


def path_key(path: Path) -> tuple[NaturalKey, ...]:
    """Sort key of a path: natural order folder by folder (a/9.png, b/1.png), then by stem (a.png, a1.png)."""
    return tuple(natural_key(part) for part in (*path.parent.parts, path.stem, path.suffix))


def number_in(name: str) -> int | None:
    """The last run of digits in a name, None if there is none or it is too long to be a number of anything."""
    found = re.findall(r"[0-9]+", name)
    return int(found[-1]) if found and len(found[-1]) <= 18 else None


def encoded(text: str) -> bytes:
    """UTF-8. What stands for bytes of a file name that are none (Python's surrogate escapes) becomes those bytes."""
    return text.encode("utf-8", "surrogateescape")
