"""A store of two tracks over the drifting square, its frames, and a project of it."""

from pathlib import Path

import numpy as np
from small_videos import HEIGHT, WIDTH, scene, write_frames

from engine.annotation.document import ClipDocument
from engine.annotation.project import Person, Project
from engine.masks import rle
from engine.store import StoreReader, StoreWriter
from engine.types import BoolArray, MaskRecord, Track

FRAMES = 6
ANNA = Person("Anna", "annotator", "page-1")
BEN = Person("Ben", "annotator", "page-2")
SUE = Person("Sue", "supervisor", "page-3")
SQUARE, CORNER = 1, 2


def corner() -> BoolArray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[40:, 50:] = True
    return mask


def records(count: int = FRAMES) -> list[MaskRecord]:
    masks = scene(FRAMES)[1]
    rows = [[rle.record(f, SQUARE, masks[f], 0.9), rle.record(f, CORNER, corner(), 0.8)] for f in range(count)]
    return [record for row in rows for record in row]


def write_project_store(folder: Path, known: int = FRAMES, clips: tuple[str, ...] = ("clip",)) -> Path:
    """`tracks.h5` with masks on the first `known` frames, and the frames beside it."""
    write_frames(folder / "frames", scene(FRAMES)[0])
    with StoreWriter(folder / "tracks.h5") as writer:
        for name in clips:
            tracks = [Track(SQUARE, "square"), Track(CORNER, "corner")]
            writer.add_clip(name, WIDTH, HEIGHT, FRAMES, tracks, records(known), "frames", 25)
    return folder / "tracks.h5"


def open_document(reader: StoreReader, name: str) -> ClipDocument:
    return ClipDocument(reader.clip(name), range(FRAMES))


def open_project(path: Path) -> Project:
    return Project(path, open_document)
