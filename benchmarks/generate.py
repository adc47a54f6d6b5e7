"""The data pipeline against the same pipeline one prompt at a time: same weights, same frames, same draws, one run.

    python benchmarks/generate.py VIDEO [--sam sam-tiny] [--sam sam-vit-b] [--tracks 60] [--frames 2] [--rounds 2]

The image encoder is asked once a frame in both. The plain loop is what the reference does: SAM's predictor is asked
prompt after prompt, every mask is brought to full size and compared there. Both start from the same ellipses, so the
weights may be random ones (--random-weights), and no candidate is dropped as unstable. Prints seconds of this process
(CPU time on a CPU, synchronised wall time on a GPU) for a frame's tracks and for a picture's proposals, and whether all
masks are the same.
"""

import argparse
import time
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from segment_anything import SamAutomaticMaskGenerator, SamPredictor

from engine.flow.dis import DISFlow
from engine.generation.cycle import consistent, warp
from engine.generation.linking import Linker, LinkSettings
from engine.generation.sampling import PointSampler
from engine.masks.boxed import BoxedMask
from engine.models.sam.automatic import ProposalSettings, propose
from engine.models.sam.config import CONFIGS
from engine.models.sam.making import make_prompter, precision_of
from engine.models.sam.prompting import Embedding, Prompter, stability
from engine.runtime.allocator import tune_allocator
from engine.runtime.device import resolve_device
from engine.types import BoolArray, UInt8Array
from engine.video import open_video


def ellipses(count: int, height: int, width: int) -> list[BoxedMask]:
    """Masks of all sizes, always the same: (y, x) centres and axes drawn, two thirds small."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:height, :width]
    found = []
    for _ in range(count):
        cy, cx = rng.uniform(0.1, 0.9, 2) * (height, width)
        ry, rx = rng.uniform(0.03, rng.choice([0.08, 0.08, 0.3]), 2) * height
        found.append(BoxedMask.of(((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1))
    return found


def predictor_of(sam: Any, image: UInt8Array, embedding: Embedding) -> SamPredictor:
    """SAM's predictor as it is after its image encoder ran."""
    predictor = SamPredictor(sam)
    predictor.features = embedding.features
    predictor.original_size, predictor.input_size = image.shape[:2], embedding.geometry.resized
    predictor.is_image_set = True
    return predictor


def plain_frame(
    predictor: Any, image: UInt8Array, carried: list[BoxedMask], inside: BoolArray, sampler: PointSampler, ladder: Any
) -> list[BoolArray]:
    """The masks of one frame, one prompt after the other."""
    height, width = image.shape[:2]
    chosen = []
    for track, mask in enumerate(carried):
        target, best = mask.whole(height, width), None
        for round, demand in enumerate(ladder, 1):
            masks, ious = [], []
            for points in sampler(mask, 1, track, round):
                found, _, low = predictor.predict(points, np.ones(len(points)), multimask_output=True)
                kept = ~np.isnan(stability(torch.from_numpy(low), predictor.model.mask_threshold))
                masks += list(found[kept])
            for candidate in masks:
                counted = candidate & inside
                ious.append((counted & target).sum() / (counted | target).sum())
            if ious and (max(ious) >= demand or round == len(ladder)):
                best = masks[int(np.argmax(ious))]
                break
        chosen.append(np.zeros((height, width), np.bool_) if best is None else best)
    return chosen


def our_frame(
    prompter: Prompter,
    embedding: Embedding,
    carried: list[BoxedMask],
    inside: BoolArray,
    sampler: PointSampler,
    ladder: Any,
) -> list[BoolArray]:
    """The same through the engine."""
    linker = Linker(prompter, LinkSettings(tuple(ladder), stability=-1.0))
    linked = linker.link(embedding, dict(enumerate(carried)), inside, sampler, 1)
    return [found.mask.whole(*embedding.geometry.original) for found in linked.values()]


def timed(device: torch.device, work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds and the result."""
    if device.type != "cuda":
        begin = time.process_time()
        result = work()
        return time.process_time() - begin, result
    torch.cuda.synchronize()
    begin = time.perf_counter()
    result = work()
    torch.cuda.synchronize()
    return time.perf_counter() - begin, result


def measure(name: str, arguments: argparse.Namespace, device: torch.device) -> None:
    """One table for one SAM."""
    checkpoint = None if name in CONFIGS else Path(name)
    made = make_prompter(name, checkpoint, device, random_weights=arguments.random_weights)
    sam = made.prompter.sam
    prompter = Prompter(sam, precision_of(made.config, arguments.precision, device))
    with open_video(arguments.video) as video:
        images = [frame.image for frame in video.frames(0, arguments.frames)]
    ladder, flow = np.linspace(0.9, 0.5, 5)[: arguments.rounds], DISFlow()
    sums, same, encoding = {"plain": 0.0, "ours": 0.0}, 0, 0.0
    masks = ellipses(arguments.tracks, *images[0].shape[:2])
    for before, image in pairwise(images):
        there, back = flow.both(before, image)
        carried, inside = warp(masks, back, consistent(there, back)), consistent(back, there)
        sampler = PointSampler(0, name)
        encoder, embedding = timed(device, lambda: prompter.embed(image))  # noqa: B023
        predictor = predictor_of(sam, image, embedding)
        given = carried, inside, sampler, ladder
        ours = plain = float("inf")
        for _ in range(arguments.repeat):
            seconds, found = timed(device, lambda: our_frame(prompter, embedding, *given))  # noqa: B023
            ours = min(ours, seconds)
            seconds, expected = timed(device, lambda: plain_frame(predictor, image, *given))  # noqa: B023
            plain = min(plain, seconds)
        encoding += encoder
        sums["ours"] += ours + encoder
        sums["plain"] += plain + encoder
        same += sum(np.array_equal(a, b) for a, b in zip(found, expected, strict=True))
    count = (len(images) - 1) * arguments.tracks
    note = f"{encoding / (len(images) - 1):.2f} s of both in the encoder, {same}/{count} masks the same"
    show(f"{name}: a frame, {arguments.tracks} tracks", sums, len(images) - 1, note)
    if arguments.grid:
        proposals(name, prompter, images[0], arguments.grid, device)


def proposals(name: str, prompter: Prompter, image: UInt8Array, grid: int, device: torch.device) -> None:
    """One line: the automatic masks of a picture."""
    settings = ProposalSettings(grid, stability=0.9)
    ours, found = timed(device, lambda: propose(prompter, image, settings))
    generator = SamAutomaticMaskGenerator(
        prompter.sam, points_per_side=grid, stability_score_thresh=0.9, output_mode="uncompressed_rle"
    )
    plain, expected = timed(device, lambda: generator.generate(image))
    result = f"{len(found)} and {len(expected)} proposals"
    show(f"{name}: proposals, {grid**2} points", {"plain": plain, "ours": ours}, 1, result)


def show(what: str, seconds: dict[str, float], frames: int, note: str) -> None:
    """One line."""
    plain, ours = seconds["plain"] / frames, seconds["ours"] / frames
    print(f"{what:40s} plain {plain:8.2f} s  ours {ours:8.2f} s  {plain / ours:5.2f}x  {note}", flush=True)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("video")
    parser.add_argument("--sam", action="append", metavar="NAME|FILE")
    parser.add_argument("--tracks", type=int, default=60)
    parser.add_argument("--frames", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--grid", type=int, default=16, help="0: no proposals")
    parser.add_argument("--repeat", type=int, default=1, help="measure so often in turns; the least counts")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto", help="of ours, as generate has it; the plain loop has fp32")
    parser.add_argument("--random-weights", action="store_true")
    arguments = parser.parse_args()
    tune_allocator()
    for name in arguments.sam or ["sam-tiny"]:
        measure(name, arguments, resolve_device(arguments.device))


if __name__ == "__main__":
    main()
