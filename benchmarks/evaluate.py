"""What a mask pair costs to score: ours, a plain implementation of the same definitions, and the public tools if there.

    python benchmarks/evaluate.py [--frames 40] [--clips 4] [--height 480] [--width 854] [--rounds 3]
    python benchmarks/evaluate.py --memory 2000 [--tracks 1]    # peak memory of one clip of that many frames
    python benchmarks/evaluate.py --processes [--tracks 3]      # wall time of one and two processes; needs idle cores

Without --memory and --processes: one object a clip, as label images and as stores. Every row runs in one process of its
own, and the rows take turns; CPU seconds are given of the whole process and of reading and scoring alone. All rows must
give the same scores. The public tools are taken if they can be imported: vos-benchmark (`vos_benchmark`),
davis2017-evaluation (`davis2017`). --memory measures every kind of input, --processes 60 clips of 68 frames.
"""

import argparse
import importlib.util
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np

from engine.masks import rle
from engine.store import StoreWriter, export
from engine.types import MaskRecord, Track

HERE = Path(__file__).parent
SIDES = ("predicted", "truth")
SHAPES, PERIOD = 8, 60
KINDS = {
    "davis": "",
    "mugvos": "-tracks",
    "coco": ".coco.json",
    "youtube-vis": ".json",
    "sa-v": ".sav.json",
    "zip": ".zip",
}


def drawn(height: int, width: int, shape: int, frame: int, wrong: bool) -> np.ndarray:
    """A lobed shape with a hole that moves; `wrong` shifts and swells it."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y -= height * (0.35 + 0.1 * shape % 0.5) + (5 if wrong else 0)
    x -= width * (0.3 + 0.12 * shape % 0.5) + 2.5 * frame
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    rim = height * (0.12 + 0.04 * (shape % 4)) * (1 + 0.15 * np.cos((5 + wrong) * angle + 0.1 * frame))
    return (radius < rim) & (radius > rim * 0.25)


@cache
def drawn_record(height: int, width: int, shape: int, frame: int, wrong: bool) -> MaskRecord:
    return rle.record(0, 0, drawn(height, width, shape, frame, wrong))


def write_stores(root: Path, height: int, width: int, clips: int, frames: int, tracks: int) -> None:
    """Predictions and truth as `<root>/<side>.h5`."""
    for side, wrong in (("predicted", True), ("truth", False)):
        with StoreWriter(root / f"{side}.h5") as store:
            for clip in range(clips):
                records = (
                    replace(
                        drawn_record(height, width, (clip + track) % SHAPES, frame % PERIOD, wrong),
                        frame=frame,
                        track=track,
                    )
                    for frame in range(frames)
                    for track in range(1, tracks + 1)
                )
                named = [Track(track, str(track)) for track in range(1, tracks + 1)]
                store.add_clip(f"clip{clip:02d}", width, height, frames, named, records)


def write_label_images(root: Path) -> None:
    """The stores as `<root>/<side>/<clip>/<frame>.png` with palette."""
    for side in SIDES:
        export(root / f"{side}.h5", root / side, "davis", flatten=True)


def mugvos(predicted: Path, truth: Path, jobs: int = 1) -> list[str]:
    command = ["evaluate", str(predicted), "--gt", str(truth), "--protocol", "davis", "--jobs", str(jobs)]
    return [sys.executable, "-m", "mugvos_cli.main", *command, "--json", "-q"]


def rows(root: Path) -> dict[str, list[str]]:
    """Name -> command that prints a JSON document with `mean` (J and F in [0, 1]) and `cpu` (seconds)."""
    trees, stores = (str(root / "predicted"), str(root / "truth")), (str(root / "predicted.h5"), str(root / "truth.h5"))
    found = {
        "plain": ["plain", *trees],
        **{name: [name, *trees] for name in ("vos_benchmark", "davis2017") if importlib.util.find_spec(name)},
        "ours, label images": ["ours", *trees],
        "ours, stores": ["ours", *stores],
    }
    return {name: [sys.executable, str(HERE / "evaluate_rows.py"), *arguments] for name, arguments in found.items()}


def cpu_seconds(command: Sequence[str]) -> tuple[float, float, dict[str, float]]:
    """CPU seconds of a whole command, of its reading and scoring alone, and the means it found."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    document = json.loads(done.stdout[done.stdout.index("{") :])
    whole = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    return whole, document["cpu"], document["mean"]


def measure_ratios(root: Path, pairs: int, rounds: int) -> None:
    """The best of some rounds; factors are those of reading and scoring alone."""
    commands, best, means = rows(root), {}, {}
    for _ in range(rounds):
        for name, command in commands.items():
            whole, alone, means[name] = cpu_seconds(command)
            known = best.get(name, (whole, alone))
            best[name] = (min(known[0], whole), min(known[1], alone))
    wanted = means["plain"]
    for name, mean in means.items():
        assert all(abs(mean[key] - wanted[key]) < 1e-9 for key in ("J", "F")), f"{name} disagrees: {mean}, {wanted}"
    print(f"{pairs} judged mask pairs, J {wanted['J']:.6f}, F {wanted['F']:.6f} in every row; best of {rounds}")
    others = [name for name in best if not name.startswith("ours")]
    print(f"{'':<20}{'whole CPU s':>12}{'scoring':>10}{'ms a pair':>11}" + "".join(f"{'x ' + n:>16}" for n in others))
    for name, (whole, alone) in best.items():
        factors = "".join(f"{best[other][1] / alone:16.1f}" for other in others)
        print(f"{name:<20}{whole:12.2f}{alone:10.2f}{1000 * alone / pairs:11.2f}{factors}")


def measure_memory(root: Path) -> None:
    """Peak resident memory of the whole process, in MiB, for every kind of input."""
    for kind in ("store", *KINDS):
        sides = [root / f"{side}.h5" if kind == "store" else exported(root, side, kind) for side in SIDES]
        command = mugvos(*sides)
        script = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
        )
        done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
        print(f"{kind:<24}{int(done.stdout):6d} MiB peak", flush=True)
        remove(*sides)


def exported(root: Path, side: str, kind: str) -> Path:
    """One side in another format; `zip`: label images in an archive."""
    output = root / f"{side}{KINDS[kind]}"
    if kind == "zip":
        folder = root / f"{side}-zipped"
        export(root / f"{side}.h5", folder, "davis", flatten=True)
        shutil.make_archive(str(output.with_suffix("")), "zip", folder)
        remove(folder)
    else:
        export(root / f"{side}.h5", output, kind, **({"flatten": True} if kind == "davis" else {}))
    return output


def remove(*paths: Path) -> None:
    for path in paths:
        if path.is_dir():
            shutil.rmtree(path)
        elif path.suffix != ".h5":
            path.unlink()


def measure_processes(root: Path) -> None:
    """Wall and CPU seconds of one and of two processes on the same stores and label images."""
    for name, suffix in (("stores", ".h5"), ("label images", "")):
        spent: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
        printed = set()
        predicted, truth = (root / f"{side}{suffix}" for side in SIDES)
        for jobs in (1, 2, 1, 2, 1, 2):
            begin, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
            done = subprocess.run(mugvos(predicted, truth, jobs), capture_output=True, check=True)
            wall, after = time.perf_counter() - begin, resource.getrusage(resource.RUSAGE_CHILDREN)
            spent[jobs].append((wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime))
            printed.add(done.stdout)
        assert len(printed) == 1, "two processes give another report than one"
        (one, cpu_one), (two, cpu_two) = min(spent[1]), min(spent[2])
        cpu = f"CPU seconds in all {cpu_one:.2f} and {cpu_two:.2f}"
        print(f"{name}: one process {one:.2f} s, two processes {two:.2f} s: {one / two:.2f} x; {cpu}", flush=True)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("height", 480), ("width", 854), ("rounds", 3), ("memory", 0)):
        options.add_argument(f"--{name}", type=int, default=default)
    for name in ("clips", "frames", "tracks"):
        options.add_argument(f"--{name}", type=int)
    options.add_argument("--processes", action="store_true")
    given = options.parse_args()
    usual = (1, given.memory, 1) if given.memory else (60, 68, 3) if given.processes else (4, 40, 1)
    clips, frames, tracks = (a or b for a, b in zip((given.clips, given.frames, given.tracks), usual, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_stores(root, given.height, given.width, clips, frames, tracks)
        if given.memory:
            measure_memory(root)
            return
        write_label_images(root)
        if given.processes:
            measure_processes(root)
        else:
            measure_ratios(root, clips * (frames - 2), given.rounds)


if __name__ == "__main__":
    main()
