"""YouTube-VIS JSON: one annotation is one track, with a segmentation or null for each frame of its video.

A track in a frame is null where there is no mask; an empty mask is an empty run-length code. Written files carry the
names and scores of masks as further keys, which other readers pass over.
"""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from engine.errors import FormatError
from engine.store.formats import base, documents, result_lists
from engine.store.formats.options import ExportOptions
from engine.store.source import ClipMasks, MaskSource
from engine.types import MaskRecord

NAME = "youtube-vis"


class YouTubeVisSource(base.Source):
    """A YouTube-VIS file, or a list of results of one (a MaskSource).

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
        self.listed = {key: document[key] for key in ("videos", "categories") if document.get(key)}
        videos = documents.entries(document, "videos", where)
        self._videos = {_name_of(video): video for video in videos}
        if len(self._videos) < len(videos):
            self._videos = {f"{_name_of(video)}-{video.get('id')}": video for video in videos}
        self._annotations: dict[Any, list[dict[str, Any]]] = {}
        for annotation in documents.entries(document, "annotations", where):
            self._annotations.setdefault(annotation.get("video_id"), []).append(annotation)
        unlisted = set(self._annotations) - {video.get("id") for video in videos}
        if unlisted:
            raise FormatError(f"{path}: annotations of video {next(iter(unlisted))!r}, which is not listed")
        self._categories = {c.get("id"): str(c.get("name", "")) for c in document.get("categories") or []}

    @property
    def clips(self) -> Sequence[str]:
        """Names of the videos: the folders of their files."""
        return list(self._videos)

    def clip(self, name: str) -> base.RecordClip:
        """One video; its masks are checked and held in memory."""
        if name not in self._videos:
            raise self.unknown(name, self._videos)
        video = self._videos[name]
        where = f"{self.path}: video {name!r}"
        size = base.check_size(video.get("height"), video.get("width"), where)
        files = documents.required(video, "file_names", list, where)
        frames = base.frame_numbers([PurePosixPath(str(file)).stem for file in files], where)
        tracks, records = [], []
        for index, annotation in enumerate(self._annotations.get(video.get("id"), []), 1):
            track = _track_id(annotation, index)
            of_track = self._records(annotation, track, frames, size)
            category = self._categories.get(annotation.get("category_id"), "")
            first = min((record.frame for record in of_track), default=0)
            first = annotation["first_frame"] if isinstance(annotation.get("first_frame"), int) else first
            tracks.append(documents.track_of_keys(track, annotation, f"{category} {track}".strip(), first))
            records += of_track
        return base.RecordClip(name, *size, frames, tracks, records)

    def _records(
        self, annotation: dict[str, Any], track: int, frames: list[int], size: tuple[int, int]
    ) -> list[MaskRecord]:
        where = f"{self.path}: annotation {annotation.get('id')}"
        codes = documents.required(annotation, "segmentations", list, where)
        if len(codes) != len(frames):
            raise FormatError(f"{where}: {len(codes)} segmentations for {len(frames)} frames", "the file is damaged")
        scores = annotation.get("scores")
        if not isinstance(scores, list) or len(scores) != len(codes):
            scores = [annotation.get("score")] * len(codes)
        return [
            base.checked_record(frame, track, code, *size, where, score=documents.number(score))
            for frame, code, score in zip(frames, codes, scores, strict=True)
            if code is not None
        ]


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
    track = annotation.get("track_id", annotation.get("id"))
    return track if isinstance(track, int) and track >= 0 else index
