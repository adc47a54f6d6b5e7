"""What a mask pair costs to score: ours against a plain implementation of the same definitions.

    python benchmarks/bench_evaluate.py [--frames 40] [--tracks 4] [--height 480] [--width 854]

Drawn tracks, written as PNG trees and as stores. CPU seconds of one process; both sides must give the same scores. The
plain implementation decodes PNGs with Pillow, draws boundary maps on the whole frame and dilates them tap by tap.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from PIL import Image

from engine.evaluation import evaluate
from engine.evaluation.metrics import score_masks
from engine.masks import rle
from engine.store import StoreWriter, open_source
from engine.types import Track

Scores = tuple[float, float]


def plain_region(P: np.ndarray, G: np.ndarray) -> float:
    union = np.count_nonzero(P | G)
    return np.count_nonzero(P & G) / union if union else 1.0


def plain_edges(mask: np.ndarray) -> np.ndarray:
    wide = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    return (mask != wide[:-1, 1:]) | (mask != wide[1:, :-1]) | (mask != wide[1:, 1:])


def plain_dilation(B: np.ndarray, r: int) -> np.ndarray:
    H, W = B.shape
    wide = np.pad(B, r)
    grown = np.zeros_like(B)
    for dy in range(-r, r + 1):
        for dx in range(-r, r + 1):
            if dx * dx + dy * dy <= r * r:
                grown |= wide[r + dy : r + dy + H, r + dx : r + dx + W]
    return grown


def plain_boundary(P: np.ndarray, G: np.ndarray) -> float:
    r = ceil(0.008 * sqrt(P.shape[0] ** 2 + P.shape[1] ** 2))
    p, g = plain_edges(P), plain_edges(G)
    n_p, n_g = int(p.sum()), int(g.sum())
    if n_p == 0 or n_g == 0:
        return float(n_p == n_g)
    precision = int((p & plain_dilation(g, r)).sum()) / n_p
    recall = int((g & plain_dilation(p, r)).sum()) / n_g
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def plain_trees(predicted: Path, truth: Path) -> Scores:
    """Mean J and F over tracks of two trees clip/track/frame.png, first and last frame left out."""
    means = []
    for track in sorted(truth.glob("*/*")):
        scores = []
        for file in sorted(track.glob("*.png"))[1:-1]:
            P, G = (np.asarray(Image.open(root / file.relative_to(truth))) > 0 for root in (predicted, truth))
            scores.append((plain_region(P, G), plain_boundary(P, G)))
        means.append(np.mean(scores, axis=0))
    J, F = np.mean(means, axis=0)
    return float(J), float(F)


def drawn(height: int, width: int, track: int, frame: int, wrong: bool) -> np.ndarray:
    """A lobed shape with a hole that moves; `wrong` shifts and swells it."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y -= height * (0.35 + 0.1 * track % 0.5) + (5 if wrong else 0)
    x -= width * (0.3 + 0.12 * track % 0.5) + 2.5 * frame
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    rim = height * (0.12 + 0.04 * (track % 4)) * (1 + 0.15 * np.cos((5 + wrong) * angle + 0.1 * frame))
    return (radius < rim) & (radius > rim * 0.25)


def write_data(root: Path, height: int, width: int, tracks: int, frames: int) -> None:
    """The same masks as a tree and as a store, predicted and true."""
    for side, wrong in (("predicted", True), ("truth", False)):
        masks = {(f, k): drawn(height, width, k, f, wrong) for f in range(frames) for k in range(tracks)}
        for (f, k), mask in masks.items():
            file = root / side / "clip" / f"track_{k:03d}" / f"{f:03d}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(mask.astype(np.uint8) * 255).save(file)
        named = [Track(k, f"track_{k:03d}") for k in range(tracks)]
        records = (rle.record(f, k, mask) for (f, k), mask in masks.items())
        with StoreWriter(root / f"{side}.h5") as store:
            store.add_clip("clip", width, height, frames, named, records)


def cpu(work: Callable[[], Scores]) -> tuple[float, Scores]:
    begin = time.process_time()
    scores = work()
    return time.process_time() - begin, scores


def ours(predicted: Path, truth: Path) -> Scores:
    mean = evaluate(open_source(str(predicted)), open_source(str(truth)), "mug").mean
    return mean.J, mean.F


def in_memory(root: Path, measure: Callable[[np.ndarray, np.ndarray], object], at_once: int) -> Callable[[], Scores]:
    """Masks already decoded: the cost of J and F alone."""
    sides = [list(decoded(root / side)) for side in ("predicted", "truth")]
    groups = [[np.stack(side[i : i + at_once]) for side in sides] for i in range(0, len(sides[0]), at_once)]

    def work() -> Scores:
        for P, G in groups:
            measure(P, G)
        return (0.0, 0.0)

    return work


def decoded(root: Path) -> Iterator[np.ndarray]:
    for track in sorted(root.glob("*/*")):
        for file in sorted(track.glob("*.png"))[1:-1]:
            yield np.asarray(Image.open(file)) > 0


def plain_pair(P: np.ndarray, G: np.ndarray) -> Scores:
    return plain_region(P[0], G[0]), plain_boundary(P[0], G[0])


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    for name, default in (("height", 480), ("width", 854), ("tracks", 4), ("frames", 40)):
        options.add_argument(f"--{name}", type=int, default=default)
    given = options.parse_args()
    pairs = given.tracks * (given.frames - 2)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_data(root, given.height, given.width, given.tracks, given.frames)
        rows = [
            ("plain, PNG trees", cpu(lambda: plain_trees(root / "predicted", root / "truth"))),
            ("ours, PNG trees", cpu(lambda: ours(root / "predicted", root / "truth"))),
            ("ours, stores", cpu(lambda: ours(root / "predicted.h5", root / "truth.h5"))),
        ]
        alone = [
            ("plain, masks in memory", cpu(in_memory(root, plain_pair, 1))),
            ("ours, masks in memory", cpu(in_memory(root, score_masks, 8))),
        ]
    for _, (_, scores) in rows[1:]:
        assert np.allclose(scores, rows[0][1][1], rtol=0, atol=1e-12), "the two implementations disagree"
    print(f"{pairs} mask pairs at {given.width}x{given.height}, J {rows[0][1][1][0]:.4f}, F {rows[0][1][1][1]:.4f}")
    for group in (rows, alone):
        for name, (seconds, _) in group:
            ratio = group[0][1][0] / seconds
            print(f"{name:<24}{seconds:8.2f} CPU s{1000 * seconds / pairs:8.2f} ms a pair{ratio:8.1f} x")


if __name__ == "__main__":
    main()
