"""What a file of weights is, in a few characters."""

import hashlib
from pathlib import Path


def file_digest(path: Path) -> str:
    """The first 16 hexadecimal digits of the file's SHA-256."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def weights_used(path: Path | None, random: bool = True) -> str:
    """What stands for weights where a result says what made it: their digest; "random" or "none" without a file."""
    return file_digest(path) if path else "random" if random else "none"
