"""One error for whatever goes wrong inside a damaged file."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import MugvosError, StoreError


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn whatever HDF5 raises on a damaged file into one StoreError."""
    try:
        yield
    except MugvosError:
        raise
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError, AttributeError, MemoryError) as error:
        reason = " ".join(str(error).split())[:120]
        raise StoreError(f"{path}: the store is damaged ({reason})", "write it again from its source") from error
