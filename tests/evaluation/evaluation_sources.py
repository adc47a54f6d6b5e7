"""A MaskSource held in memory, and shapes to put into it."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from engine.masks import rle
from engine.types import MaskRecord, Track

Masks = Mapping[int, np.ndarray]


class MemoryClip:
    """Tracks given as name -> {frame: mask}; ids count from `first_id`. Counts how often a mask is read."""

    def __init__(self, name: str, tracks: Mapping[str, Masks], first_id: int = 0, frames: Sequence[int] = ()) -> None:
        self.name = name
        self.tracks = [Track(i, track) for i, track in enumerate(tracks, start=first_id)]
        self._masks = {t.id: tracks[t.name] for t in self.tracks}
        self.frames = sorted({*frames, *(f for masks in tracks.values() for f in masks)})
        self.height, self.width = next((m.shape for masks in tracks.values() for m in masks.values()), (1, 1))
        self.voids: dict[int, np.ndarray] = {}
        self.read: list[int] = []

    def mask(self, frame: int, track: int) -> np.ndarray | None:
        self.read.append(frame)
        return self._masks.get(track, {}).get(frame)

    def void(self, frame: int) -> np.ndarray | None:
        return self.voids.get(frame)

    def records(self, frame: int | None = None, track: int | None = None) -> Iterator[MaskRecord]:
        for f in self.frames:
            for t in self.tracks:
                mask = self._masks[t.id].get(f)
                if mask is not None and frame in (None, f) and track in (None, t.id):
                    yield rle.record(f, t.id, mask)


class MemorySource:
    """Clips by name, posing as a given format."""

    def __init__(self, clips: Sequence[MemoryClip], format: str = "store") -> None:
        self.format = format
        self._clips = {clip.name: clip for clip in clips}

    @property
    def clips(self) -> Sequence[str]:
        return list(self._clips)

    def clip(self, name: str) -> MemoryClip:
        return self._clips[name]


def source(clips: Mapping[str, Mapping[str, Masks]], format: str = "store") -> MemorySource:
    """clip -> track -> frame -> mask."""
    return MemorySource([MemoryClip(name, tracks) for name, tracks in clips.items()], format)


def index_source(maps: Mapping[str, np.ndarray], void: int | None = None) -> MemorySource:
    """clip -> label images (T, H, W), as a tree of palette PNGs shows them."""
    return MemorySource([_index_clip(name, values, void) for name, values in maps.items()], "davis")


def _index_clip(name: str, values: np.ndarray, void: int | None) -> MemoryClip:
    ids = [int(i) for i in np.unique(values) if i not in (0, void)]
    clip = MemoryClip(name, {}, frames=range(len(values)))
    clip.height, clip.width = values.shape[1:]
    clip.tracks = [Track(i, str(i)) for i in ids]
    clip._masks = {i: {f: m == i for f, m in enumerate(values) if (m == i).any()} for i in ids}
    if void is not None:
        clip.voids = {f: m == void for f, m in enumerate(values) if (m == void).any()}
    return clip


def square(at: int, size: int = 12, shape: tuple[int, int] = (40, 60)) -> np.ndarray:
    mask = np.zeros(shape, bool)
    mask[10 : 10 + size, at : at + size] = True
    return mask


def moving(frames: Sequence[int], offset: int = 0) -> dict[int, np.ndarray]:
    """A square that moves one pixel a frame."""
    return {f: square(5 + i + offset) for i, f in enumerate(frames)}
