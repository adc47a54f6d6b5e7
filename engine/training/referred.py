"""Clips with a sentence: where sentences, masks and videos come from, and which frames of them make a training clip.

Two sources: the layout of Ref-YouTube-VOS (meta_expressions.json beside JPEGImages and Annotations), and mask stores,
whose tracks are called what they are. Knows mask sources, videos and random numbers; no networks.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.errors import FormatError
from engine.evaluation.meta import read_meta
from engine.store import open_source
from engine.store.source import ClipMasks
from engine.training.footage import Footage
from engine.training.video_files import video_of
from engine.types import BoolArray, UInt8Array

META = "meta_expressions.json"
_REVERSED = 0.3
_NEAR = 3


@dataclass(frozen=True)
class Referred:
    """One sentence and the object that it means in one clip."""

    sentence: str
    masks: ClipMasks
    track: int
    video: Path

    def images(self, footage: Footage, numbers: Sequence[int]) -> list[UInt8Array]:
        """The frames of these numbers, uint8 (H, W, 3) at the masks' size."""
        return footage.frames(self.video, numbers, (self.masks.width, self.masks.height))

    def objects(self, numbers: Sequence[int]) -> BoolArray:
        """bool (T, H, W); empty where the object is absent."""
        empty = np.zeros((self.masks.height, self.masks.width), np.bool_)
        found = [self.masks.mask(number, self.track) for number in numbers]
        return np.stack([empty if mask is None else mask for mask in found])


def open_referred(name: str, videos: Path | None = None) -> list[Referred]:
    """All sentences of a folder in the layout of Ref-YouTube-VOS, or of a mask store.

    Raises FormatError where there is no sentence, StoreError where a video is missing.
    """
    found = _find_meta(Path(name))
    referred = _of_store(name, videos) if found is None else _of_layout(*found)
    if not referred:
        raise FormatError(
            f"{name}: no sentence means an object with masks",
            f"name a folder with {META}, JPEGImages and Annotations, or a store whose tracks are called what they are",
        )
    return referred


def has_sentences(folder: Path) -> bool:
    """Whether a folder is in the layout of Ref-YouTube-VOS."""
    return _find_meta(folder) is not None


def _find_meta(folder: Path) -> tuple[Path, Path] | None:
    """The meta file and the folder that holds JPEGImages and Annotations; None if it is another layout."""
    for meta, data in (
        (folder / "meta_expressions" / "train" / META, folder / "train"),
        (folder.parent / "meta_expressions" / folder.name / META, folder),
        (folder / META, folder),
    ):
        if meta.is_file() and (data / "JPEGImages").is_dir():
            return meta, data
    return None


def _of_layout(meta: Path, folder: Path) -> list[Referred]:
    source = open_source(folder / "Annotations")
    known = set(source.clips)
    referred = []
    for video, expressions in read_meta(meta).expressions.items():
        if video not in known:
            continue
        masks = source.clip(video)
        tracks = {track.id for track in masks.tracks}
        images = folder / "JPEGImages" / video
        referred += [
            Referred(said.text, masks, said.object, images)
            for said in expressions
            if said.object is not None and said.object in tracks
        ]
    return referred


def _of_store(name: str, videos: Path | None) -> list[Referred]:
    source = open_source(name)
    return [
        Referred(track.name, masks, track.id, video_of(masks, videos))
        for masks in map(source.clip, source.clips)
        for track in masks.tracks
        if track.name.strip()
    ]


def choose_frames(numbers: Sequence[int], frames: int, rng: np.random.Generator) -> list[int]:
    """Frame numbers of a clip, as published: a key frame, one up to three before and after it, the rest from anywhere
    else, in order of time or, in three of ten clips, reversed. Clips that are too short repeat frames."""
    key = int(rng.integers(len(numbers)))
    before, after = (int(step) for step in rng.integers(1, _NEAR + 1, 2))
    near = [key, max(key - before, 0), min(key + after, len(numbers) - 1)][:frames]
    span = range(min(near), max(near) + 1)
    others = [at for at in range(len(numbers)) if at not in span] or list(range(len(numbers)))
    wanted = frames - len(near)
    picked = near + [int(at) for at in rng.choice(others, wanted, replace=wanted > len(others))]
    picked.sort(reverse=bool(rng.random() < _REVERSED))
    return [numbers[at] for at in picked]
