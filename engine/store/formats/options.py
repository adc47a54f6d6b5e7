"""What an export may be told. One record for all formats; each reads what concerns it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from engine.store.source import ClipMasks, MaskSource


@dataclass(frozen=True)
class ExportOptions:
    """`clips`: only these (all where None). `overwrite`: replace the output.

    `flatten`: index maps of overlapping tracks, smaller over larger. `predictions`: the MUG-VOS layout of results
    instead of that of truth. `nested`: the reference pipeline's JSON as its training reads it. `on_progress` is called
    with (clips done, clips in all).
    """

    overwrite: bool = False
    clips: Sequence[str] | None = None
    flatten: bool = False
    predictions: bool = False
    nested: bool = False
    on_progress: Callable[[int, int], None] | None = None

    def chosen(self, source: MaskSource) -> Iterator[ClipMasks]:
        """The clips to write, one after the other, progress reported after each."""
        names = list(source.clips) if self.clips is None else list(self.clips)
        for done, name in enumerate(names):
            yield source.clip(name)
            if self.on_progress is not None:
                self.on_progress(done + 1, len(names))
