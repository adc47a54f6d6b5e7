"""The rows of benchmarks/evaluate.py: ours, a plain implementation of J and F, calls of the public tools.

    python benchmarks/evaluate_rows.py ours|plain|vos_benchmark|davis2017 PREDICTED TRUTH

Trees of label images with one object, or stores for ours. Prints {"mean": {"J": .., "F": ..}, "cpu": seconds}: scores
in [0, 1], and the CPU time of reading and scoring without the start of the interpreter. One process each. The plain
implementation decodes with Pillow, draws boundary maps on whole frames and dilates them tap by tap.
"""

import json
import shutil
import sys
import tempfile
import time
from importlib import import_module
from math import ceil, sqrt
from pathlib import Path

import numpy as np
from PIL import Image

from engine.evaluation import evaluate
from engine.store import open_source

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


def plain(predicted: Path, truth: Path) -> Scores:
    """Mean over clips of the means over frames, first and last frame left out."""
    means = []
    for clip in sorted(truth.iterdir()):
        scores = []
        for file in sorted(clip.glob("*.png"))[1:-1]:
            P, G = (np.asarray(Image.open(root / file.relative_to(truth))) > 0 for root in (predicted, truth))
            scores.append((plain_region(P, G), plain_boundary(P, G)))
        means.append(np.mean(scores, axis=0))
    J, F = np.mean(means, axis=0)
    return float(J), float(F)


def ours(predicted: Path, truth: Path) -> Scores:
    with open_source(predicted) as found, open_source(truth) as wanted:
        mean = evaluate(found, wanted, "davis").mean
    return mean.J, mean.F


def vos_benchmark(predicted: Path, truth: Path) -> Scores:
    from vos_benchmark.benchmark import VideoEvaluator

    judge = VideoEvaluator(str(truth), str(predicted))
    found = [judge(clip.name)[1:] for clip in sorted(truth.iterdir())]
    J, F = (np.mean([value for of_clip in found for value in of_clip[at].values()]) / 100 for at in (0, 1))
    return float(J), float(F)


def davis2017(predicted: Path, truth: Path) -> Scores:
    """The tool wants the folders of the data set."""
    from davis2017.evaluation import DAVISEvaluation

    with tempfile.TemporaryDirectory() as folder:
        root, names = Path(folder), sorted(clip.name for clip in truth.iterdir())
        (root / "ImageSets" / "2017").mkdir(parents=True)
        (root / "ImageSets" / "2017" / "val.txt").write_text("\n".join(names))
        (root / "Annotations").mkdir()
        (root / "Annotations" / "480p").symlink_to(truth.resolve())
        for name in names:
            (root / "JPEGImages" / "480p" / name).mkdir(parents=True)
            for file in sorted((truth / name).glob("*.png")):
                shutil.copy(file, root / "JPEGImages" / "480p" / name / f"{file.stem}.jpg")
        found = DAVISEvaluation(str(root), "semi-supervised", "val").evaluate(str(predicted))
    return float(np.mean(found["J"]["M"])), float(np.mean(found["F"]["M"]))


TOOLS = {"ours": ours, "plain": plain, "vos_benchmark": vos_benchmark, "davis2017": davis2017}


def main() -> None:
    name, predicted, truth = sys.argv[1:]
    if name in ("vos_benchmark", "davis2017"):
        import_module(f"{name}.{'benchmark' if name == 'vos_benchmark' else 'evaluation'}")
    begin = time.process_time()
    J, F = TOOLS[name](Path(predicted), Path(truth))
    print(json.dumps({"mean": {"J": J, "F": F}, "cpu": time.process_time() - begin}))


if __name__ == "__main__":
    main()
