"""How problems are put into words: always the count and the first few names."""

from collections.abc import Collection, Sequence

from engine.evaluation.plan import Problem

NAMED = 5


def some(items: Sequence[object], noun: str) -> str:
    """`7 frames (3, 4, 5, 6, 7, ...)`."""
    named = ", ".join(str(item) for item in items[:NAMED]) + (", ..." if len(items) > NAMED else "")
    return f"{len(items)} {noun}{'' if len(items) == 1 else 's'} ({named})"


def first_of(notes: Collection[str]) -> list[str]:
    """The first few notes and how many more there are."""
    more = len(notes) - NAMED
    return [*list(notes)[:NAMED], *([f"and {more} more like these"] if more > 0 else [])]


def missing_clips(names: Sequence[str]) -> tuple[Problem, ...]:
    """True clips of which there is no prediction at all."""
    return (Problem(f"{some(names, 'clip')} without prediction", "scored as 0"),) if names else ()


def missing_tracks(clip: str, names: Sequence[str], treatment: str = "scored as 0") -> tuple[Problem, ...]:
    """True tracks of one clip that were not predicted."""
    return (Problem(f"{clip}: {some(names, 'track')} without prediction", treatment),) if names else ()


def missing_frames(clip: str, track: str, frames: Sequence[int]) -> Problem:
    """Judged frames of one track without a prediction."""
    return Problem(f"{clip}/{track}: {some(frames, 'judged frame')} without prediction", "scored as 0")


def too_short(clip: str, tracks: Sequence[str]) -> Problem:
    """Tracks that have no judged frame once the first and last are left out."""
    return Problem(f"{clip}: {some(tracks, 'track')} with no frame between first and last", "left out", missing=False)
