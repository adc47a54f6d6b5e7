"""How well a SAM answers single prompts, on pictures with human regions it was not trained on.

    python benchmarks/prompts.py bsds500/val [--weights sam-tiny] [--every N] [--closer] [--json]

For every region of at least 0.5 % of a picture (`<id>.npz` beside `<id>.jpg`, array `segmentations`): one point at its
middle (the pixel furthest from its border), best IoU of three masks and IoU of the mask the model itself ranks first;
and its bounding box, IoU of the single mask. The network runs in segment-anything's own predictor. --closer: the boxes
once more, as `mugvos propagate --box` answers them: small ones are looked at in a crop too.
"""

import argparse
import json
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch
from segment_anything import SamPredictor

from engine.models.sam.asking import Asker, Question
from engine.models.sam.closer import look_closer
from engine.models.sam.loading import load_sam
from engine.models.sam.prompting import Prompter
from engine.runtime.allocator import tune_allocator
from engine.video import read_image
from engine.weights.find import find_weights

SMALLEST = 0.005
CHUNK = 16


def regions(path: Path) -> Iterator[np.ndarray]:
    """Every region (H, W) of every partition, each once."""
    seen = set()
    with np.load(path) as archive:
        for partition in archive["segmentations"]:
            for label in np.unique(partition):
                mask = partition == label
                key = np.packbits(mask).tobytes()
                if label and mask.mean() >= SMALLEST and key not in seen:
                    seen.add(key)
                    yield mask


def middle(mask: np.ndarray) -> tuple[int, int]:
    """(x, y) of the pixel furthest from the region's border; the picture's edge counts as border."""
    depth = cv2.distanceTransform(np.pad(mask.astype(np.uint8), 1), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)[1:-1, 1:-1]
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return int(x), int(y)


def box(mask: np.ndarray) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1, corners inclusive."""
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    return x, y, x + w - 1, y + h - 1


def iou(found: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """found bool (N, n, H, W), truth bool (N, H, W) -> (N, n)."""
    both = (found & truth[:, None]).sum((2, 3))
    return both / (found | truth[:, None]).sum((2, 3)).clamp(min=1)


def judge(predictor: SamPredictor, image: np.ndarray, masks: list[np.ndarray]) -> list[tuple[float, float, float]]:
    """(best of three, ranked first, box) of every region of one picture."""
    predictor.set_image(image)
    scores: list[tuple[float, float, float]] = []
    for start in range(0, len(masks), CHUNK):
        chunk = masks[start : start + CHUNK]
        truth = torch.from_numpy(np.stack(chunk))
        points = torch.tensor([middle(mask) for mask in chunk], dtype=torch.float)[:, None]
        points = predictor.transform.apply_coords_torch(points, image.shape[:2])
        found, quality, _ = predictor.predict_torch(points, torch.ones(len(chunk), 1), multimask_output=True)
        each = iou(found, truth)
        first = each.gather(1, quality.argmax(1, keepdim=True))[:, 0]
        boxes = predictor.transform.apply_boxes_torch(torch.tensor([box(mask) for mask in chunk]), image.shape[:2])
        found, _, _ = predictor.predict_torch(None, None, boxes=boxes, multimask_output=False)
        boxed = iou(found, truth)[:, 0]
        scores += zip(each.amax(1).tolist(), first.tolist(), boxed.tolist(), strict=True)
    return scores


def judge_closer(asker: Asker, image: np.ndarray, masks: list[np.ndarray]) -> list[float]:
    """IoU of the single mask of every region's box, small ones looked at twice."""
    seen = asker.prompter.embed(image)
    scores = []
    for mask in masks:
        question = Question(boxes=np.array([box(mask)], np.float64))
        whole = seen.upsampler.full(asker.ask(seen, question).logits[0, 0])
        found = look_closer(asker, image, question, whole) > asker.prompter.threshold
        scores.append(iou(found[None, None].cpu(), torch.from_numpy(mask)[None]).item())
    return scores


@torch.inference_mode()
def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--weights", default="sam-tiny")
    parser.add_argument("--every", type=int, default=1, help="only every so-many-th picture")
    parser.add_argument("--closer", action="store_true", help="small boxes in a crop as well")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tune_allocator()
    network, config = load_sam(find_weights(arguments.weights))
    predictor = SamPredictor(network)
    asker = Asker(Prompter(network)) if arguments.closer else None
    closer: list[float] = []
    scores: list[tuple[float, float, float]] = []
    cpu, pictures = time.process_time(), 0
    for path in sorted(arguments.folder.glob("*.npz"))[:: arguments.every]:
        image, masks = read_image(path.with_suffix(".jpg")), list(regions(path))
        scores += judge(predictor, image, masks)
        closer += [] if asker is None else judge_closer(asker, image, masks)
        pictures += 1
    table = np.array(scores)
    result = {
        "model": config.name,
        "pictures": pictures,
        "regions": len(table),
        "point, best of 3": float(table[:, 0].mean()),
        "point, ranked first": float(table[:, 1].mean()),
        "box": float(table[:, 2].mean()),
        "CPU s a region": (time.process_time() - cpu) / len(table),
    }
    if closer:
        result["box, closer"] = float(np.mean(closer))
    print(json.dumps(result) if arguments.json else "\n".join(f"{k:22s} {v}" for k, v in result.items()))


if __name__ == "__main__":
    main()
