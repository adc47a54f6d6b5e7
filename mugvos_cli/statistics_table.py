"""The statistics of a data set for people: what `mugvos info` and `mugvos evaluate --statistics` print."""

from typing import Any

from mugvos_cli import console

_COLUMNS = ("density", "masks", "mask tracks", "masks a frame", "annotated frames")


def print_statistics(total: dict[str, Any]) -> None:
    """The columns of the paper's Table 1 for a whole data set; `total` as `Counts.as_dict` gives it."""
    console.table(_COLUMNS, [_row(total)])


def print_clip_statistics(clips: list[dict[str, Any]]) -> None:
    """One line a clip."""
    console.table(("clip", *_COLUMNS), [(clip["name"], *_row(clip)) for clip in clips])


def _row(counts: dict[str, Any]) -> tuple[object, ...]:
    return (
        f"{counts['density']:.3f}",
        counts["masks"],
        counts["mask_tracks"],
        f"{counts['masks_per_frame']:.1f}",
        counts["annotated_frames"],
    )
