"""YouTube-VIS JSON: one annotation is one track, with a segmentation or null for each frame of its video.

A track in a frame is null where there is no mask; an empty mask is an empty run-length code. Written files carry the
names and scores of masks as further keys, which other readers pass over.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from engine.errors import FormatError
from engine.store.formats import base, coded, documents, result_lists
from engine.store.formats.json_stream import JsonFile, JsonReader
from engine.store.formats.options import ExportOptions
from engine.store.source import ClipMasks, MaskSource
from engine.types import Track

NAME = "youtube-vis"
_NOTHING = -1
_KEPT = ("id", "video_id", "track_id", "category_id", "first_frame", "score", "name", "parent", "level", "review")
_LISTS = {"videos": ("id", "name", "height", "width", "file_names"), "categories": ("id", "name")}


@dataclass
class _Annotation:
    """One track: its small keys, where its masks lie (-1: no mask), their scores, the size of the first."""

    keys: dict[str, Any] = field(default_factory=dict)
    offsets: "array[int]" = field(default_factory=coded.whole_numbers)
    scores: "array[float]" = field(default_factory=lambda: array("d"))
    size: list[Any] | None = None

    @property
    def video(self) -> Any:
        return self.keys.get("video_id")


class YouTubeVisSource(base.Source):
    """A YouTube-VIS file, or a list of results of one (a MaskSource). Masks stay in the file until they are read.

    `listed` is what results lack, from the document they belong to. `anonymous`: tracks have no names and no ids.
    `temporary`: the file is a spool and is removed on closing.
    """

    format = NAME

    def __init__(self, path: str | Path, listed: result_lists.Listed | None = None, temporary: bool = False) -> None:
        super().__init__(Path(path))
        self._file = JsonFile(self.path, temporary)
        try:
            self._lists: dict[str, list[dict[str, Any]]] = dict(listed or {})
            self._annotations: dict[Any, list[_Annotation]] = {}
            self.anonymous = self._scan(self._file.read(), str(path))
            if self.anonymous and listed is None:
                self._lists["videos"] = self._made_up_videos()
            videos = self._lists["videos"]
            self._videos = {_name_of(video): video for video in videos}
            if len(self._videos) < len(videos):
                self._videos = {f"{_name_of(video)}-{video.get('id')}": video for video in videos}
            unlisted = set(self._annotations) - {video.get("id") for video in videos}
            if unlisted:
                raise FormatError(f"{path}: annotations of video {next(iter(unlisted))!r}, which is not listed")
        except BaseException:
            self.close()
            raise

    @property
    def clips(self) -> Sequence[str]:
        """Names of the videos: the folders of their files."""
        return list(self._videos)

    @property
    def listed(self) -> result_lists.Listed:
        """What results of this document lack."""
        return {key: self._lists[key] for key in ("videos", "categories") if self._lists.get(key)}

    def clip(self, name: str) -> coded.CodedClip:
        """One video."""
        if name not in self._videos:
            raise self.unknown(name, self._videos)
        video = self._videos[name]
        where = f"{self.path}: video {name!r}"
        size = base.check_size(video.get("height"), video.get("width"), where)
        files = documents.required(video, "file_names", list, where)
        frames = np.array(base.frame_numbers([PurePosixPath(str(file)).stem for file in files], where), np.int64)
        tracks, parts = [], []
        for index, annotation in enumerate(self._annotations.get(video.get("id"), []), 1):
            track = _track_id(annotation.keys, index)
            part = self._places(annotation, track, frames)
            tracks.append(self._track(annotation.keys, track, int(part.frames.min(initial=2**62))))
            parts.append(part)
        empty = coded.Places().columns()
        places = coded.Columns(*(np.concatenate(columns) for columns in zip(empty, *parts, strict=True)))
        return coded.CodedClip(name, size, frames.tolist(), tracks, places, *coded.of_file(self._file))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _scan(self, reader: JsonReader, where: str) -> bool:
        """Take down where masks lie; whether the file is a list of results."""
        if reader.kind() == "[":
            self._scan_annotations(reader, "entries", where)
            reader.end()
            return True
        found: set[str] = set()
        for key in reader.names():
            found.add(key)
            if key == "annotations":
                self._scan_annotations(reader, key, where)
            elif key in _LISTS:
                if key == "videos":
                    documents.enter_list(reader, key, where)
                self._lists[key] = documents.few(reader, key, where, _LISTS[key])
        reader.end()
        documents.complete(found, ("videos", "annotations"), where)
        return False

    def _scan_annotations(self, reader: JsonReader, key: str, where: str) -> None:
        documents.enter_list(reader, key, where)
        for _ in reader.entries():
            if reader.kind() != "{":
                raise documents.no_object(key, where)
            annotation = _scan_annotation(reader, where)
            self._annotations.setdefault(annotation.video, []).append(annotation)

    def _made_up_videos(self) -> list[dict[str, Any]]:
        """The videos of a list of results, with what its masks say of them."""
        videos = []
        for video, annotations in self._annotations.items():
            sizes = [annotation.size for annotation in annotations if annotation.size is not None]
            if not sizes:
                raise FormatError(
                    f"{self.path}: a video without any mask, so its size is unknown", "leave its entries out"
                )
            videos.append(result_lists.made_up_video(video, sizes[0], len(annotations[0].offsets)))
        return videos

    def _places(self, annotation: _Annotation, track: int, frames: coded.Column) -> coded.Columns:
        offsets = np.asarray(annotation.offsets)
        if len(offsets) != len(frames):
            fault = f"{len(offsets)} segmentations for {len(frames)} frames"
            raise FormatError(f"{self.path}: annotation {annotation.keys.get('id')}: {fault}", "the file is damaged")
        scores = np.asarray(annotation.scores)
        if len(scores) != len(offsets):
            scores = np.full(len(offsets), documents.number(annotation.keys.get("score")))
        there = offsets != _NOTHING
        return coded.Columns(frames[there], np.full(int(there.sum()), track), offsets[there], scores[there])

    def _track(self, keys: dict[str, Any], track: int, first: int) -> Track:
        """first: the first frame with a mask, 2^62 where there is none."""
        names = {one.get("id"): str(one.get("name", "")) for one in self._lists.get("categories", [])}
        said = documents.whole_number(keys.get("first_frame"))
        first = said if said is not None else 0 if first == 2**62 else first
        return documents.track_of_keys(track, keys, f"{names.get(keys.get('category_id'), '')} {track}".strip(), first)


def _scan_annotation(reader: JsonReader, where: str) -> _Annotation:
    found: _Annotation = _Annotation()
    listed = False
    for key in reader.names():
        if key == "segmentations":
            listed = reader.kind() == "["
            if listed:
                _scan_codes(reader, found)
        elif key == "scores" and reader.kind() == "[":
            found.scores.extend(documents.number(reader.value()) for _ in reader.entries())
        elif key in _KEPT:
            found.keys[key] = reader.value()
    documents.check_ids(found.keys, f"{where}: annotation {found.keys.get('id')}")
    if not listed:
        documents.required(None, "segmentations", list, f"{where}: annotation {found.keys.get('id')}")
    return found


def _scan_codes(reader: JsonReader, found: _Annotation) -> None:
    for offset in reader.entries():
        code = reader.value()
        found.offsets.append(_NOTHING if code is None else offset)
        size = code.get("size") if isinstance(code, dict) else None
        if found.size is None and isinstance(size, list) and len(size) == 2:
            found.size = size


def write(source: MaskSource, output: Path, options: ExportOptions) -> None:
    """Write one JSON document. Run-length bytes are copied; category 1 is "object"."""
    document: dict[str, Any] = {
        "info": {"description": "written by mugvos"},
        "videos": [],
        "annotations": [],
        "categories": [{"id": 1, "name": "object", "supercategory": "object"}],
    }
    for number, clip in enumerate(options.chosen(source), 1):
        size = {"width": clip.width, "height": clip.height, "length": len(clip.frames)}
        names = [f"{clip.name}/{frame:05d}.jpg" for frame in clip.frames]
        document["videos"].append({"id": number, **size, "file_names": names})
        for annotation in _annotations(clip):
            identity = {"id": len(document["annotations"]) + 1, "video_id": number, "category_id": 1, "iscrowd": 0}
            document["annotations"].append({**identity, **size, **annotation})
    documents.save(output, document, options.overwrite)


def _annotations(clip: ClipMasks) -> list[dict[str, Any]]:
    position = {frame: index for index, frame in enumerate(clip.frames)}
    lists = ("segmentations", "bboxes", "areas", "scores")
    columns: dict[int, dict[str, list[Any]]] = {
        track.id: {name: [None] * len(position) for name in lists} for track in clip.tracks
    }
    for record in clip.records():
        at, column = position[record.frame], columns[record.track]
        column["segmentations"][at] = documents.segmentation(record, clip.height, clip.width)
        column["bboxes"][at] = list(record.box)
        column["areas"][at] = record.area
        column["scores"][at] = documents.number_or_none(record.score)
    return [
        {"track_id": track.id, "first_frame": track.first_frame, **documents.track_keys(track), **columns[track.id]}
        for track in clip.tracks
    ]


def _name_of(video: dict[str, Any]) -> str:
    files = video.get("file_names")
    folder = str(PurePosixPath(str(files[0])).parent) if isinstance(files, list) and files else "."
    return str(video.get("name", video.get("id"))) if folder == "." else folder


def _track_id(annotation: dict[str, Any], index: int) -> int:
    track = documents.whole_number(annotation.get("track_id", annotation.get("id")))
    return index if track is None else track
