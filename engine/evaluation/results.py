"""Trees of results `<video>_<track>/<frame>.png` whose folder names only the truth can split.

Looked at alone, such a tree is one of label images with a clip for each folder. Knows the names of both sides, and the
reader that takes them.
"""

from collections.abc import Sequence
from functools import partial

from engine.evaluation.plan import INDEX_MAPS
from engine.evaluation.sources import Masks
from engine.store.formats.mugvos import MugvosSource


def split_by_truth(path: str, pred: Masks, truth: Masks) -> "partial[MugvosSource] | None":
    """How to open the predictions at `path` as tracks of the true clips; None if they are not named that way."""
    if pred.format not in INDEX_MAPS or truth.format in INDEX_MAPS or set(pred.clips) & set(truth.clips):
        return None
    names = {clip: [track.name for track in truth.clip(clip).tracks] for clip in truth.clips}
    return partial(MugvosSource, path, names) if _fits(pred.clips, names) else None


def _fits(folders: Sequence[str], names: dict[str, list[str]]) -> bool:
    known = set(folders)
    return any(f"{clip}_{track}" in known for clip, tracks in names.items() for track in tracks)
