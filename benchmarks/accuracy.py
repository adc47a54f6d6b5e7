"""J, F and speed of models on a data set in DAVIS layout, first-frame mask given, same frames for all.

    python benchmarks/accuracy.py DAVIS_ROOT [--model mmpm-tiny --model dis] [--set interval=5 ...] [--precision auto]

DAVIS_ROOT holds JPEGImages/480p/<video>/*.jpg and Annotations/480p/<video>/*.png. Scores are those of
`mugvos evaluate --protocol davis` (first and last frame left out). CPU seconds are those of this process, decoding and
run-length coding included.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path
from typing import Any

from engine.evaluation import evaluate
from engine.propagation.factory import make_tracker
from engine.propagation.job import Job, write_store
from engine.propagation.options import MMPMOptions
from engine.propagation.prompts import parse_mask_prompt, read_prompts
from engine.runtime import resolve_device, resolve_precision, tune_allocator
from engine.store import merge_stores, open_source
from engine.video import open_video


def run_model(model: str, root: Path, options: MMPMOptions, precision: str, folder: Path) -> dict[str, Any]:
    """Propagate every video and score the lot."""
    annotations = root / "Annotations" / "480p"
    device = resolve_device()
    made = make_tracker(model, device, resolve_precision(precision, device, on_cpu=True), options)
    stores, frames = [], 0
    cpu, wall = time.process_time(), time.perf_counter()
    for video in sorted((root / "JPEGImages" / "480p").iterdir()):
        first = min((annotations / video.name).glob("*.png"))
        with open_video(video) as reader:
            prompts = read_prompts(parse_mask_prompt(f"1={first}"), (reader.info.height, reader.info.width))
            stores.append(folder / f"{video.name}.h5")
            frames += write_store(Job(reader, prompts, made.tracker, video.name, options.exclusive), stores[-1]).frames
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    merge_stores(stores, folder / "all.h5")
    report = evaluate(open_source(folder / "all.h5"), open_source(annotations, "davis"), "davis").as_dict()
    speed = {"frames": frames, "CPU s a frame": cpu / frames, "frames/s": frames / wall}
    return {"model": model, "options": vars(options), **report, "speed": speed}


def show(result: dict[str, Any]) -> None:
    """One table a model."""
    print(f"\n{result['model']}: {result['speed']['CPU s a frame']:.3f} CPU s a frame")
    for clip in [*result["clips"], {"name": "mean", "mean": result["mean"]}]:
        scores = "  ".join(f"{name} {100 * clip['mean'][name]:5.1f}" for name in ("J&F", "J", "F"))
        print(f"  {clip['name']:12s} {scores}")


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--model", action="append")
    parser.add_argument("--set", action="append", default=[], metavar="OPTION=VALUE", help="an option of MMPMOptions")
    parser.add_argument("--precision", default="auto", help="as in mugvos propagate")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    tune_allocator()
    chosen = {name: int(value) for name, value in (text.split("=") for text in arguments.set)}
    results = []
    for model in arguments.model or ["mmpm-tiny", "dis"]:
        with tempfile.TemporaryDirectory() as folder:
            results.append(run_model(model, arguments.root, MMPMOptions(**chosen), arguments.precision, Path(folder)))
        if not arguments.json:
            show(results[-1])
    if arguments.json:
        print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
