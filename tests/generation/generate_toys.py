"""Small inputs for whole runs of `mugvos generate`: a SAM in a file, folders of frames, and what a store holds."""

from pathlib import Path
from typing import Any

from pipeline_golden import frames
from sam_golden import CONFIG, golden_sam
from small_videos import write_frames

from engine.store import StoreReader
from engine.weights import save_weights

QUICK = ("--grid", 3, "--predicted-iou", 0.4, "--stability", 0.8, "--max-tracks", 4, "--prompts", 2, "--segment", 1)


def write_sam(path: Path) -> Path:
    """The golden SAM as a checkpoint."""
    save_weights(path, golden_sam().state_dict(), {"model": "sam", "config": CONFIG.as_dict()})
    return path


def write_videos(folder: Path, names: str = "ab") -> Path:
    """Folders of four frames, each its own order of the recorded ones."""
    for place, name in enumerate(names):
        order = frames() if place % 2 == 0 else frames()[::-1]
        write_frames(folder / name, order)
    return folder


def contents(path: Path) -> dict[str, Any]:
    """All that a store says, but for when and from where it was made."""
    found: dict[str, Any] = {}
    with StoreReader(path) as store:
        for name in store.clips:
            clip = store.clip(name)
            records = [repr(record) for record in clip.records()]
            found[name] = (list(clip.frames), list(clip.tracks), records, clip.frame_count, clip.complete)
    return found
