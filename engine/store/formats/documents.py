"""JSON documents of masks: loading with one clear error, saving whole, and the keys that several formats share."""

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from engine.errors import FormatError
from engine.store.formats import base
from engine.types import MaskRecord, PointPrompt, Track


def load(path: Path) -> Any:
    """A JSON document. Raises FormatError if the file is missing or is no JSON."""
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise FormatError(f"{path}: cannot be read ({error.strerror})", "check the name") from error
    except (ValueError, RecursionError) as error:
        raise FormatError(f"{path}: is no JSON ({error})", "the file may be cut short; write it again") from error


def save(path: Path, document: Any, overwrite: bool = False) -> None:
    """Write a JSON document that appears whole."""
    with base.new_file(path, overwrite) as temporary, temporary.open("w", encoding="utf-8") as stream:
        json.dump(document, stream, ensure_ascii=False, allow_nan=False)


def required(document: Any, key: str, kind: type, where: str) -> Any:
    """document[key], of the given type. Raises FormatError, saying `where`."""
    value = document.get(key) if isinstance(document, dict) else None
    if not isinstance(value, kind) or isinstance(value, bool):
        raise FormatError(f"{where}: {key!r} is missing or has another type", "the file does not follow its format")
    return value


def entries(document: Any, key: str, where: str) -> list[dict[str, Any]]:
    """A list of objects under a key; FormatError if it is anything else."""
    found = required(document, key, list, where)
    if not all(isinstance(entry, dict) for entry in found):
        raise FormatError(f"{where}: {key!r} holds something else than objects", "the file does not follow its format")
    return found


def number(value: Any) -> float:
    """A score that may be missing: NaN for null and for what is no number."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan


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
    parent, review = keys.get("parent"), keys.get("review", "")
    return Track(
        id=track,
        name=str(keys.get("name", name)),
        first_frame=first_frame,
        parent=parent if isinstance(parent, int) else None,
        level=keys["level"] if isinstance(keys.get("level"), int) else 0,
        review=review if review in ("accepted", "rejected", "mended") else "",
    )


def points_of(value: Any, where: str) -> tuple[PointPrompt, ...]:
    """Foreground points of [[x, y], ...], of one flat [x, y], or of null."""
    if value is None or value == []:
        return ()
    pairs: Sequence[Any] = [value] if isinstance(value, list) and not isinstance(value[0], list) else value
    try:
        return tuple(PointPrompt(float(x), float(y)) for x, y in pairs)
    except (TypeError, ValueError) as error:
        raise FormatError(f"{where}: point prompts are no pairs of numbers", "the file is damaged") from error


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
