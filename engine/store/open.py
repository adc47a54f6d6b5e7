"""Finding out what holds the masks: a store, a tree of PNGs, a JSON document, lines, a zip of these, standard input.

Looks at names and first bytes only; the format's own module then reads and checks.
"""

import json
import shutil
from codecs import BOM_UTF8
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import FormatError, MugvosError, StoreError
from engine.store import ndjson
from engine.store.formats import base, coco, davis, mugvos, pipeline, result_lists, sa_v, youtube_vis
from engine.store.formats.json_stream import JsonFile, JsonReader
from engine.store.reader import StoreReader, is_hdf5
from engine.store.source import MaskSource
from engine.store.spool import STDIO, spool_input
from engine.store.zipped import UnpackedSource, is_zip, unpack

STORE = "store"
_READERS: dict[str, Callable[..., Any]] = {
    STORE: StoreReader,
    mugvos.NAME: mugvos.MugvosSource,
    davis.NAME: davis.DavisSource,
    coco.NAME: coco.CocoSource,
    youtube_vis.NAME: youtube_vis.YouTubeVisSource,
    sa_v.NAME: sa_v.SaVSource,
    pipeline.NAME: pipeline.PipelineSource,
    ndjson.NAME: ndjson.NdjsonSource,
}
_IN_ONE_FILE = (STORE, coco.NAME, youtube_vis.NAME, sa_v.NAME, ndjson.NAME)
_LOOK_ALIKES = {
    b"\x89PNG": "a PNG image, not a source of tracks",
    b"\xff\xd8\xff": "a JPEG image, not a source of tracks",
    b"\x1aE\xdf\xa3": "a video (Matroska or WebM)",
    b"PK\x03\x04": "a ZIP archive that is cut short",
    b"\x1f\x8b": "a gzip archive",
    b"GIF8": "a GIF",
    b"RIFF": "a video or image (RIFF)",
}
_IMAGES = {".jpg", ".jpeg", ".webp", ".bmp"}
_HEAD = 1 << 16


def open_source(path: str | Path, format: str | None = None) -> MaskSource:
    """The masks of `path`; `.format` of the result says what it was taken for. Close it, or use it in `with`.

    format: one of READABLE to skip the looking. `-` reads a store or NDJSON from standard input; a zip is unpacked into
    a temporary folder. Raises StoreError or FormatError that say what the path looks like.
    """
    if format is not None and format not in _READERS:
        raise FormatError(f"unknown format {format!r}", f"use one of {', '.join(READABLE)}")
    if str(path) == STDIO:
        return _open_spooled(format)
    path = Path(path)
    if not path.exists():
        raise StoreError(f"{path}: no such file or folder", "check the name")
    if is_zip(path):
        return _open_zipped(path, format)
    source: MaskSource = _READERS[format or recognise(path)](path)
    return source


def recognise(path: Path) -> str:
    """The name of the format that a file or folder looks like; FormatError with what else it looks like."""
    return _recognise_folder(path) if path.is_dir() else _recognise_file(path)


def _open_zipped(path: Path, format: str | None) -> MaskSource:
    inner, folder = unpack(path)
    try:
        source = _READERS[format or recognise(inner)](inner)
    except MugvosError as error:
        shutil.rmtree(folder, ignore_errors=True)
        what = error.what.replace(str(inner), str(path)).replace(str(folder), str(path))
        raise type(error)(what, error.hint) from error
    return UnpackedSource(source, inner, folder)


def _open_spooled(format: str | None) -> MaskSource:
    path = spool_input()
    try:
        found = format or recognise(path)
        if found not in _IN_ONE_FILE:
            raise FormatError(f"format {found} cannot come from standard input", "name its folder")
        source: MaskSource = _READERS[found](path, temporary=True)
    except (StoreError, FormatError) as error:
        path.unlink(missing_ok=True)
        raise type(error)(error.what.replace(str(path), "standard input"), error.hint) from error
    return source


def _recognise_file(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD).removeprefix(BOM_UTF8)
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror})", "check its permissions") from error
    if is_hdf5(path):
        return STORE
    if head.lstrip()[:1] in (b"{", b"["):
        return _recognise_json(path, head)
    raise StoreError(f"{path}: is no mask store, it looks like {_describe(head)}", _hint(head))


def _recognise_json(path: Path, head: bytes) -> str:
    first, newline, _ = head.lstrip().partition(b"\n")
    if newline or len(head) < _HEAD:
        try:
            line = json.loads(first)
        except (ValueError, RecursionError):
            line = None
        if isinstance(line, dict) and {"clip", "frame", "track"} <= set(line):
            return ndjson.NAME
    elif b'"clip"' in first[:4096] and b'"track"' in first[:4096]:
        return ndjson.NAME
    return _recognise_document(path)


def _recognise_document(path: Path) -> str:
    with JsonFile(path) as file:
        return _kind_of_masks(file.read()) or _kind_of_lists(file.read(), path)


def _kind_of_masks(reader: JsonReader) -> str:
    """The format by the first mask, "" where that leaves it open; the file is read no further."""
    if reader.kind() == "[":
        return _kind_of_first(reader)
    for key in reader.names():
        if key == "masklet":
            return sa_v.NAME
        if key == "annotations" and reader.kind() == "[":
            return _kind_of_first(reader)
    return ""


def _kind_of_first(reader: JsonReader) -> str:
    return next((result_lists.kind_of(set(reader.names())) for _ in reader.entries() if reader.kind() == "{"), "")


def _kind_of_lists(reader: JsonReader, path: Path) -> str:
    """The format of a document without a mask, by the lists in it."""
    if reader.kind() == "[":
        raise FormatError(
            f"{path}: is a list of masks, which looks like one frame of the reference pipeline",
            "name the folder of the clip instead",
        )
    kinds = {key: reader.kind() for key in reader.names()}
    if kinds.get("annotations") == "[" and "images" in kinds:
        return coco.NAME
    if kinds.get("annotations") == "[" and "videos" in kinds:
        return youtube_vis.NAME
    keys = ", ".join(list(kinds)[:5])
    raise FormatError(f"{path}: is JSON of a kind that is not known (keys: {keys})", "see docs/store.md for what is")


def _recognise_folder(path: Path) -> str:
    root = davis.index_root(mugvos.below_threshold(path))
    folders = base.folders_of(root)
    if _has(root, ".json"):
        return _recognise_json_folder(root)
    if not folders and _has(root, ".png"):
        return davis.NAME
    for folder in folders:
        if _has(pipeline.frame_folder(folder), ".json"):
            return pipeline.NAME
        if _has(folder, ".png"):
            names = [other.name for other in folders]
            return mugvos.NAME if mugvos.are_results(names) or mugvos.are_tracks(names) else davis.NAME
        if any(_has(track, ".png") for track in base.folders_of(folder)):
            return mugvos.NAME
    raise FormatError(f"{path}: holds no masks, it looks like {_describe_folder(root, folders)}", "name a mask store")


def _recognise_json_folder(root: Path) -> str:
    first = next(entry for entry in sorted(root.iterdir()) if entry.suffix.lower() == ".json")
    with JsonFile(first) as file:
        if file.read().kind() == "[":
            return pipeline.NAME
        if file.read().kind() == "{" and _kind_of_masks(file.read()) == sa_v.NAME:
            return sa_v.NAME
    raise FormatError(f"{root}: a folder of JSON files of a kind that is not known ({first.name})", "name one file")


def _has(folder: Path, suffix: str) -> bool:
    return any(entry.suffix.lower() == suffix for entry in base.entries_of(folder)) if folder.is_dir() else False


def _describe(head: bytes) -> str:
    if head[4:8] == b"ftyp":
        return "a video (MP4)"
    if not head:
        return "an empty file"
    known = next((what for magic, what in _LOOK_ALIKES.items() if head.startswith(magic)), None)
    return known or ("text" if b"\0" not in head else "something binary")


def _hint(head: bytes) -> str:
    if head.startswith((b"\x89PNG", b"\xff\xd8\xff")):
        return "name a store or a folder of masks; a single mask is a prompt (--mask)"
    return "name a store written by mugvos, a folder of PNG masks, or a JSON file of masks"


def _describe_folder(root: Path, folders: list[Path]) -> str:
    entries = base.entries_of(root) + [entry for folder in folders[:3] for entry in base.entries_of(folder)]
    if any(entry.suffix.lower() in _IMAGES for entry in entries):
        return "a folder of video frames"
    if any(is_hdf5(entry) for entry in entries if entry.is_file()):
        return "a folder of stores; merge them first or name one"
    return "something else" if entries else "an empty folder"


READABLE = tuple(_READERS)
