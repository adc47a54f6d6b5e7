"""One error for whatever goes wrong inside a damaged file."""

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engine.errors import DAMAGE, FormatError, MugvosError, StoreError


@contextmanager
def damage(path: Path) -> Iterator[None]:
    """Turn whatever HDF5 raises on a damaged file into one StoreError."""
    try:
        yield
    except MugvosError:
        raise
    except (OSError, *DAMAGE) as error:
        reason = " ".join(str(error).split())[:120]
        raise StoreError(f"{path}: the store is damaged ({reason})", "write it again from its source") from error


def checked(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a reader; whatever it meets in a file that is not as it should be becomes one FormatError."""

    @functools.wraps(method)
    def guarded(self: Any, *given: Any, **more: Any) -> Any:
        try:
            return method(self, *given, **more)
        except MugvosError:
            raise
        except DAMAGE as error:
            where = getattr(self, "path", given[0] if given else "")
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:120]
            raise FormatError(
                f"{where}: does not follow its format ({reason})", "write it again from its source"
            ) from error

    return guarded
