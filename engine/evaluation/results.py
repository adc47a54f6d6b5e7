"""Predictions that only the truth can explain: folders named `<video>_<track>`, lists without videos, annotators.

Looked at alone, a tree of `<video>_<track>/<frame>.png` is one of label images with a clip for each folder, a list of
YouTube-VIS results has numbers for videos, and `anno_0/<video>` are results for four sets of sentences. Knows the names
of both sides, and the readers that take them.
"""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from engine.evaluation.plan import INDEX_MAPS
from engine.evaluation.protocols.summaries import ANNOTATOR
from engine.evaluation.sources import Masks
from engine.store import open_source
from engine.store.formats.coco import CocoSource
from engine.store.formats.mugvos import MugvosSource
from engine.store.formats.youtube_vis import YouTubeVisSource
from engine.store.source import ClipMasks, MaskSource

_LISTS: dict[str, Callable[..., MaskSource]] = {"youtube-vis": YouTubeVisSource, "coco": CocoSource}


def split_by_truth(path: str, pred: Masks, truth: Masks) -> "partial[MugvosSource] | None":
    """How to open the predictions at `path` as tracks of the true clips; None if they are not named that way."""
    if pred.format not in INDEX_MAPS or truth.format in INDEX_MAPS or set(pred.clips) & set(truth.clips):
        return None
    names = {clip: [track.name for track in truth.clip(clip).tracks] for clip in truth.clips}
    return partial(MugvosSource, path, names) if _fits(pred.clips, names) else None


def listed_by_truth(path: str, pred: Masks, truth: Masks) -> "partial[MaskSource] | None":
    """How to open a list of results with the videos of the truth; None for other predictions or another truth."""
    if not getattr(pred, "anonymous", False) or pred.format != truth.format or not hasattr(truth, "listed"):
        return None
    return partial(_LISTS[pred.format], path, truth.listed)


def annotator_folders(path: str | Path) -> list[str]:
    """The folders `anno_<n>` of results on Referring DAVIS, by name."""
    root = Path(path)
    return sorted(entry.name for entry in root.glob(f"{ANNOTATOR}*") if entry.is_dir()) if root.is_dir() else []


class PerAnnotator:
    """Clips named `<annotator>/<clip>`: of one source a folder, or of one source for all of them."""

    def __init__(self, sources: dict[str, MaskSource]) -> None:
        self._sources = sources

    @property
    def format(self) -> str:
        return next(iter(self._sources.values())).format

    @property
    def clips(self) -> Sequence[str]:
        return [f"{name}/{clip}" for name, source in self._sources.items() for clip in source.clips]

    @property
    def notes(self) -> list[str]:
        """Remarks of all sources."""
        return [note for source in self._sources.values() for note in getattr(source, "notes", [])]

    def clip(self, name: str) -> ClipMasks:
        annotator, _, clip = name.partition("/")
        return self._sources[annotator].clip(clip)

    def close(self) -> None:
        """Close all sources."""
        for source in self._sources.values():
            source.close()


def open_annotators(path: str, names: Sequence[str], format: str | None) -> PerAnnotator:
    """The results of each annotator."""
    return PerAnnotator({name: open_source(Path(path) / name, format) for name in names})


def repeat_truth(path: str, names: Sequence[str], format: str | None) -> PerAnnotator:
    """One truth for the results of every annotator."""
    truth = open_source(path, format)
    return PerAnnotator(dict.fromkeys(names, truth))


def _fits(folders: Sequence[str], names: dict[str, list[str]]) -> bool:
    known = set(folders)
    return any(f"{clip}_{track}" in known for clip, tracks in names.items() for track in tracks)
