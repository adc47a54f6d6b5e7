"""DAVIS index maps: one palette PNG per frame, `<video>/<frame>.png`, the value is the object.

Also below `Annotations/480p`, `Annotations/Full-Resolution` or `Annotations`. 255 is void; a folder whose only values
are 0 and 255 (DAVIS 2016) is one object. An index map cannot hold overlapping tracks.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from engine.errors import FormatError
from engine.masks import rle
from engine.store.formats import base, png
from engine.store.formats.kept_images import KeptImages
from engine.store.formats.options import ExportOptions
from engine.store.source import ClipMasks, MaskSource
from engine.types import BoolArray, MaskRecord, Track, UInt8Array

NAME = "davis"
VOID = 255
_ROOTS = ("Annotations/480p", "Annotations/Full-Resolution", "Annotations", "Annotations_unsupervised/480p")


class DavisSource(base.Source):
    """A tree of index maps (a MaskSource). A folder of PNGs is taken as one video."""

    format = NAME

    def __init__(self, path: str | Path) -> None:
        super().__init__(Path(path))
        root = index_root(self.path)
        folders = [folder for folder in base.folders_of(root) if base.frames_of(folder)]
        if not folders and base.frames_of(root):
            folders = [root.resolve()]
        self._folders = {folder.name: folder for folder in folders}
        if not folders:
            raise FormatError(f"{path}: no <video>/<frame>.png below it", "name the folder of the videos")

    @property
    def clips(self) -> Sequence[str]:
        """Names of the videos."""
        return list(self._folders)

    def clip(self, name: str) -> "DavisClip":
        """One video."""
        if name not in self._folders:
            raise self.unknown(name, self._folders)
        return DavisClip(name, self._folders[name])


class DavisClip:
    """One video of index maps (a ClipMasks). Every track has a mask, maybe empty, in every frame that has a file."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = name
        self._files = base.frames_of(folder)
        self.frames: Sequence[int] = list(self._files)
        self.height, self.width = png.image_size(self._files[self.frames[0]])
        self._last: tuple[int, UInt8Array] | None = None
        self._kept = KeptImages(self.height, self.width)
        self._values_of: dict[int, set[int]] = {}

    @cached_property
    def tracks(self) -> Sequence[Track]:
        """The ids that occur, ascending; looks at every frame once."""
        first: dict[int, int] = {}
        for frame in self.frames:
            for value in self._present(frame):
                first.setdefault(value, frame)
        if self.one_object:
            return [Track(1, "1", first[VOID])] if VOID in first else []
        return [Track(value, str(value), first[value]) for value in sorted(first) if value != VOID]

    @cached_property
    def one_object(self) -> bool:
        """Whether 255 is the object: no frame holds any other value but 0."""
        return all(self._present(frame) <= {VOID} for frame in self.frames)

    def mask(self, frame: int, track: int) -> BoolArray | None:
        """bool (height, width), None where the frame has no file or the track does not exist."""
        if frame not in self._files or all(track != known.id for known in self.tracks):
            return None
        mask: BoolArray = self._values(frame) == (VOID if self.one_object else track)
        return mask

    def void(self, frame: int) -> BoolArray | None:
        """Pixels of value 255 where that means void; None if there are none."""
        if frame not in self._files or self.one_object or VOID not in self._present(frame):
            return None
        void: BoolArray = self._values(frame) == VOID
        return void

    def values(self, frame: int) -> UInt8Array:
        """The label image itself, uint8 (height, width)."""
        return self._values(frame)

    def records(self, frame: int | None = None, track: int | None = None) -> Iterator[MaskRecord]:
        """In order of frame then track."""
        for number in self.frames if frame is None else [frame]:
            for known in self.tracks:
                mask = self.mask(number, known.id) if track is None or track == known.id else None
                if mask is not None:
                    yield rle.record(number, known.id, mask)

    def _present(self, frame: int) -> set[int]:
        """The values of a frame but 0; looked for once."""
        if frame not in self._values_of:
            image = self._values(frame)
            found = self._kept.labels(frame)
            if found is None:
                found = {int(value) for value in np.flatnonzero(np.bincount(image.ravel(), minlength=256))}
            self._values_of[frame] = found - {0}
        return self._values_of[frame]

    def _values(self, frame: int) -> UInt8Array:
        if self._last is None or self._last[0] != frame:
            values = self._kept.get(frame)
            if values is None:
                values = self._decoded(self._files[frame])
                self._kept.put(frame, values)
            self._last = (frame, values)
        return self._last[1]

    def _decoded(self, file: Path) -> UInt8Array:
        values, _ = png.read_values(file)
        if values.shape != (self.height, self.width):
            raise FormatError(
                f"{file}: {values.shape[1]}x{values.shape[0]}, the first frame is {self.width}x{self.height}",
                "all frames of a video need one size",
            )
        return values


def index_root(path: Path) -> Path:
    """The folder that holds the videos of a DAVIS data set."""
    return next((path / root for root in _ROOTS if (path / root).is_dir()), path)


def write(source: MaskSource, output: Path, options: ExportOptions) -> None:
    """Write palette PNGs, one a frame. Ids 1..254 are kept, others counted from 1 in order.

    Raises FormatError for overlapping tracks unless `flatten` (then smaller masks lie over larger ones), for more than
    254 tracks, and for void in a clip without objects, which would be read as an object.
    """
    with base.new_folder(output, options.overwrite) as root:
        for clip in options.chosen(source):
            folder = root / base.file_name(clip.name, "clip")
            folder.mkdir()
            values = _values_of_tracks(clip)
            seen = False
            for frame in clip.frames:
                image = _index_map(clip, frame, values, options.flatten)
                seen = seen or bool(((image > 0) & (image < VOID)).any())
                _save(image, folder / f"{frame:05d}.png")
            if not seen and any(clip.void(frame) is not None for frame in clip.frames):
                raise FormatError(f"clip {clip.name!r}: void but no object", "DAVIS maps cannot hold that")


def palette() -> bytes:
    """The 256 colours of VOC and DAVIS: bits 0, 3, 6 of the index are red's bits 7, 6, 5; green and blue follow."""
    index = np.arange(256)
    channels = [sum(((index >> (3 * bit + channel)) & 1) << (7 - bit) for bit in range(3)) for channel in range(3)]
    return np.stack(channels, axis=1).astype(np.uint8).tobytes()


def _values_of_tracks(clip: ClipMasks) -> dict[int, int]:
    ids = [track.id for track in clip.tracks]
    if all(1 <= track < VOID for track in ids):
        return {track: track for track in ids}
    if len(ids) >= VOID:
        raise FormatError(
            f"clip {clip.name!r}: {len(ids)} tracks, an index map holds at most {VOID - 1}",
            "export to mugvos, coco or pipeline",
        )
    return {track: value for value, track in enumerate(ids, 1)}


def _index_map(clip: ClipMasks, frame: int, values: dict[int, int], flatten: bool) -> UInt8Array:
    image = np.zeros((clip.height, clip.width), np.uint8)
    for record in sorted(clip.records(frame), key=lambda record: -record.area):
        mask = rle.decode(record.counts, clip.height, clip.width)
        if not flatten and image[mask].any():
            below = next(track for track, value in values.items() if value == image[mask].max())
            raise FormatError(
                f"clip {clip.name!r}: tracks {below} and {record.track} overlap in frame {frame}",
                "an index map cannot hold that; pass --flatten to lay smaller over larger, or export to mugvos",
            )
        image[mask] = values[record.track]
    void = clip.void(frame)
    if void is not None:
        image[void & (image == 0)] = VOID
    return image


def _save(image: UInt8Array, path: Path) -> None:
    picture = Image.fromarray(image)
    picture.putpalette(palette())
    picture.save(path, compress_level=4)
