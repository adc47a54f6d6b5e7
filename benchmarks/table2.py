"""Every method on the same clips, in one table: J, F, J&F, frames a second, peak memory (the paper's Table 2).

    python benchmarks/table2.py DAVIS_ROOT [--method NAME ...] [--clip NAME ...] [--frames N] [--weights NAME=FILE ...]
                                [--sam NAME|FILE] [--device cuda] [--seeded [NAME ...]] [--output FOLDER] [--json FILE]

DAVIS_ROOT holds JPEGImages/480p/<clip>/*.jpg and Annotations/480p/<clip>/*.png; first-frame masks are given, scores
are those of `mugvos evaluate --protocol davis`. Methods are all that `mugvos propagate --model` knows, each with the
weights on this machine. --seeded runs those without any on seeded random ones too, all or the named ones, and says so:
their scores mean nothing, their speed and memory do.

Each method has a process of its own for each clip, so that peak memory is its own: of the process on a CPU, of tensors
on a GPU. Loading and the first frame are not timed. What a process makes stays in FOLDER, masks as
<method>/<clip>.h5 and costs as <method>/<clip>.json; the same command goes on where it was stopped and runs again what
was made from other weights or other frames. Changed code is not noticed: delete the folder.
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

Row = dict[str, Any]


class Method(NamedTuple):
    """A row. grid: of sam-iou."""

    label: str
    model: str
    grid: int = 32

    @property
    def folder(self) -> str:
        """Where its results are kept."""
        return self.label.replace(", ", "-").replace(" ", "")


def all_methods() -> list[Method]:
    """The paper's baselines, then everything else that propagates."""
    around_sam = [Method(f"sam-iou, grid {grid}", "sam-iou", grid) for grid in (32, 64)]
    around_sam += [Method(model, model) for model in SAM_MODELS if model != "sam-iou"]
    learned = [Method(name, name) for system in SYSTEMS for name in system.names]
    return [*(Method(name, name) for name in FLOW_MODELS), *around_sam, *learned]


class Weights(NamedTuple):
    """What a method runs on. model: for make_tracker, None for random weights; label: in few words, with a digest."""

    model: str | None
    label: str


def weights_of(method: Method, given: dict[str, str], sam: str) -> Weights:
    """The weights at hand; seeded ones where there are none."""
    if method.model in FLOW_MODELS:
        return Weights(method.model, "none")
    name = sam if method.model in SAM_MODELS else given.get(method.model, method.model)
    try:
        path = find_weights(name)
    except CheckpointError:
        return Weights(None, "seeded: its masks mean nothing")
    kind = "bundled" if name in CATALOGUE and CATALOGUE[name].bundled else "published"
    called = f"{kind} {name}" if name in CATALOGUE else path.name
    return Weights(method.model if method.model in SAM_MODELS else name, f"{called} ({file_digest(path)[:8]})")


def wanted(arguments: argparse.Namespace) -> list[tuple[Method, Weights]]:
    """The methods of this table; what is left out is said."""
    given = dict(text.split("=", 1) for text in arguments.weights)
    chosen = []
    for method in all_methods():
        if arguments.method and not {method.label, method.model} & set(arguments.method):
            continue
        weights = weights_of(method, given, arguments.sam)
        seeded = arguments.seeded is not None and (not arguments.seeded or method.model in arguments.seeded)
        if weights.model is None and not seeded:
            print(f"{method.label}: no weights on this machine, left out (--seeded)", file=sys.stderr)
        else:
            chosen.append((method, weights))
    return chosen


def cut(root: Path, clips: list[str] | None, frames: int | None, folder: Path) -> list[str]:
    """A data set of links to the first frames of some clips; their names."""
    for kind in ("JPEGImages", "Annotations"):
        for clip in sorted((root / kind / "480p").iterdir()):
            if clips is None or clip.name in clips:
                there = folder / kind / "480p" / clip.name
                there.mkdir(parents=True)
                for file in sorted(clip.iterdir())[:frames]:
                    (there / file.name).symlink_to(file.resolve())
    return sorted(path.name for path in (folder / "JPEGImages" / "480p").iterdir())


class Timer:
    """Time between frames, the first left out."""

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


def run(method: Method, weights: Weights, arguments: argparse.Namespace, root: Path, clip: str, store: Path) -> Row:
    """One method on one clip, in this process: its masks at `store`; what it cost."""
    tune_allocator()
    device = resolve_device(arguments.device)
    tracker = make_tracker(
        weights.model or method.model,
        device,
        resolve_precision("auto", device, on_cpu=method.model not in (*FLOW_MODELS, *SAM_MODELS)),
        MMPMOptions(),
        weights.model is None,
        SAMOptions(sam=arguments.sam, grid=method.grid),
    ).tracker
    timer = Timer()
    first = min((root / "Annotations" / "480p" / clip).glob("*.png"))
    with open_video(root / "JPEGImages" / "480p" / clip) as reader:
        prompts = read_prompts(parse_mask_prompt(f"1={first}"), (reader.info.height, reader.info.width))
        write_store(Job(reader, prompts, tracker, clip), store, True, on_frame=timer.on_frame)
    cost = {"frames": timer.frames, "wall_s": timer.wall, "cpu_s": timer.cpu, "peak_bytes": peak_memory(device)}
    return {**cost, "machine": machine()}


def peak_memory(device: torch.device) -> int:
    """Bytes: of tensors on a GPU, of this process on a CPU."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def made(method: Method, weights: Weights, arguments: argparse.Namespace, root: Path, clip: str) -> Row | None:
    """What one method cost on one clip: as kept from earlier, else from a process of its own; None if it failed."""
    kept = arguments.output / method.folder / f"{clip}.json"
    files = sorted((root / "JPEGImages" / "480p" / clip).iterdir())
    settings = {"weights": weights.label, "frames": [file.name for file in files], "device": arguments.device}
    if kept.exists() and (known := json.loads(kept.read_text()))["settings"] == settings:
        return dict(known["cost"])
    kept.parent.mkdir(parents=True, exist_ok=True)
    print(f"{method.label} on {clip} ...", file=sys.stderr)
    command = [sys.executable, __file__, *sys.argv[1:], "--row", method.label, clip, str(root)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        print(f"{method.label} on {clip}: failed, see above", file=sys.stderr)
        return None
    cost: Row = json.loads(done.stdout.splitlines()[-1])
    kept.write_text(json.dumps({"settings": settings, "cost": cost}, indent=1))
    return cost


def row(method: Method, weights: Weights, arguments: argparse.Namespace, root: Path, clips: list[str]) -> Row | None:
    """A line of the table, or None where some clip failed."""
    costs = [made(method, weights, arguments, root, clip) for clip in clips]
    if None in costs:
        return None
    known = [cost for cost in costs if cost is not None]
    truth = open_source(root / "Annotations" / "480p", "davis")
    with tempfile.TemporaryDirectory() as folder:
        merge_stores([arguments.output / method.folder / f"{clip}.h5" for clip in clips], Path(folder) / "all.h5")
        mean = evaluate(open_source(Path(folder) / "all.h5"), truth, "davis").as_dict()["mean"]
    frames, wall = sum(cost["frames"] for cost in known), sum(cost["wall_s"] for cost in known)
    return {
        "method": method.label,
        "weights": weights.label,
        **{name: mean[name] for name in ("J", "F", "J&F")},
        "frames_per_s": frames / wall if wall else 0.0,
        "cpu_s_per_frame": sum(cost["cpu_s"] for cost in known) / max(frames, 1),
        "peak_bytes": max(cost["peak_bytes"] for cost in known),
    }


def table(rows: list[Row], clips: list[str], frames: int) -> str:
    """Markdown."""
    lines = [
        f"{len(clips)} clips ({', '.join(clips)}), {frames} frames; {machine()}",
        "",
        "| method | weights | J | F | J&F | frames/s | CPU s a frame | peak memory |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for line in rows:
        scores = " | ".join(f"{100 * line[name]:.1f}" for name in ("J", "F", "J&F"))
        cost = f"{line['frames_per_s']:.2f} | {line['cpu_s_per_frame']:.2f} | {line['peak_bytes'] / 1e6:.0f} MB"
        lines.append(f"| {line['method']} | {line['weights']} | {scores} | {cost} |")
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
    parser.add_argument("--seeded", nargs="*", metavar="NAME")
    parser.add_argument("--output", type=Path, default=Path("table2"), metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--row", nargs=3, help=argparse.SUPPRESS)  # one method on one clip, in this process
    return parser.parse_args()


def main() -> None:
    """Run what is missing, one method after another, and print the table."""
    arguments = parsed()
    if arguments.row:
        label, clip, root = arguments.row
        method, weights = next(pair for pair in wanted(arguments) if pair[0].label == label)
        store = arguments.output / method.folder / f"{clip}.h5"
        print(json.dumps(run(method, weights, arguments, Path(root), clip, store)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        clips = cut(arguments.root, arguments.clip, arguments.frames, Path(folder))
        for method, weights in wanted(arguments):
            line = row(method, weights, arguments, Path(folder), clips)
            if line is not None:
                rows.append(line)
                print(f"{method.label}: J&F {100 * line['J&F']:.1f}", file=sys.stderr)
        frames = len(list((Path(folder) / "JPEGImages" / "480p").glob("*/*")))
    print(table(rows, clips, frames))
    if arguments.json:
        arguments.json.write_text(json.dumps({"machine": machine(), "clips": clips, "rows": rows}, indent=1))


if __name__ == "__main__":
    main()
