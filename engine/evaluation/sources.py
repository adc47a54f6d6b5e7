"""What evaluation asks of a source of masks, and a wrapper that keeps the clip asked for last.

Knows interfaces only.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

from engine.errors import EvaluationError
from engine.store.source import ClipMasks


class Masks(Protocol):
    """Clips by name; every MaskSource is one."""

    @property
    def format(self) -> str: ...
    @property
    def clips(self) -> Sequence[str]: ...

    def clip(self, name: str) -> ClipMasks: ...


class LastClip:
    """A source that keeps the clip asked for last: what its reader found out is found out once.

    chosen: the only clips to show, None for all. Raises EvaluationError for a name that the source does not have.
    """

    def __init__(self, source: Masks, chosen: Collection[str] | None = None) -> None:
        unknown = sorted(set(chosen or ()) - set(source.clips))
        if unknown:
            raise EvaluationError(f"the ground truth has no clip {unknown[0]!r}", "see `mugvos info` for its clips")
        self._source = source
        self._chosen = chosen
        self._last: ClipMasks | None = None
        self._last_name = ""

    @property
    def format(self) -> str:
        return self._source.format

    @property
    def anonymous(self) -> bool:
        """Whether tracks have neither names nor ids of their own (lists of results)."""
        return bool(getattr(self._source, "anonymous", False))

    @property
    def all_clips(self) -> Sequence[str]:
        """Those that are not shown too."""
        return self._source.clips

    @property
    def clips(self) -> Sequence[str]:
        return [name for name in self._source.clips if self._chosen is None or name in self._chosen]

    def clip(self, name: str) -> ClipMasks:
        if self._last is None or self._last_name != name:
            self._last, self._last_name = self._source.clip(name), name
        return self._last

    def taken_notes(self) -> list[str]:
        """What the reader found odd since this was last asked."""
        notes: list[str] = getattr(self._source, "notes", [])
        taken = notes[:]
        notes.clear()
        return taken
