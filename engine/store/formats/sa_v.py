"""SA-V JSON, manual and automatic: one video a file, `masklet` is a list over frames of lists over objects.

The videos run at 24 frames a second and are annotated at 6: entry i belongs to frame 4 i, unless there are as many
entries as frames. Written files name their frames in a further key.
"""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import FormatError
from engine.masks import rle
from engine.store.formats import base, documents
from engine.store.formats.options import ExportOptions
from engine.store.source import ClipMasks, MaskSource
from engine.types import MaskRecord, Track

NAME = "sa-v"
STEP = 4
_FRAMES = "frame_numbers"
_SMALL, _MEDIUM = 32**2, 96**2


class SaVSource(base.Source):
    """One SA-V file, or a folder of them (a MaskSource)."""

    format = NAME

    def __init__(self, path: str | Path, document: Any = None) -> None:
        super().__init__(Path(path))
        files = sorted(self.path.glob("*.json")) if self.path.is_dir() else [self.path]
        if not files:
            raise FormatError(f"{path}: no JSON file in it", "name a file such as sav_000001_manual.json")
        if document is not None or len(files) == 1:
            document = documents.load(files[0]) if document is None else document
            self._files = {str(documents.required(document, "video_id", str, str(files[0]))): files[0]}
        else:
            self._files = {file.stem: file for file in files}

    @property
    def clips(self) -> Sequence[str]:
        """The video id of one file; the stems of the files of a folder (a video may be there as manual and auto)."""
        return list(self._files)

    def clip(self, name: str) -> base.RecordClip:
        """One video; its masks are checked and held in memory."""
        if name not in self._files:
            raise self.unknown(name, self._files)
        file = self._files[name]
        document, where = documents.load(file), str(file)
        size = base.check_size(document.get("video_height"), document.get("video_width"), where)
        masklets = documents.required(document, "masklet", list, where)
        ids = _ids(document, where)
        frames = _frames(document, len(masklets), where)
        records = _records(document, masklets, ids, frames, size, where)
        return base.RecordClip(name, *size, frames, _tracks(document, ids, records), records)


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
    if not all(isinstance(track, int) and track >= 0 for track in ids) or len(set(ids)) < len(ids):
        raise FormatError(f"{where}: masklet ids are not numbers, each once", "the file is damaged")
    return ids


def _frames(document: Any, count: int, where: str) -> list[int]:
    named = document.get(_FRAMES)
    if isinstance(named, list) and len(named) == count and all(isinstance(n, int) and n >= 0 for n in named):
        return named
    total = int(documents.number_or_none(documents.number(document.get("video_frame_count"))) or 0)
    if total == count:
        return list(range(count))
    if total and math.ceil(total / STEP) != count:
        raise FormatError(f"{where}: {count} annotated frames in a video of {total}", "every frame or every 4th")
    return list(range(0, count * STEP, STEP))


def _records(
    document: Any, masklets: list[Any], ids: list[int], frames: list[int], size: tuple[int, int], where: str
) -> list[MaskRecord]:
    stability = document.get("masklet_stability_score")
    records = []
    for row, (frame, codes) in enumerate(zip(frames, masklets, strict=True)):
        if not isinstance(codes, list) or len(codes) != len(ids):
            raise FormatError(f"{where}: frame entry {row} does not hold {len(ids)} masks", "the file is damaged")
        for column, (track, code) in enumerate(zip(ids, codes, strict=True)):
            if code is not None:
                known = documents.number(_entry(stability, row, column))
                place = f"{where}: frame entry {row}, masklet {track}"
                records.append(base.checked_record(frame, track, code, *size, place, stability=known))
    return records


def _entry(table: Any, row: int, column: int) -> Any:
    try:
        return table[row][column]
    except (TypeError, IndexError, KeyError):
        return None


def _tracks(document: Any, ids: list[int], records: list[MaskRecord]) -> list[Track]:
    """Tracks by id; their first frame is the first that shows them."""
    names = document.get("masklet_name")
    named = isinstance(names, list) and len(names) == len(ids)
    first: dict[int, int] = {}
    for record in records:
        if record.area:
            first.setdefault(record.track, record.frame)
    return [
        Track(track, str(names[column]) if named else f"{track:03d}", first.get(track, 0))
        for column, track in enumerate(ids)
    ]
