"""How well first-frame proposals cover what people outline: mean best IoU over the regions of BSDS500.

    python benchmarks/proposals.py BSDS500/val [--sam sam-tiny] [--grid 32] [--limit 200] [--pictures 100] [--json]

The folder holds <id>.jpg and <id>.npz with `segmentations` (annotators, H, W), each layer one person's partition. Every
region of at least half a percent of the picture counts once; its score is the IoU of the best proposal. Proposals are
those that would start tracks: SAM's automatic masks, without duplicates, at most --limit of them, large ones first.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from engine.generation.births import ProposalBirths
from engine.generation.recipe import Wishes
from engine.masks.boxed import BoxedMask, iou
from engine.models.sam.making import make_prompter
from engine.runtime.allocator import tune_allocator
from engine.runtime.device import resolve_device
from engine.video import read_image

SMALLEST = 0.005


def regions(path: Path) -> list[BoxedMask]:
    """All people's regions of one picture that are large enough."""
    layers = np.load(path)["segmentations"]
    least = SMALLEST * layers[0].size
    masks = (layer == label for layer in layers for label in np.unique(layer))
    return [BoxedMask.of(mask) for mask in masks if mask.sum() >= least]


def spaced(pictures: list[Path], count: int | None) -> list[Path]:
    """Some of them, from the first to near the last."""
    if count is None or count >= len(pictures):
        return pictures
    return [pictures[i * len(pictures) // count] for i in range(count)]


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sam", default="sam-tiny")
    parser.add_argument("--checkpoint", type=Path)
    parser.add_argument("--grid", type=int, default=32)
    parser.add_argument("--limit", type=int, default=200)
    parser.add_argument("--predicted-iou", type=float, help="default: the SAM's own")
    parser.add_argument("--stability", type=float, help="default: the SAM's own")
    parser.add_argument("--box-nms", type=float, help="default: the SAM's own")
    parser.add_argument("--min-region", type=float, help="default: the SAM's own")
    parser.add_argument("--crop-layers", type=int, default=0)
    parser.add_argument("--pictures", type=int, help="only so many, evenly spaced")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tune_allocator()
    made = make_prompter(arguments.sam, arguments.checkpoint, resolve_device(arguments.device), "auto")
    wishes = Wishes(
        grid=arguments.grid,
        predicted_iou=arguments.predicted_iou,
        stability=arguments.stability,
        box_nms=arguments.box_nms,
        crop_layers=arguments.crop_layers,
        least_region=arguments.min_region,
        max_tracks=arguments.limit,
    )
    settings = wishes.settings(made.config)
    best: list[float] = []
    counts: list[int] = []
    begin = time.process_time()
    for picture in spaced(sorted(arguments.folder.glob("*.jpg")), arguments.pictures):
        births = ProposalBirths(made.prompter, settings, picture.stem)
        found = [birth.mask for birth in births(0, read_image(picture), None, {}, 0)]
        counts.append(len(found))
        wanted = regions(picture.with_suffix(".npz"))
        best += [max((iou(mask, region) for mask in found), default=0.0) for region in wanted]
    show(best, counts, time.process_time() - begin, arguments.json)


def show(best: list[float], counts: list[int], seconds: float, as_json: bool) -> None:
    """The result as a line or as JSON."""
    scores = np.array(best)
    result: dict[str, Any] = {
        "pictures": len(counts),
        "regions": len(scores),
        "proposals a picture": float(np.mean(counts)),
        "mean best IoU": float(scores.mean()),
        "recall at 0.5": float((scores >= 0.5).mean()),
        "recall at 0.7": float((scores >= 0.7).mean()),
        "CPU s a picture": seconds / len(counts),
    }
    print(json.dumps(result) if as_json else "  ".join(f"{name} {value:.4g}" for name, value in result.items()))


if __name__ == "__main__":
    main()
