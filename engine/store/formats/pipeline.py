"""The reference data pipeline's JSON: one folder a clip, one file a frame, a list of masks.

Two forms are read: flat {size, counts, id, point_coords, iou}, as the pipeline writes it (below `<clip>/origin`), and
nested {id, iou, area, segmentation: {size, counts}}, as the reference's training reads it. A single point may be
written flat, [x, y].
"""

import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from engine.errors import FormatError
from engine.store.formats import base, coded, documents
from engine.store.formats.json_stream import JsonFile
from engine.store.formats.options import ExportOptions
from engine.store.source import ClipMasks, MaskSource
from engine.types import MaskRecord, Track

NAME = "pipeline"
ORIGIN = "origin"


class PipelineSource(base.Source):
    """A folder of clips, or one clip (a MaskSource)."""

    format = NAME

    def __init__(self, path: str | Path) -> None:
        super().__init__(Path(path))
        found = {folder.name: frame_folder(folder) for folder in base.folders_of(self.path)}
        self._folders = {name: folder for name, folder in found.items() if base.frames_of(folder, ".json")}
        own = frame_folder(self.path)
        if base.frames_of(own, ".json"):
            self._folders = {self.path.resolve().name: own}
        if not self._folders:
            raise FormatError(f"{path}: no <clip>/<frame>.json below it", "name the folder of the clips")

    @property
    def clips(self) -> Sequence[str]:
        """Names of the clips' folders."""
        return list(self._folders)

    def clip(self, name: str) -> "PipelineClip":
        """One clip."""
        if name not in self._folders:
            raise self.unknown(name, self._folders)
        folder = self._folders[name]
        files = base.frames_of(folder, ".json")
        size: tuple[int, int] | None = None
        places, first = coded.Places(), dict[int, int]()
        for frame, path in files.items():
            where = str(path)
            with JsonFile(path) as file:
                for offset, entry in documents.objects(file.read(), "masks", where):
                    size = size or _size(_code_of(entry), where)
                    track = _track_of(entry, where)
                    first.setdefault(track, frame)
                    places.add(frame, track, offset)
        if size is None:
            raise FormatError(f"{folder}: no mask in any file, so its size is unknown", "leave it out")
        tracks = [Track(track, str(track), first[track]) for track in sorted(first)]
        return PipelineClip(name, size, files, tracks, places.columns(), folder, partial(_value, files))


class PipelineClip(coded.CodedClip):
    """One clip (a ClipMasks), a file for each frame."""

    def _code(self, entry: Any) -> Any:
        return _code_of(entry)

    def _scored(self, entry: Any, at: int) -> dict[str, Any]:
        points = documents.points_of(entry.get("point_coords"), self._where(at))
        return {"score": documents.number(entry.get("iou")), "points": points}


def _value(files: Mapping[int, Path], frame: int, offset: int) -> Any:
    with JsonFile(files[frame]) as file:
        return file.value(offset)


def write(source: MaskSource, output: Path, options: ExportOptions) -> None:
    """Write `<clip>/<frame>.json`, flat; with `options.nested` as the reference's training reads it."""
    with base.new_folder(output, options.overwrite) as root:
        for clip in options.chosen(source):
            folder = root / base.file_name(clip.name, "clip")
            folder.mkdir()
            for frame in clip.frames:
                entries = [_entry(record, clip, options.nested) for record in clip.records(frame)]
                documents.save(folder / f"{frame:05d}.json", entries)


def frame_folder(folder: Path) -> Path:
    """Where a clip's files lie: in `origin` if it is there, else in the folder itself."""
    return folder / ORIGIN if (folder / ORIGIN).is_dir() else folder


def _code_of(entry: dict[str, Any]) -> Any:
    return entry.get("segmentation", entry)


def _size(code: Any, where: str) -> tuple[int, int]:
    size = documents.required(code, "size", list, where)
    if len(size) != 2:
        raise FormatError(f"{where}: a size of {size} cannot be", "the file is damaged")
    return base.check_size(size[0], size[1], where)


def _track_of(entry: dict[str, Any], where: str) -> int:
    track = documents.required(entry, "id", int, where)
    if documents.whole_number(track) is None:
        raise FormatError(f"{where}: id {track} is out of range", "the file is damaged")
    return track


def _entry(record: MaskRecord, clip: ClipMasks, nested: bool) -> dict[str, Any]:
    code = documents.segmentation(record, clip.height, clip.width)
    score = documents.number_or_none(record.score if math.isnan(record.warped_iou) else record.warped_iou)
    if nested:
        return {"id": record.track, "iou": score, "area": record.area, "segmentation": code}
    points = documents.points_to_json(record.points, f"clip {clip.name!r}, frame {record.frame}")
    return {**code, "id": record.track, "point_coords": points, "iou": score}
