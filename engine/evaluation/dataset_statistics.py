"""What a data set of masks amounts to: density, masks, mask tracks, masks a frame, annotated frames.

The columns of Table 1 of "Multi-Granularity Video Object Segmentation" (AAAI 2025). Density is equation 7: the share of
an annotated frame's pixels that at least one mask covers, averaged over all annotated frames. Knows sources of masks;
masks stay run lengths, none is drawn, and one frame is in memory at a time.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Protocol

from engine.masks import rle
from engine.store.source import ClipMasks
from engine.types import MaskRecord

SCHEMA = 1


class Clips(Protocol):
    """Clips by name; every MaskSource is one."""

    @property
    def clips(self) -> Sequence[str]: ...

    def clip(self, name: str) -> ClipMasks: ...


@dataclass(frozen=True)
class Counts:
    """What is counted of one clip or of many.

    `frames` are annotated: the source holds a mask, empty or not, of at least one track there. `masks` have at least
    one pixel, `tracks` at least one such mask; `rows` are masks with the empty ones. `covered` is the sum over frames
    of the share of covered pixels.
    """

    frames: int = 0
    tracks: int = 0
    masks: int = 0
    rows: int = 0
    covered: float = 0.0

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.frames + other.frames,
            self.tracks + other.tracks,
            self.masks + other.masks,
            self.rows + other.rows,
            self.covered + other.covered,
        )

    @property
    def density(self) -> float:
        """Equation 7, in [0, 1]; 0 where no frame is annotated."""
        return self.covered / self.frames if self.frames else 0.0

    @property
    def masks_per_frame(self) -> float:
        return self.masks / self.frames if self.frames else 0.0

    def as_dict(self) -> dict[str, Any]:
        return {
            "density": self.density,
            "masks": self.masks,
            "mask_tracks": self.tracks,
            "masks_per_frame": self.masks_per_frame,
            "annotated_frames": self.frames,
        }


@dataclass(frozen=True)
class DatasetStatistics:
    """The numbers of every clip, by name, and of all together."""

    clips: dict[str, Counts]

    @property
    def total(self) -> Counts:
        return sum(self.clips.values(), Counts())

    def as_dict(self) -> dict[str, Any]:
        """The JSON document: `videos`, the columns of Table 1 for the whole set, and the same for each clip."""
        return {
            "schema": SCHEMA,
            "videos": len(self.clips),
            **self.total.as_dict(),
            "clips": [{"name": name, **counts.as_dict()} for name, counts in self.clips.items()],
        }


def dataset_statistics(
    source: Clips, clips: Collection[str] | None = None, on_progress: Callable[[int, int], object] | None = None
) -> DatasetStatistics:
    """Count every clip of a source, or those named. `on_progress` is called with (clips done, clips in all)."""
    names = list(source.clips) if clips is None else list(clips)
    found: dict[str, Counts] = {}
    for done, name in enumerate(names, 1):
        found[name] = count_clip(source.clip(name))
        if on_progress is not None:
            on_progress(done, len(names))
    return DatasetStatistics(found)


def count_clip(clip: ClipMasks) -> Counts:
    """The numbers of one clip."""
    frames, masks, rows, covered = 0, 0, 0, 0.0
    tracks: set[int] = set()
    for _, group in groupby(clip.records(), key=lambda record: record.frame):
        records = list(group)
        seen = [record for record in records if record.area]
        frames += 1
        rows += len(records)
        masks += len(seen)
        tracks.update(record.track for record in seen)
        covered += _union(seen, clip) / (clip.height * clip.width)
    return Counts(frames, len(tracks), masks, rows, covered)


def _union(records: Iterable[MaskRecord], clip: ClipMasks) -> int:
    """Pixels that at least one of the masks covers."""
    codes = [record.counts for record in records]
    return rle.area(rle.merge(codes, clip.height, clip.width), clip.height, clip.width) if codes else 0
