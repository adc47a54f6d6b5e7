"""What every holder of masks looks like to a reader: the store, a tree of PNGs, a COCO file.

Knows shapes of interfaces only. `engine.store.open` finds out which one a path is.
"""

from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import Protocol, Self

from engine.types import BoolArray, MaskRecord, Track


class ClipMasks(Protocol):
    """The masks of one clip. Frames are numbers as the source names them (`00012.png` is 12), ascending."""

    @property
    def name(self) -> str: ...
    @property
    def height(self) -> int: ...
    @property
    def width(self) -> int: ...
    @property
    def frames(self) -> Sequence[int]:
        """Frame numbers that the source holds, whether or not any mask is in them."""
        ...

    @property
    def tracks(self) -> Sequence[Track]: ...

    def mask(self, frame: int, track: int) -> BoolArray | None:
        """bool (height, width); None where the source holds no mask of this track in this frame."""
        ...

    def void(self, frame: int) -> BoolArray | None:
        """Pixels that the source declares to belong to nothing (255 in DAVIS palette truth); None if it has none."""
        ...

    def records(self, frame: int | None = None, track: int | None = None) -> Iterator[MaskRecord]:
        """The rows of the clip, in order of frame then track, of one frame and of one track where given."""
        ...


class MaskSource(Protocol):
    """Something that holds masks of clips."""

    @property
    def format(self) -> str:
        """ "store", "mugvos", "davis", "coco", "youtube-vis", "sa-v", "pipeline" or "ndjson"."""
        ...

    @property
    def clips(self) -> Sequence[str]: ...

    def clip(self, name: str) -> ClipMasks: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
