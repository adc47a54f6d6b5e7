"""Every method on the same clips, in one table: J, F, J&F, frames a second, peak memory (the paper's Table 2).

    python benchmarks/table2.py DAVIS_ROOT [--method NAME ...] [--clip NAME ...] [--frames N] [--weights NAME=FILE ...]
                                [--sam NAME|FILE] [--device cuda] [--seeded] [--json FILE]

DAVIS_ROOT holds JPEGImages/480p/<clip>/*.jpg and Annotations/480p/<clip>/*.png; first-frame masks are given, scores
are those of `mugvos evaluate --protocol davis`. Methods are all that `mugvos propagate --model` knows, each with the
weights on this machine. --seeded runs those without any on seeded random ones too and says so: their scores mean
nothing, their speed and memory do. Each method has a process of its own, so that peak memory is its own: of the
process on a CPU, of tensors on a GPU. Loading and the first frame are not timed.
"""

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from engine.errors import CheckpointError
from engine.evaluation import evaluate
from engine.propagation.factory import FLOW_MODELS, SYSTEMS, make_tracker
from engine.propagation.job import Job, write_store
from engine.propagation.options import MMPMOptions
from engine.propagation.prompts import parse_mask_prompt, read_prompts
from engine.propagation.sam_options import SAM_MODELS, SAMOptions
from engine.runtime import resolve_device, resolve_precision, tune_allocator
from engine.store import merge_stores, open_source
from engine.video import open_video
from engine.weights import CATALOGUE, find_weights
from engine.weights.digest import file_digest


class Method(NamedTuple):
    """A row. grid: of sam-iou."""

    label: str
    model: str
    grid: int = 32


def all_methods() -> list[Method]:
    """The paper's baselines, then everything else that propagates."""
    around_sam = [Method(f"sam-iou, grid {grid}", "sam-iou", grid) for grid in (32, 64)]
    around_sam += [Method(model, model) for model in SAM_MODELS if model != "sam-iou"]
    learned = [Method(name, name) for system in SYSTEMS for name in system.names]
    return [*(Method(name, name) for name in FLOW_MODELS), *around_sam, *learned]


def weights_of(method: Method, given: dict[str, str], sam: str) -> str | None:
    """What make_tracker is given instead of the name, None where there are no weights at hand."""
    if method.model in FLOW_MODELS:
        return method.model
    wanted = sam if method.model in SAM_MODELS else given.get(method.model, method.model)
    try:
        find_weights(wanted)
    except CheckpointError:
        return None
    return method.model if method.model in SAM_MODELS else wanted


def cut(root: Path, clips: list[str] | None, frames: int | None, folder: Path) -> None:
    """A data set of links to the first frames of some clips."""
    for kind in ("JPEGImages", "Annotations"):
        for clip in sorted((root / kind / "480p").iterdir()):
            if clips is None or clip.name in clips:
                there = folder / kind / "480p" / clip.name
                there.mkdir(parents=True)
                for file in sorted(clip.iterdir())[:frames]:
                    (there / file.name).symlink_to(file.resolve())


def run(method: Method, model: str | None, arguments: argparse.Namespace, root: Path) -> dict[str, Any]:
    """One method on all clips. model: None for random weights."""
    tune_allocator()
    device = resolve_device(arguments.device)
    trained = model is not None
    made = make_tracker(
        model or method.model,
        device,
        resolve_precision("auto", device, on_cpu=method.model not in (*FLOW_MODELS, *SAM_MODELS)),
        MMPMOptions(),
        not trained,
        SAMOptions(sam=arguments.sam, grid=method.grid),
    )
    timer = Timer()
    with tempfile.TemporaryDirectory() as folder:
        stores = list(propagated(made.tracker, root, Path(folder), timer))
        merge_stores(stores, Path(folder) / "all.h5")
        truth = open_source(root / "Annotations" / "480p", "davis")
        mean = evaluate(open_source(Path(folder) / "all.h5"), truth, "davis").as_dict()["mean"]
    return {
        "method": method.label,
        "weights": label_of(method, made.weights, arguments.sam) if trained else "seeded",
        **{name: mean[name] for name in ("J", "F", "J&F")},
        "frames_per_s": timer.frames / timer.wall if timer.wall else 0.0,
        "cpu_s_per_frame": timer.cpu / max(timer.frames, 1),
        "peak_bytes": peak_memory(device),
    }


class Timer:
    """Time between frames, the first of each clip left out."""

    def __init__(self) -> None:
        self.frames, self.wall, self.cpu = 0, 0.0, 0.0
        self._last = (0.0, 0.0)

    def on_frame(self, index: int) -> None:
        """A frame is done."""
        now = time.perf_counter(), time.process_time()
        if index > 0:
            self.frames += 1
            self.wall += now[0] - self._last[0]
            self.cpu += now[1] - self._last[1]
        self._last = now


def propagated(tracker: Any, root: Path, folder: Path, timer: Timer) -> Iterator[Path]:
    """A store for each clip."""
    for clip in sorted((root / "JPEGImages" / "480p").iterdir()):
        first = min((root / "Annotations" / "480p" / clip.name).glob("*.png"))
        with open_video(clip) as reader:
            prompts = read_prompts(parse_mask_prompt(f"1={first}"), (reader.info.height, reader.info.width))
            write_store(Job(reader, prompts, tracker, clip.name), folder / f"{clip.name}.h5", on_frame=timer.on_frame)
        yield folder / f"{clip.name}.h5"


def label_of(method: Method, path: Path | None, sam: str) -> str:
    """Which weights these are, in a few words."""
    if path is None:
        return "none"
    name = sam if method.model in SAM_MODELS else method.model
    kind = (
        "bundled" if name in CATALOGUE and CATALOGUE[name].bundled else "published" if name in CATALOGUE else path.name
    )
    return f"{kind} {name} ({file_digest(path)[:8]})"


def peak_memory(device: torch.device) -> int:
    """Bytes: of tensors on a GPU, of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def table(rows: list[dict[str, Any]], clips: list[str], frames: int) -> str:
    """Markdown."""
    lines = [
        f"{len(clips)} clips ({', '.join(clips)}), {frames} frames; {machine()}",
        "",
        "| method | weights | J | F | J&F | frames/s | CPU s a frame | peak memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        scores = " | ".join(f"{100 * row[name]:.1f}" for name in ("J", "F", "J&F"))
        cost = f"{row['frames_per_s']:.2f} | {row['cpu_s_per_frame']:.2f} | {row['peak_bytes'] / 1e6:.0f} MB"
        lines.append(f"| {row['method']} | {row['weights']} | {scores} | {cost} |")
    return "\n".join(lines)


def machine() -> str:
    """What this ran on."""
    gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{platform.machine()}, {cores} cores, {torch.get_num_threads()} threads, torch {torch.__version__}{gpu}"


def parsed() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--method", action="append", help="a label or model of the table; may be repeated")
    parser.add_argument("--clip", action="append")
    parser.add_argument("--frames", type=int)
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE")
    parser.add_argument("--sam", default="sam-tiny")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--seeded", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--row", help=argparse.SUPPRESS)  # one method, in this process
    return parser.parse_args()


def measured(method: Method, root: Path) -> dict[str, Any] | None:
    """A row from a process of its own, or None where it failed, which is said."""
    command = [sys.executable, __file__, *sys.argv[1:], "--row", method.label]
    done = subprocess.run(command, env={**os.environ, "MUGVOS_TABLE2": str(root)}, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"{method.label}: failed, see above", file=sys.stderr)
        return None
    row: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return row


def main() -> None:
    """Run the methods one after another and print the table."""
    arguments = parsed()
    given = dict(text.split("=", 1) for text in arguments.weights)
    methods = all_methods()
    if arguments.row:
        method = next(method for method in methods if method.label == arguments.row)
        model = weights_of(method, given, arguments.sam)
        print(json.dumps(run(method, model, arguments, Path(os.environ["MUGVOS_TABLE2"]))))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        cut(arguments.root, arguments.clip, arguments.frames, Path(folder))
        for method in methods:
            if arguments.method and not {method.label, method.model} & set(arguments.method):
                continue
            if weights_of(method, given, arguments.sam) is None and not arguments.seeded:
                print(f"{method.label}: no weights on this machine, left out (--seeded)", file=sys.stderr)
                continue
            row = measured(method, Path(folder))
            if row is not None:
                rows.append(row)
                print(f"{method.label}: J&F {100 * row['J&F']:.1f}", file=sys.stderr)
        clips = sorted(path.name for path in (Path(folder) / "JPEGImages" / "480p").iterdir())
        frames = len(list((Path(folder) / "JPEGImages" / "480p").glob("*/*")))
    print(table(rows, clips, frames))
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "clips": clips, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
