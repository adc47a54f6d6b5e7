"""Whether generated tracks hold the objects that people annotated: for each object the best track's J over its video.

    mugvos generate DAVIS_ROOT/JPEGImages/480p -o tracks.h5
    python benchmarks/tracks.py tracks.h5 DAVIS_ROOT/Annotations/480p [--json]

J is the IoU of a frame's masks, mean over all frames that are annotated; where a track has no mask it is empty. The
best track is chosen afterwards with the annotation, so this is what a perfect choice among the tracks would reach.
"""

import argparse
import json
from typing import Any

import numpy as np

from engine.masks.boxed import BoxedMask, iou
from engine.store import open_source
from engine.store.source import ClipMasks


def best_tracks(tracks: ClipMasks, truth: ClipMasks) -> list[dict[str, Any]]:
    """For each object of one clip: its best track and that track's J, the best J with another track every frame, and
    the best IoU on the first frame, before anything was carried on."""
    frames = list(truth.frames)
    sums: dict[int, dict[int, list[float]]] = {target.id: {} for target in truth.tracks}
    for place, frame in enumerate(frames):
        found = {r.track: mask for r in tracks.records(frame) if r.area and (mask := _boxed(tracks, frame, r.track))}
        for target, scores in sums.items():
            real = _boxed(truth, frame, target)
            if real is None:
                continue
            for track, mask in found.items():
                scores.setdefault(track, [0.0] * len(frames))[place] = iou(mask, real)
    rows = []
    for target, scores in sums.items():
        means = {track: float(np.mean(values)) for track, values in scores.items()}
        best = max(means, key=lambda track: means[track], default=None)
        ceiling = float(np.mean(np.max(list(scores.values()), axis=0))) if scores else 0.0
        begin = max((values[0] for values in scores.values()), default=0.0)
        row = {"clip": truth.name, "object": target, "track": best, "J": means[best] if best is not None else 0.0}
        rows.append({**row, "J of the best mask a frame": ceiling, "IoU of the best mask of the first frame": begin})
    return rows


def _boxed(clip: ClipMasks, frame: int, track: int) -> BoxedMask | None:
    mask = clip.mask(frame, track)
    return None if mask is None else BoxedMask.of(mask)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tracks")
    parser.add_argument("truth")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with open_source(arguments.tracks) as tracks, open_source(arguments.truth) as truth:
        shared = [name for name in truth.clips if name in tracks.clips]
        rows = [row for name in shared for row in best_tracks(tracks.clip(name), truth.clip(name))]
    if arguments.json:
        print(json.dumps(rows, indent=1))
        return
    for row in rows:
        print(
            f"{row['clip']:14s} object {row['object']:3d}  track {row['track']}  J {100 * row['J']:5.1f}"
            f"  best mask a frame {100 * row['J of the best mask a frame']:5.1f}"
            f"  of the first frame {100 * row['IoU of the best mask of the first frame']:5.1f}"
        )


if __name__ == "__main__":
    main()
