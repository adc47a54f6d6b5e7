"""The MUG-VOS layout: `<video>/<track>/<frame>.png`, and its results `<video>_<track>/<frame>.png`.

One 8-bit PNG of 0 and 255 per mask, so tracks may overlap. Frames are matched by number and may start anywhere. SA-V's
validation and test sets have the same layout. Results may lie below a folder named after a threshold, such as `0.5`.
A folder of `track_<number>` folders is one video, named after itself.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
from PIL import Image

from engine.errors import FormatError
from engine.masks import rle
from engine.names import number_in
from engine.store.formats import base, png
from engine.store.formats.options import ExportOptions
from engine.store.source import MaskSource
from engine.types import BoolArray, MaskRecord, Track

NAME = "mugvos"
_RESULT = re.compile(r"(.+)_(track_?[0-9]+)")
_TRACK = re.compile(r"track_?[0-9]+")


class MugvosSource(base.Source):
    """A tree of binary PNGs (a MaskSource). Raises FormatError where there are none."""

    format = NAME

    def __init__(self, path: str | Path, names: Mapping[str, Sequence[str]] | None = None) -> None:
        """`names`: video -> track names, to read results `<video>_<track>` that cannot be split by looking."""
        super().__init__(Path(path))
        root = below_threshold(self.path)
        self._folders = _of_names(root, names) if names is not None else _by_looking(root)
        if not self._folders:
            raise FormatError(f"{path}: no <video>/<track>/<frame>.png below it", "name the folder of the videos")

    @property
    def clips(self) -> Sequence[str]:
        """Names of the videos."""
        return list(self._folders)

    def clip(self, name: str) -> "MugvosClip":
        """One video."""
        if name not in self._folders:
            raise self.unknown(name, self._folders)
        return MugvosClip(name, self._folders[name], self)


class MugvosClip:
    """One video of the tree (a ClipMasks). Files are read when asked for."""

    def __init__(self, name: str, folders: Mapping[str, Path], source: base.Source) -> None:
        self.name = name
        self._source = source
        ids = _track_ids(list(folders))
        self._files = {ids[track]: base.frames_of(folder) for track, folder in folders.items()}
        self.frames: Sequence[int] = sorted({frame for files in self._files.values() for frame in files})
        self.tracks: Sequence[Track] = [
            Track(ids[track], track, min(self._files[ids[track]], default=0)) for track in folders
        ]

    @cached_property
    def _size(self) -> tuple[int, int]:
        for files in self._files.values():
            for file in files.values():
                return png.image_size(file)
        raise FormatError(f"{self._source.path}: video {self.name!r} has no PNG", "remove its folder")

    @property
    def height(self) -> int:
        """Of the first mask."""
        return self._size[0]

    @property
    def width(self) -> int:
        """Of the first mask."""
        return self._size[1]

    def mask(self, frame: int, track: int) -> BoolArray | None:
        """bool (height, width), None where there is no file. FormatError for a damaged file or one of another size."""
        file = self._files.get(track, {}).get(frame)
        if file is None:
            return None
        mask, smoothed = png.read_binary(file)
        if mask.shape != self._size:
            raise FormatError(
                f"{file}: {mask.shape[1]}x{mask.shape[0]}, other masks of {self.name} are {self.width}x{self.height}",
                "all masks of a video need one size",
            )
        if smoothed:
            self._source.notes.append(f"{file}: several grey values, cut at 127")
        return mask

    def void(self, frame: int) -> BoolArray | None:
        """The layout declares no void."""
        return None

    def records(self, frame: int | None = None, track: int | None = None) -> Iterator[MaskRecord]:
        """In order of frame then track."""
        frames = self.frames if frame is None else [frame]
        tracks = sorted(self._files) if track is None else [track]
        for number in frames:
            for of in tracks:
                mask = self.mask(number, of)
                if mask is not None:
                    yield rle.record(number, of, mask)


def write(source: MaskSource, output: Path, options: ExportOptions) -> None:
    """Write all masks as PNGs. A mask that the source does not hold has no file; an empty one is black."""
    with base.new_folder(output, options.overwrite) as root:
        for clip in options.chosen(source):
            video = base.file_name(clip.name, "clip")
            names = base.track_names(clip.tracks)
            folders = {
                track: root / f"{video}_{name}" if options.predictions else root / video / name
                for track, name in names.items()
            }
            for folder in folders.values():
                folder.mkdir(parents=True)
            digits = 5 if options.predictions else 3
            for record in clip.records():
                mask = rle.decode(record.counts, clip.height, clip.width)
                _save(mask, folders[record.track] / f"{record.frame:0{digits}d}.png")


def below_threshold(root: Path) -> Path:
    """The folder itself, or the one folder in it that is named after a threshold. FormatError for several of them."""
    folders = base.folders_of(root)
    thresholds = [folder for folder in folders if re.fullmatch(r"[01]?\.[0-9]+", folder.name)]
    if len(thresholds) > 1:
        listed = ", ".join(folder.name for folder in thresholds)
        raise FormatError(f"{root}: results of several thresholds ({listed})", "name one of these folders")
    return thresholds[0] if len(thresholds) == len(folders) == 1 else root


def are_results(names: Sequence[str]) -> bool:
    """Whether folder names all read `<video>_track_<number>`."""
    return bool(names) and all(_RESULT.fullmatch(name) for name in names)


def are_tracks(names: Sequence[str]) -> bool:
    """Whether folder names all read `track_<number>`: the tracks of one video."""
    return bool(names) and all(_TRACK.fullmatch(name) for name in names)


def _by_looking(root: Path) -> dict[str, dict[str, Path]]:
    folders = base.folders_of(root)
    found: dict[str, dict[str, Path]] = {}
    if are_tracks([folder.name for folder in folders]):
        return {root.resolve().name: {folder.name: folder for folder in folders}}
    if are_results([folder.name for folder in folders]):
        for folder in folders:
            split = _RESULT.fullmatch(folder.name)
            if split:
                found.setdefault(split[1], {})[split[2]] = folder
        return found
    for folder in folders:
        tracks = {track.name: track for track in base.folders_of(folder)}
        if any(base.frames_of(track) for track in tracks.values()):
            found[folder.name] = tracks
    return found


def _of_names(root: Path, names: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Path]]:
    found = {
        video: {track: root / f"{video}_{track}" for track in tracks if (root / f"{video}_{track}").is_dir()}
        for video, tracks in names.items()
    }
    return {video: tracks for video, tracks in found.items() if tracks}


def _track_ids(names: Sequence[str]) -> dict[str, int]:
    """Ids are the numbers in the names where these are all there and differ; else they count from 1."""
    numbers = [number_in(name) for name in names]
    if None in numbers or len(set(numbers)) < len(numbers):
        return {name: index for index, name in enumerate(names, 1)}
    return {name: number for name, number in zip(names, numbers, strict=True) if number is not None}


def _save(mask: BoolArray, path: Path) -> None:
    Image.fromarray(mask.astype(np.uint8) * 255).save(path, compress_level=4)
