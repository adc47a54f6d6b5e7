"""NDJSON: one line a mask, for pipes between running stages.

    {"clip": "dog", "frame": 3, "time": 0.125, "track": 1, "name": "ear", "score": 0.9,
     "segmentation": {"size": [480, 854], "counts": "..."}}

Knows lines. Reading back keeps only where each line begins, not the masks.
"""

import json
import math
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from engine.errors import FormatError
from engine.store import spool
from engine.store.formats import base, documents
from engine.store.formats.json_stream import is_text
from engine.store.formats.options import ExportOptions
from engine.store.source import MaskSource
from engine.types import MaskRecord, Track

NAME = "ndjson"


@dataclass(frozen=True)
class Line:
    """One line: a mask, the clip it belongs to, its size, and what is known of its frame and track."""

    clip: str
    height: int
    width: int
    record: MaskRecord
    time: float = math.nan
    name: str = ""


@dataclass
class _Index:
    """Where the masks of one clip are: three numbers a line."""

    height: int
    width: int
    frames: array = field(default_factory=lambda: array("q"))
    tracks: array = field(default_factory=lambda: array("q"))
    offsets: array = field(default_factory=lambda: array("q"))
    names: dict[int, Track] = field(default_factory=dict)
    times: dict[int, float] = field(default_factory=dict)


def mask_line(clip: str, record: MaskRecord, size: tuple[int, int], time: float | None = None, name: str = "") -> str:
    """One mask as a line of JSON, without the line's end. size: height and width; time: seconds, None if unknown."""
    document = {
        "clip": clip,
        "frame": record.frame,
        "time": None if time is None else documents.number_or_none(time),
        "track": record.track,
        "name": name,
        "score": documents.number_or_none(record.score),
        "segmentation": documents.segmentation(record, *size),
    }
    return json.dumps(document)


def of_line(text: bytes, where: str) -> Line:
    """The mask of one line, checked. Raises FormatError, saying `where`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{where}: is no JSON", "one JSON object a line is expected") from error
    if rb"\u" in text and not is_text(document):
        raise FormatError(f"{where}: half a character in a text", "write whole ones: \\ud83d\\ude00, not \\ud83d")
    clip = documents.required(document, "clip", str, where)
    frame, track = (documents.required(document, key, int, where) for key in ("frame", "track"))
    if frame < 0 or track < 0 or max(frame, track) >= 2**62:
        raise FormatError(f"{where}: frame {frame} or track {track} is out of range", "count from 0")
    code = documents.required(document, "segmentation", dict, where)
    size = documents.required(code, "size", list, where)
    height, width = base.check_size(size[0] if size else 0, size[-1] if size else 0, where)
    score = documents.number(document.get("score"))
    record = base.checked_record(frame, track, code, height, width, where, score=score)
    name = str(document.get("name") or track)
    return Line(clip, height, width, record, documents.number(document.get("time")), name)


class NdjsonSource(base.Source):
    """A file of lines (a MaskSource). `temporary`: the file is a spool and is removed on closing."""

    format = NAME

    def __init__(self, path: str | Path, temporary: bool = False) -> None:
        super().__init__(Path(path))
        self._temporary = temporary
        self._clips: dict[str, _Index] = {}
        try:
            self._stream = self.path.open("rb")
        except OSError as error:
            raise FormatError(f"{path}: cannot be read ({error.strerror})", "check the name") from error
        try:
            self._index()
        except BaseException:
            self.close()
            raise

    @property
    def clips(self) -> Sequence[str]:
        """Names of the clips in order of their first line."""
        return list(self._clips)

    def clip(self, name: str) -> "NdjsonClip":
        """One clip."""
        if name not in self._clips:
            raise self.unknown(name, self._clips)
        return NdjsonClip(name, self._clips[name], self._stream, self.path)

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        if self._temporary:
            self.path.unlink(missing_ok=True)

    def _index(self) -> None:
        offset = 0
        for number, text in enumerate(self._stream, 1):
            if not text.endswith(b"\n") and not _is_json(text):
                self.notes.append(f"{self.path}: the last line is cut short, it was left out")
                return
            if text.strip():
                self._add(of_line(text, f"{self.path}, line {number}"), offset)
            offset += len(text)

    def _add(self, line: Line, offset: int) -> None:
        index = self._clips.setdefault(line.clip, _Index(line.height, line.width))
        if (index.height, index.width) != (line.height, line.width):
            raise FormatError(f"{self.path}: masks of two sizes in clip {line.clip!r}", "a clip has one size")
        index.frames.append(line.record.frame)
        index.tracks.append(line.record.track)
        index.offsets.append(offset)
        index.names.setdefault(line.record.track, Track(line.record.track, line.name, line.record.frame))
        index.times[line.record.frame] = line.time


class NdjsonClip(base.KeyedClip):
    """One clip of lines (a ClipMasks). Lines are parsed when asked for."""

    def __init__(self, name: str, index: _Index, stream: BinaryIO, path: Path) -> None:
        self.name, self.height, self.width = name, index.height, index.width
        self._stream, self._path = stream, path
        order = self._arrange(index.frames, index.tracks, f"{path}: clip {name!r}")
        self._offsets = np.asarray(index.offsets)[order]
        self.frames: Sequence[int] = sorted(index.times)
        self.times: Sequence[float] = [index.times[frame] for frame in self.frames]
        self.tracks: Sequence[Track] = [index.names[track] for track in sorted(index.names)]

    def _record(self, at: int) -> MaskRecord:
        self._stream.seek(int(self._offsets[at]))
        return of_line(self._stream.readline(), str(self._path)).record


def write(source: MaskSource, output: Path, options: ExportOptions) -> None:
    """Write every mask as a line; `-` is standard output."""
    if str(output) == spool.STDIO:
        write_lines(source, sys.stdout.buffer, options)
        return
    with base.new_file(output, options.overwrite) as temporary, temporary.open("wb") as stream:
        write_lines(source, stream, options)


def write_lines(source: MaskSource, stream: BinaryIO, options: ExportOptions) -> None:
    """Write every mask as a line into an open stream."""
    for clip in options.chosen(source):
        names = {track.id: track.name for track in clip.tracks}
        times: dict[int, float] = dict(zip(clip.frames, getattr(clip, "times", ()), strict=False))
        for record in clip.records():
            time, size = times.get(record.frame), (clip.height, clip.width)
            stream.write(mask_line(clip.name, record, size, time, names[record.track]).encode() + b"\n")
    stream.flush()


def _is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True
