"""COCO detection JSON: images, annotations, categories; run lengths, plain run lengths and polygons are read.

Images become frames: those of one `video_id`, or of one folder of `file_name`, are a clip. Images of one folder that
differ in size are clips of their own. An annotation's `track_id` (or `instance_id`) joins masks to tracks; without it
each annotation is a track. Written files carry the keys of TAO for video: `videos`, `tracks`, `video_id`, `frame_id`.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from engine.errors import FormatError
from engine.store.formats import base, coded, documents, result_lists
from engine.store.formats.json_stream import JsonFile, JsonReader
from engine.store.formats.options import ExportOptions
from engine.store.source import ClipMasks, MaskSource
from engine.types import Track

NAME = "coco"
_NO_TRACK = -1
_IMAGE_KEYS = ("id", "video_id", "frame_id", "file_name", "height", "width")
_LISTS = {
    "videos": ("id", "name"),
    "categories": ("id", "name"),
    "tracks": ("id", "video_id", "first_frame", "name", "parent", "level", "review"),
}


class CocoSource(base.Source):
    """A COCO detection file, or a list of results of one (a MaskSource). Masks stay in the file until they are read.

    `listed` is what results lack, from the document they belong to. `anonymous`: tracks have no names and no ids.
    `temporary`: the file is a spool and is removed on closing.
    """

    format = NAME

    def __init__(self, path: str | Path, listed: result_lists.Listed | None = None, temporary: bool = False) -> None:
        super().__init__(Path(path))
        self._file = JsonFile(self.path, temporary)
        try:
            self._lists: dict[str, list[dict[str, Any]]] = dict(listed or {})
            self._places = coded.Places()  # with the number of an image for the frame
            self._images: dict[Any, int] = {}  # in the order of annotations
            self._categories: dict[Any, int] = {}
            self._category_of = coded.whole_numbers()
            self.anonymous = self._scan(listed is None)
            self._image_ids = list(self._images)
            self._clips = _clips_of_images(self._lists, str(path))
            self._rows_of = self._rows_of_clips()
        except BaseException:
            self.close()
            raise

    @property
    def clips(self) -> Sequence[str]:
        """Names of the clips."""
        return list(self._clips)

    @property
    def listed(self) -> result_lists.Listed:
        """What results of this document lack."""
        return {key: self._lists[key] for key in ("videos", "images", "categories") if self._lists.get(key)}

    def clip(self, name: str) -> "CocoClip":
        """One clip."""
        if name not in self._clips:
            raise self.unknown(name, self._clips)
        images, where = self._clips[name], f"{self.path}: {name}"
        size = base.check_size(images[0].get("height"), images[0].get("width"), where)
        frame_of = _frame_numbers(images, where)
        rows = self._rows_of[name]
        places = coded.of_rows(self._places.columns(), rows)
        frames = np.array([frame_of[self._image_ids[image]] for image in places.frames], np.int64)
        places = places._replace(frames=frames, tracks=_numbered(places.tracks))
        tracks = self._tracks_of(images[0].get("video_id"), places, np.asarray(self._category_of)[rows])
        return CocoClip(name, size, frame_of.values(), tracks, places, *coded.of_file(self._file))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _scan(self, alone: bool) -> bool:
        """Take down where annotations lie; whether the file is a list of results. alone: nothing is known of these."""
        reader, where = self._file.read(), str(self.path)
        if reader.kind() == "[":
            images: dict[Any, dict[str, Any]] = {}
            for offset, entry in documents.objects(reader, "entries", where):
                self._note(entry, offset)
                if alone:
                    result_lists.add_image(images, entry, where)
            if alone:
                self._lists["images"] = list(images.values())
            reader.end()
            return True
        self._scan_document(reader, where)
        return False

    def _scan_document(self, reader: JsonReader, where: str) -> None:
        found: set[str] = set()
        for key in reader.names():
            found.add(key)
            if key == "annotations":
                for offset, annotation in documents.objects(reader, key, where):
                    self._note(annotation, offset)
            elif key == "images":
                documents.enter_list(reader, key, where)
                self._lists[key] = documents.few(reader, key, where, _IMAGE_KEYS)
            elif key in _LISTS:
                self._lists[key] = documents.few(reader, key, where, _LISTS[key])
        reader.end()
        documents.complete(found, ("images", "annotations"), where)

    def _note(self, annotation: dict[str, Any], offset: int) -> None:
        documents.check_ids(annotation, f"{self.path}: annotation {annotation.get('id')}")
        image, category = annotation.get("image_id"), annotation.get("category_id")
        self._places.add(self._images.setdefault(image, len(self._images)), _track_id(annotation), offset)
        self._category_of.append(self._categories.setdefault(category, len(self._categories)))

    def _rows_of_clips(self) -> dict[str, coded.Column]:
        """The annotations of each clip, in the order of the file."""
        clip_of = {image["id"]: at for at, images in enumerate(self._clips.values()) for image in images}
        unlisted = next((image for image in self._image_ids if image not in clip_of), None)
        if unlisted is not None:
            raise FormatError(f"{self.path}: an annotation of image {unlisted!r}, which is not listed")
        of_image = np.array([clip_of[image] for image in self._image_ids], np.int64)
        clips = of_image[self._places.columns().frames]
        order = np.argsort(clips, kind="stable")
        bounds = np.searchsorted(clips[order], np.arange(len(self._clips) + 1))
        return {name: order[bounds[at] : bounds[at + 1]] for at, name in enumerate(self._clips)}

    def _tracks_of(self, video: Any, places: coded.Columns, category_of: coded.Column) -> list[Track]:
        """The listed tracks of the video, then those that only annotations know, by id."""
        found: dict[int, Track] = {}
        for keys in self._lists.get("tracks", []):
            if keys.get("video_id") == video and documents.whole_number(keys.get("id")) is not None:
                first = documents.whole_number(keys.get("first_frame")) or 0
                found[keys["id"]] = documents.track_of_keys(keys["id"], keys, str(keys["id"]), first)
        names = {one.get("id"): str(one.get("name", "")) for one in self._lists.get("categories", [])}
        categories = list(self._categories)
        ids, rows = np.unique(places.tracks, return_index=True)
        for track, row in zip(ids.tolist(), rows.tolist(), strict=True):
            name = f"{names.get(categories[category_of[row]], '')} {track}".strip()
            found.setdefault(track, Track(track, name, int(places.frames[row])))
        return [found[track] for track in sorted(found)]


class CocoClip(coded.CodedClip):
    """One clip of the file (a ClipMasks); its places are those of annotations."""

    def _code(self, entry: Any) -> Any:
        return entry.get("segmentation")

    def _scored(self, entry: Any, at: int) -> dict[str, Any]:
        return {
            "score": documents.number(entry.get("score", entry.get("predicted_iou"))),
            "stability": documents.number(entry.get("stability_score")),
            "points": documents.points_of(entry.get("point_coords"), self._where(at)),
        }


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


def _clips_of_images(lists: dict[str, list[dict[str, Any]]], where: str) -> dict[str, list[dict[str, Any]]]:
    """Clip name -> its images: of one video, else of one folder."""
    names = {video.get("id"): str(video.get("name", video.get("id"))) for video in lists.get("videos", [])}
    clips: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
    for image in lists.get("images", []):
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
    if any(documents.whole_number(number) is None for number in numbers) or len(set(numbers)) < len(numbers):
        numbers = list(base.frame_numbers([PurePosixPath(str(i.get("file_name", ""))).stem for i in images], where))
    return {image["id"]: number for image, number in zip(images, numbers, strict=True) if number is not None}


def _track_id(annotation: dict[str, Any]) -> int:
    """The track of an annotation: `track_id`, `instance_id`, or its own id."""
    found = (documents.whole_number(annotation.get(key)) for key in ("track_id", "instance_id", "id"))
    return next((value for value in found if value is not None), _NO_TRACK)


def _numbered(tracks: coded.Column) -> coded.Column:
    """Annotations without any id get the first numbers from 1 that nobody else has."""
    nameless = np.flatnonzero(tracks == _NO_TRACK)
    taken = set(tracks.tolist()) if len(nameless) else set()
    free = (number for number in itertools.count(1) if number not in taken)
    tracks[nameless] = list(itertools.islice(free, len(nameless)))
    return tracks
