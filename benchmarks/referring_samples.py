"""Annotated frames of A2D-Sentences and JHMDB-Sentences, and what is predicted for them, as COCO documents.

A2D: Release/videoset.csv and Release/Clips320H, text_annotations with a2d_annotation.txt and the masks in HDF5. JHMDB:
jhmdb_sentences_samples_metadata.json (video, frame, masks, frames, sentence), images and puppet masks in .mat files.
"""

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from engine.errors import FormatError
from engine.masks import rle
from engine.types import BoolArray, UInt8Array
from engine.video import open_video
from engine.video.stills import read_image

AROUND = 2
_TEST = "1"


@dataclass(frozen=True)
class Sample:
    """One sentence about one annotated frame, with the frames around it; `annotated` is its place among them."""

    id: str
    sentence: str
    mask: BoolArray
    annotated: int
    images: Callable[[], list[UInt8Array]]


def window(frame: int, first: int, last: int) -> tuple[list[int], int]:
    """Five frames around one, kept inside first..last, and the place of the annotated one: its first occurrence."""
    frames = [min(max(at, first), last) for at in range(frame - AROUND, frame + AROUND + 1)]
    return frames, frames.index(frame)


def a2d_samples(root: Path) -> Iterator[Sample]:
    """The test set, by video, frame and instance."""
    said = _sentences(root / "text_annotations" / "a2d_annotation.txt")
    for video in _test_videos(root / "Release" / "videoset.csv"):
        path = root / "Release" / "Clips320H" / f"{video}.mp4"
        masks = root / "text_annotations" / "a2d_annotation_with_instances" / video
        if video not in said or not masks.is_dir():
            continue
        with open_video(path) as reader:
            count = reader.count()
        for file in sorted(masks.glob("*.h5")):
            yield from _of_frame(video, path, count, file, said[video])


def _sentences(path: Path) -> dict[str, list[tuple[int, str]]]:
    """(instance, sentence) by video."""
    found: dict[str, list[tuple[int, str]]] = {}
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            found.setdefault(row["video_id"], []).append((int(row["instance_id"]), row["query"]))
    return found


def _test_videos(path: Path) -> list[str]:
    with path.open(newline="", encoding="utf-8") as file:
        return sorted(row[0] for row in csv.reader(file) if row and row[-1].strip() == _TEST)


def _of_frame(video: str, path: Path, count: int, file: Path, said: list[tuple[int, str]]) -> Iterator[Sample]:
    """Masks are stored with width before height, frames are counted from 1."""
    frame = int(file.stem)
    with h5py.File(file) as annotation:
        instances = np.atleast_1d(np.asarray(annotation["instance"]).squeeze()).tolist()
        stored = np.asarray(annotation["reMask"])
    masks = stored.reshape(-1, *stored.shape[-2:]).transpose(0, 2, 1) > 0
    frames, place = window(frame - 1, 0, count - 1)
    for instance, sentence in said:
        if instance in instances:
            mask = masks[instances.index(instance)]
            name = f"v_{video}_f_{frame}_i_{instance}"
            yield Sample(name, sentence, mask, place, lambda frames=frames: _decoded(path, frames))


def _decoded(path: Path, frames: list[int]) -> list[UInt8Array]:
    with open_video(path) as reader:
        found = {frame.index: frame.image for frame in reader.frames(frames[0], frames[-1] + 1)}
    return [found[at] for at in frames]


def jhmdb_samples(root: Path) -> Iterator[Sample]:
    """Every sample of the list that the field uses; frames are counted from 1."""
    listed = json.loads((root / "jhmdb_sentences_samples_metadata.json").read_text("utf-8"))
    for video, image, masks, count, sentence in listed:
        chosen, stored = _inside(root, image), _puppet_mask(_inside(root, masks))
        frame = int(chosen.stem)
        frames, place = window(frame, 1, int(count))
        files = [chosen.with_stem(f"{at:05d}") for at in frames]
        mask = stored[..., min(frame, stored.shape[-1]) - 1]
        yield Sample(
            f"v_{video}_f_{frame}", sentence, mask, place, lambda files=files: [read_image(file) for file in files]
        )


def _inside(root: Path, name: str) -> Path:
    """A listed path, which may begin with the name of the data set's own folder."""
    path = root / name
    return path if path.exists() else root.joinpath(*Path(name).parts[1:])


def _puppet_mask(path: Path) -> np.ndarray:
    """bool (H, W, T)."""
    try:
        from scipy.io import loadmat
    except ImportError as error:
        raise FormatError(f"{path}: .mat files need scipy", "pip install scipy") from error
    mask: np.ndarray = loadmat(path)["part_mask"] > 0
    return mask


def write_samples(
    samples: Iterable[Sample], guess: Callable[[Sample], list[tuple[float, np.ndarray]]], out: Path
) -> None:
    """truth.json and predictions.json, whole or not at all."""
    images, truth, found = [], [], []
    for number, sample in enumerate(samples, 1):
        height, width = sample.mask.shape
        images.append({"id": sample.id, "height": height, "width": width})
        box = [0, 0, width, height]
        truth.append(
            {
                "id": number,
                "image_id": sample.id,
                "category_id": 1,
                "segmentation": _coded(sample.mask),
                "area": int(sample.mask.sum()),
                "bbox": box,
                "iscrowd": 0,
            }
        )
        found += [
            {"image_id": sample.id, "category_id": 1, "segmentation": _coded(mask), "score": score}
            for score, mask in guess(sample)
        ]
    categories = [{"id": 1, "name": "object"}]
    for name, document in (
        ("truth.json", {"images": images, "annotations": truth, "categories": categories}),
        ("predictions.json", found),
    ):
        unfinished = out / f".{name}.part"
        unfinished.write_text(json.dumps(document))
        unfinished.replace(out / name)


def _coded(mask: BoolArray) -> dict[str, Any]:
    """COCO's compressed run lengths."""
    return {"size": list(mask.shape), "counts": rle.encode(mask).decode()}
