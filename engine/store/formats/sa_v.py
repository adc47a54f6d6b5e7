"""SA-V JSON, manual and automatic: one video a file, `masklet` is a list over frames of lists over objects.

The videos run at 24 frames a second and are annotated at 6: entry i belongs to frame 4 i, unless there are as many
entries as frames. Written files name their frames in a further key.
"""

import math
from array import array
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import FormatError
from engine.masks import rle
from engine.store.formats import base, coded, documents
from engine.store.formats.json_stream import JsonFile, JsonReader
from engine.store.formats.options import ExportOptions
from engine.store.source import ClipMasks, MaskSource
from engine.types import Track

NAME = "sa-v"
STEP = 4
_FRAMES = "frame_numbers"
_MOST_OPEN = 16
_KEPT = ("video_height", "video_width", "video_frame_count", "masklet_id", "masklet_name", _FRAMES)
_SMALL, _MEDIUM = 32**2, 96**2


class SaVSource(base.Source):
    """One SA-V file, or a folder of them (a MaskSource). Masks stay in the files until they are read.

    `temporary`: the file is a spool and is removed on closing.
    """

    format = NAME

    def __init__(self, path: str | Path, temporary: bool = False) -> None:
        super().__init__(Path(path))
        files = sorted(self.path.glob("*.json")) if self.path.is_dir() else [self.path]
        if not files:
            raise FormatError(f"{path}: no JSON file in it", "name a file such as sav_000001_manual.json")
        self._temporary = temporary
        self._open: dict[Path, JsonFile] = {}
        if len(files) == 1:
            try:
                self._files = {_video_id(self._opened(files[0])): files[0]}
            except BaseException:
                self.close()
                raise
        else:
            self._files = {file.stem: file for file in files}

    @property
    def clips(self) -> Sequence[str]:
        """The video id of one file; the stems of the files of a folder (a video may be there as manual and auto)."""
        return list(self._files)

    def clip(self, name: str) -> coded.CodedClip:
        """One video. Its file stays open until some others were asked for."""
        if name not in self._files:
            raise self.unknown(name, self._files)
        file = self._opened(self._files[name])
        found, where = _Scan(file), str(file.path)
        size = base.check_size(found.keys.get("video_height"), found.keys.get("video_width"), where)
        ids = _ids(found.keys, where)
        frames = _frames(found.keys, len(found.lengths), where)
        places = found.places(ids, frames, where)
        tracks = _tracks(found.keys, ids, frames, found.first_rows)
        return StableClip(name, size, frames, tracks, places, *coded.of_file(file))

    def close(self) -> None:
        """Close the files."""
        while self._open:
            self._open.popitem()[1].close()

    def _opened(self, path: Path) -> JsonFile:
        if path not in self._open:
            self._open[path] = JsonFile(path, self._temporary)
            while len(self._open) > _MOST_OPEN:
                self._open.pop(next(iter(self._open))).close()
        return self._open[path]


class StableClip(coded.CodedClip):
    """One video (a ClipMasks). What it has for scores is stability."""

    def _scored(self, entry: Any, at: int) -> dict[str, Any]:
        return {"stability": float(self._scores[at])}


class _Scan:
    """What one pass over a file finds: its small keys, and where the mask of each frame and object lies.

    `lengths`: objects of each frame. `first_rows`: of each object the first frame that shows it.
    """

    def __init__(self, file: JsonFile) -> None:
        self.keys: dict[str, Any] = {}
        self.lengths, self.first_rows = coded.whole_numbers(), dict[int, int]()
        self._rows, self._columns, self._offsets = (coded.whole_numbers() for _ in range(3))
        self._stability: list[array[float]] = []
        reader, where = file.read(), str(file.path)
        found = False
        for key in reader.names():
            if key == "masklet":
                found = True
                documents.enter_list(reader, key, where)
                for _ in reader.entries():
                    self._scan_frame(reader, where)
            elif key == "masklet_stability_score" and reader.kind() == "[":
                for _ in reader.entries():
                    self._stability.append(array("d", _numbers(reader.value())))
            elif key in _KEPT:
                self.keys[key] = reader.value()
        reader.end()
        if not found:
            documents.required(None, "masklet", list, where)

    def places(self, ids: list[int], frames: list[int], where: str) -> coded.Columns:
        """The masks that are there. Raises FormatError where a frame does not hold one entry an object."""
        for row, length in enumerate(self.lengths):
            if length != len(ids):
                raise FormatError(f"{where}: frame entry {row} does not hold {len(ids)} masks", "the file is damaged")
        rows, columns = np.asarray(self._rows), np.asarray(self._columns)
        stability = np.full((len(frames), len(ids)), math.nan)
        for row, known in enumerate(self._stability[: len(frames)]):
            stability[row, : len(known)] = known[: len(ids)]
        return coded.Columns(
            np.array(frames, np.int64)[rows],
            np.array(ids, np.int64)[columns],
            np.asarray(self._offsets),
            stability[rows, columns],
        )

    def _scan_frame(self, reader: JsonReader, where: str) -> None:
        row, column = len(self.lengths), 0
        if reader.kind() != "[":
            raise FormatError(f"{where}: frame entry {row} is no list of masks", "the file is damaged")
        for offset in reader.entries():
            code = reader.value()
            if code is not None:
                self._rows.append(row)
                self._columns.append(column)
                self._offsets.append(offset)
                if column not in self.first_rows and _is_seen(code):
                    self.first_rows[column] = row
            column += 1
        self.lengths.append(column)


def _video_id(file: JsonFile) -> str:
    reader = file.read()
    for key in reader.names():
        if key == "video_id":
            return str(documents.required({key: reader.value()}, key, str, str(file.path)))
    reader.end()
    return str(documents.required(None, "video_id", str, str(file.path)))


def _numbers(row: Any) -> list[float]:
    return [documents.number(value) for value in row] if isinstance(row, list) else []


def _is_seen(code: Any) -> bool:
    """Whether a mask has a pixel, by its run lengths; what is damaged is found when it is read."""
    counts = code.get("counts") if isinstance(code, dict) else None
    return _has_object(counts) if isinstance(counts, str) else True


@lru_cache(256)
def _has_object(counts: str) -> bool:
    if len(counts) > 2 * rle.MAX_SYMBOLS or not counts.isascii():
        return True
    runs = rle.runs(counts.encode())
    return runs is None or bool(runs[1::2].any())


def write(source: MaskSource, output: Path, options: ExportOptions) -> None:
    """Write `<video_id>_manual.json` for each clip into a folder, or one file where `output` ends in .json.

    A mask that the source does not hold is written as an empty one: the format has no other word for it.
    """
    if output.suffix.lower() != ".json":
        with base.new_folder(output, options.overwrite) as root:
            for clip in options.chosen(source):
                documents.save(root / f"{base.file_name(clip.name, 'clip')}_manual.json", _document(clip))
        return
    clips = list(options.clips or source.clips)
    if len(clips) != 1:
        raise FormatError(f"{output}: {len(clips)} clips, an SA-V file holds one", "name a folder as output")
    for clip in options.chosen(source):
        documents.save(output, _document(clip), options.overwrite)


def _document(clip: ClipMasks) -> dict[str, Any]:
    blank = {"size": [clip.height, clip.width], "counts": rle.empty(clip.height, clip.width).decode()}
    column = {track.id: index for index, track in enumerate(clip.tracks)}
    masklets, areas = [], np.zeros((len(clip.frames), len(column)), np.int64)
    stability: list[list[float | None]] = []
    for row, frame in enumerate(clip.frames):
        codes, scores = [blank] * len(column), [math.nan] * len(column)
        for record in clip.records(frame):
            at = column[record.track]
            codes[at] = documents.segmentation(record, clip.height, clip.width)
            areas[row, at], scores[at] = record.area, record.stability
        masklets.append(codes)
        stability.append([documents.number_or_none(score) for score in scores])
    return {
        "video_id": clip.name,
        **_video_keys(clip),
        "masklet": masklets,
        "masklet_id": list(column),
        "masklet_num": len(column),
        "masklet_type": ["manual"] * len(column),
        "masklet_name": [track.name for track in clip.tracks],
        **_statistics(areas, clip),
        "masklet_stability_score": stability if any(s is not None for row_ in stability for s in row_) else None,
        _FRAMES: list(clip.frames),
    }


def _video_keys(clip: ClipMasks) -> dict[str, float]:
    count = max(int(getattr(clip, "frame_count", 0)), max(clip.frames, default=-1) + 1)
    fps = getattr(clip, "fps", None)
    return {
        "video_duration": float(count / fps) if fps else 0.0,
        "video_frame_count": float(count),
        "video_height": float(clip.height),
        "video_width": float(clip.width),
        "video_resolution": float(clip.height * clip.width),
    }


def _statistics(areas: np.ndarray, clip: ClipMasks) -> dict[str, list[Any]]:
    """The columns that SA-V derives from its masks."""
    visible = areas > 0
    means = areas.sum(axis=0) / np.maximum(visible.sum(axis=0), 1)
    changes = [int(np.count_nonzero(np.diff(column[int(np.argmax(column)) :]))) for column in visible.T.astype(np.int8)]
    return {
        "masklet_size_abs": means.tolist(),
        "masklet_size_rel": (means / (clip.height * clip.width)).tolist(),
        "masklet_size_bucket": ["small" if m < _SMALL else "medium" if m < _MEDIUM else "large" for m in means],
        "masklet_visibility_changes": changes,
        "masklet_first_appeared_frame": [track.first_frame for track in clip.tracks],
        "masklet_frame_count": [len(areas)] * areas.shape[1],
        "masklet_edited_frame_count": [0] * areas.shape[1],
    }


def _ids(document: Any, where: str) -> list[int]:
    ids = documents.required(document, "masklet_id", list, where)
    if not all(documents.whole_number(track) is not None for track in ids) or len(set(ids)) < len(ids):
        raise FormatError(f"{where}: masklet ids are not numbers, each once", "the file is damaged")
    return ids


def _frames(document: Any, count: int, where: str) -> list[int]:
    named = document.get(_FRAMES)
    if isinstance(named, list) and len(named) == count and all(documents.whole_number(n) is not None for n in named):
        return named
    total = int(documents.number_or_none(documents.number(document.get("video_frame_count"))) or 0)
    if total == count:
        return list(range(count))
    if total and math.ceil(total / STEP) != count:
        raise FormatError(f"{where}: {count} annotated frames in a video of {total}", "every frame or every 4th")
    return list(range(0, count * STEP, STEP))


def _tracks(document: Any, ids: list[int], frames: list[int], first_rows: dict[int, int]) -> list[Track]:
    """Tracks by id; their first frame is the first that shows them."""
    names = document.get("masklet_name")
    named = isinstance(names, list) and len(names) == len(ids)
    return [
        Track(
            track,
            str(names[column]) if named else f"{track:03d}",
            frames[first_rows[column]] if column in first_rows else 0,
        )
        for column, track in enumerate(ids)
    ]
