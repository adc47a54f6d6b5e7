"""Masks as lines of JSON on standard output (`--ndjson`). Knows the console and the form of a line."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from mugvos_cli import console

if TYPE_CHECKING:
    from engine.types import VideoInfo


def mask_lines(clip: str, info: "VideoInfo", name_of: Callable[[int], str]) -> Any:
    """A callback for jobs that prints a line for every mask of a frame. name_of: a track's name by its id."""
    from engine.store.ndjson import mask_line

    def on_records(frame: int, time: float | None, records: Any) -> None:
        for record in records:
            console.result(mask_line(clip, record, (info.height, info.width), time, name_of(record.track)))

    return on_records
