"""JSON documents of masks: reading them with clear errors, saving them whole, the keys that several formats share."""

import json
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from engine.errors import FormatError
from engine.store.formats import base
from engine.store.formats.json_stream import JsonReader
from engine.types import MaskRecord, PointPrompt, Track

_IDS = ("id", "video_id", "image_id", "category_id")


def save(path: Path, document: Any, overwrite: bool = False) -> None:
    """Write a JSON document that appears whole."""
    with base.new_file(path, overwrite) as temporary, temporary.open("w", -1, "utf-8", "replace") as stream:
        json.dump(document, stream, ensure_ascii=False, allow_nan=False)


def required(document: Any, key: str, kind: type, where: str) -> Any:
    """document[key], of the given type. Raises FormatError, saying `where`."""
    value = document.get(key) if isinstance(document, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise _missing(key, where)
    return value


def objects(reader: JsonReader, key: str, where: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """The objects of a list that a reader has come to, each with the byte at which it begins.

    Raises FormatError, saying `where` and the list's key, if it is anything else.
    """
    enter_list(reader, key, where)
    for offset in reader.entries():
        value = reader.value()
        if not isinstance(value, dict):
            raise no_object(key, where)
        yield offset, value


def enter_list(reader: JsonReader, key: str, where: str) -> None:
    """Raise FormatError unless a reader has come to a list."""
    if reader.kind() != "[":
        raise _missing(key, where)


def no_object(key: str, where: str) -> FormatError:
    """The error for what is no object in the list under a key."""
    return FormatError(f"{where}: {key!r} holds something else than objects", "the file does not follow its format")


def _missing(key: str, where: str) -> FormatError:
    return FormatError(f"{where}: {key!r} is missing or has another type", "the file does not follow its format")


def complete(found: set[str], wanted: Sequence[str], where: str) -> None:
    """Raise FormatError unless a document has the lists that its format wants."""
    for key in wanted:
        if key not in found:
            raise _missing(key, where)


def few(reader: JsonReader, key: str, where: str, kept: Sequence[str]) -> list[dict[str, Any]]:
    """The objects of a list that may be null, with the keys that are used; the others take too much memory."""
    if reader.kind() == "n":
        reader.value()
        return []
    found = [{name: one[name] for name in kept if name in one} for _, one in objects(reader, key, where)]
    for one in found:
        check_ids(one, f"{where}: {key!r}")
    return found


def check_ids(one: dict[str, Any], where: str) -> None:
    """Raise FormatError unless an object's ids are numbers, text or null."""
    for key in _IDS:
        if isinstance(one.get(key), list | dict):
            raise FormatError(f"{where}: {key!r} is neither a number nor text", "the file does not follow its format")


def whole_number(value: Any) -> int | None:
    """A number of a frame or track as files give it; None for anything else, and for what no clip can have."""
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**62 else None


def number(value: Any) -> float:
    """A score that may be missing: NaN for null and for what is no number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return math.nan
    try:
        return float(value)
    except OverflowError:  # JSON may hold whole numbers of hundreds of digits
        return math.nan


def number_or_none(value: float) -> float | None:
    """A score as JSON has it: null where it is not finite."""
    return value if math.isfinite(value) else None


def scores(record: MaskRecord) -> dict[str, float]:
    """The known scores of a mask under the names that SAM's files use."""
    known = {"score": record.score, "stability_score": record.stability}
    return {key: value for key, value in known.items() if math.isfinite(value)}


def segmentation(record: MaskRecord, height: int, width: int) -> dict[str, Any]:
    """COCO's run-length object; the bytes of the store as they are."""
    return {"size": [height, width], "counts": record.counts.decode("ascii")}


def track_keys(track: Track) -> dict[str, Any]:
    """What formats without a place for it carry of a track as further keys."""
    return {"name": track.name, "parent": track.parent, "level": track.level, "review": track.review}


def track_of_keys(track: int, keys: dict[str, Any], name: str, first_frame: int) -> Track:
    """The track of such keys; files of others have none of them."""
    level, review = whole_number(keys.get("level")), keys.get("review", "")
    return Track(
        id=track,
        name=str(keys.get("name", name)),
        first_frame=first_frame,
        parent=whole_number(keys.get("parent")),
        level=level if level is not None and level < 2**31 else 0,
        review=review if review in ("accepted", "rejected", "mended") else "",
    )


def points_of(value: Any, where: str) -> tuple[PointPrompt, ...]:
    """Foreground points of [[x, y], ...], of one flat [x, y], or of null."""
    if value is None or value == []:
        return ()
    pairs: Sequence[Any] = [value] if isinstance(value, list) and not isinstance(value[0], list) else value
    try:
        points = tuple(PointPrompt(float(x), float(y)) for x, y in pairs)
    except (TypeError, ValueError, OverflowError) as error:
        raise FormatError(f"{where}: point prompts are no pairs of numbers", "the file is damaged") from error
    if not all(math.isfinite(point.x) and math.isfinite(point.y) for point in points):
        raise FormatError(f"{where}: a point prompt lies nowhere", "the file is damaged")
    return points


def points_to_json(points: Iterable[PointPrompt], where: str) -> list[list[float]] | None:
    """[[x, y], ...] of foreground points, null for none. FormatError for background points, which have no place."""
    pairs = []
    for point in points:
        if not point.positive:
            raise FormatError(f"{where}: a background point", "this format holds foreground points only")
        pairs.append([_plain(point.x), _plain(point.y)])
    return pairs or None


def _plain(value: float) -> float:
    return int(value) if value == int(value) else value
