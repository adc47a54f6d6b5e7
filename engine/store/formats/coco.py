"""COCO detection JSON: images, annotations, categories; run lengths, plain run lengths and polygons are read.

Images become frames: those of one `video_id`, or of one folder of `file_name`, are a clip. Images of one folder that
differ in size are clips of their own. An annotation's `track_id` (or `instance_id`) joins masks to tracks; without it
each annotation is a track. Written files carry the keys of TAO for video: `videos`, `tracks`, `video_id`, `frame_id`.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from engine.errors import FormatError
from engine.store.formats import base, documents, result_lists
from engine.store.formats.options import ExportOptions
from engine.store.source import ClipMasks, MaskSource
from engine.types import MaskRecord, Track

NAME = "coco"


class CocoSource(base.Source):
    """A COCO detection file, or a list of results of one (a MaskSource).

    `listed` is what results lack, from the document they belong to. `anonymous`: tracks have no names and no ids.
    """

    format = NAME

    def __init__(self, path: str | Path, document: Any = None, listed: result_lists.Listed | None = None) -> None:
        super().__init__(Path(path))
        where = str(path)
        document = documents.load(self.path) if document is None else document
        self.anonymous = isinstance(document, list)
        if isinstance(document, list):
            document = result_lists.completed(document, where, listed)
        self.listed = {key: document[key] for key in ("videos", "images", "categories") if document.get(key)}
        self._images = _clips_of_images(document, where)
        clip_of = {image["id"]: name for name, images in self._images.items() for image in images}
        self._annotations: dict[str, list[dict[str, Any]]] = {name: [] for name in self._images}
        for annotation in documents.entries(document, "annotations", where):
            if annotation.get("image_id") not in clip_of:
                raise FormatError(f"{path}: an annotation of image {annotation.get('image_id')!r}, which is not listed")
            self._annotations[clip_of[annotation["image_id"]]].append(annotation)
        self._categories = {c.get("id"): str(c.get("name", "")) for c in document.get("categories") or []}
        self._tracks = {(t.get("video_id"), t.get("id")): t for t in document.get("tracks") or []}

    @property
    def clips(self) -> Sequence[str]:
        """Names of the clips."""
        return list(self._images)

    def clip(self, name: str) -> base.RecordClip:
        """One clip; its masks are checked and held in memory."""
        if name not in self._images:
            raise self.unknown(name, self._images)
        images = self._images[name]
        height, width = base.check_size(images[0].get("height"), images[0].get("width"), f"{self.path}: {name}")
        frames = _frame_numbers(images, f"{self.path}: {name}")
        ids = _track_ids(self._annotations[name])
        records = [
            self._record(annotation, frames[annotation["image_id"]], track, height, width)
            for annotation, track in zip(self._annotations[name], ids, strict=True)
        ]
        tracks = self._tracks_of(images[0].get("video_id"), self._annotations[name], records)
        return base.RecordClip(name, height, width, frames.values(), tracks, records)

    def _record(self, annotation: dict[str, Any], frame: int, track: int, height: int, width: int) -> MaskRecord:
        where = f"{self.path}: annotation {annotation.get('id')}"
        return base.checked_record(
            frame,
            track,
            annotation.get("segmentation"),
            height,
            width,
            where,
            score=documents.number(annotation.get("score", annotation.get("predicted_iou"))),
            stability=documents.number(annotation.get("stability_score")),
            points=documents.points_of(annotation.get("point_coords"), where),
        )

    def _tracks_of(self, video: Any, annotations: list[dict[str, Any]], records: list[MaskRecord]) -> list[Track]:
        """The listed tracks of the video, then those that only annotations know, by id."""
        found: dict[int, Track] = {}
        listed = {key[1]: keys for key, keys in self._tracks.items() if key[0] == video and isinstance(key[1], int)}
        for track, keys in listed.items():
            found[track] = documents.track_of_keys(track, keys, str(track), int(keys.get("first_frame") or 0))
        for annotation, record in zip(annotations, records, strict=True):
            category = self._categories.get(annotation.get("category_id"), "")
            name = f"{category} {record.track}".strip()
            found.setdefault(record.track, Track(record.track, name, record.frame))
        return [found[track] for track in sorted(found)]


def write(source: MaskSource, output: Path, options: ExportOptions) -> None:
    """Write one JSON document. Run-length bytes are copied; category 1 is "object"."""
    document: dict[str, Any] = {
        "info": {"description": "written by mugvos"},
        "videos": [],
        "tracks": [],
        "images": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "object"}],
    }
    for video, clip in enumerate(options.chosen(source), 1):
        _add_clip(document, clip, video)
    documents.save(output, document, options.overwrite)


def _add_clip(document: dict[str, Any], clip: ClipMasks, video: int) -> None:
    size = {"width": clip.width, "height": clip.height}
    document["videos"].append({"id": video, "name": clip.name, **size})
    for track in clip.tracks:
        keys = {"id": track.id, "video_id": video, "category_id": 1, "first_frame": track.first_frame}
        document["tracks"].append({**keys, **documents.track_keys(track)})
    image_of = {}
    for frame in clip.frames:
        image_of[frame] = len(document["images"]) + 1
        name = f"{clip.name}/{frame:05d}.jpg"
        keys = {"id": image_of[frame], "video_id": video, "frame_id": frame}
        document["images"].append({**keys, "file_name": name, **size})
    for record in clip.records():
        points = documents.points_to_json(record.points, f"clip {clip.name!r}, frame {record.frame}")
        annotation = {
            "id": len(document["annotations"]) + 1,
            "image_id": image_of[record.frame],
            "category_id": 1,
            "track_id": record.track,
            "segmentation": documents.segmentation(record, clip.height, clip.width),
            "area": record.area,
            "bbox": list(record.box),
            "iscrowd": 0,
            **documents.scores(record),
        }
        document["annotations"].append({**annotation, **({"point_coords": points} if points else {})})


def _clips_of_images(document: Any, where: str) -> dict[str, list[dict[str, Any]]]:
    """Clip name -> its images: of one video, else of one folder."""
    names = {video.get("id"): str(video.get("name", video.get("id"))) for video in document.get("videos") or []}
    clips: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
    for image in documents.entries(document, "images", where):
        if not isinstance(image.get("id"), int | str):
            raise FormatError(f"{where}: an image without id", "the file does not follow its format")
        name = names.get(image.get("video_id")) or str(PurePosixPath(str(image.get("file_name", ""))).parent)
        clips.setdefault(Path(where).stem if name == "." else name, []).append(image)
    split: dict[str, list[dict[str, Any]]] = {}
    for name, images in clips.items():
        if len({(image.get("height"), image.get("width")) for image in images}) <= 1:
            split[name] = images
        else:
            split.update({str(image.get("file_name", image["id"])): [image] for image in images})
    return {name: images for name, images in split.items() if images}


def _frame_numbers(images: list[dict[str, Any]], where: str) -> dict[Any, int]:
    """Image id -> frame number: `frame_id` where all have it, else the numbers of the file names."""
    numbers = [image.get("frame_id") for image in images]
    if not all(isinstance(number, int) and number >= 0 for number in numbers) or len(set(numbers)) < len(numbers):
        numbers = list(base.frame_numbers([PurePosixPath(str(i.get("file_name", ""))).stem for i in images], where))
    return {image["id"]: number for image, number in zip(images, numbers, strict=True) if number is not None}


def _track_ids(annotations: list[dict[str, Any]]) -> list[int]:
    """The track of each annotation: `track_id`, `instance_id`, its own id, or a number nobody else has."""
    keys = ("track_id", "instance_id", "id")
    found = [next((a[key] for key in keys if _is_id(a.get(key))), None) for a in annotations]
    taken = set(found)
    free = (number for number in itertools.count(1) if number not in taken)
    return [next(free) if track is None else track for track in found]


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0
