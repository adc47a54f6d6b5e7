"""What a mask pair costs to score: ours, a plain implementation of the same definitions, and the public tools if there.

    python benchmarks/evaluate.py [--frames 40] [--clips 4] [--height 480] [--width 854] [--rounds 3]
    python benchmarks/evaluate.py --memory 2000        # peak memory of one clip of that many frames
    python benchmarks/evaluate.py --processes          # wall time of one and of two processes; needs idle cores

One object a clip, as label images and as stores. Every row runs in one process of its own, and the rows take turns; CPU
seconds are given of the whole process and of reading and scoring alone. All rows must give the same scores. The public
tools are taken if they can be imported: vos-benchmark (`vos_benchmark`), davis2017-evaluation (`davis2017`).
"""

import argparse
import importlib.util
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from engine.masks import rle
from engine.store import StoreWriter
from engine.types import Track

HERE = Path(__file__).parent
PALETTE = [0, 0, 0, 128, 0, 0] + [0] * 762


def drawn(height: int, width: int, clip: int, frame: int, wrong: bool) -> np.ndarray:
    """A lobed shape with a hole that moves; `wrong` shifts and swells it."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    y -= height * (0.35 + 0.1 * clip % 0.5) + (5 if wrong else 0)
    x -= width * (0.3 + 0.12 * clip % 0.5) + 2.5 * (frame % 60)
    radius, angle = np.hypot(x, y), np.arctan2(y, x)
    rim = height * (0.12 + 0.04 * (clip % 4)) * (1 + 0.15 * np.cos((5 + wrong) * angle + 0.1 * frame))
    return (radius < rim) & (radius > rim * 0.25)


def write_data(root: Path, height: int, width: int, clips: int, frames: int, trees: bool = True) -> None:
    """Predictions and truth, as `<root>/<side>/<clip>/<frame>.png` with palette and as `<side>.h5`."""
    for side, wrong in (("predicted", True), ("truth", False)):
        with StoreWriter(root / f"{side}.h5") as store:
            for clip in range(clips):
                records = []
                for frame in range(frames):
                    mask = drawn(height, width, clip, frame, wrong)
                    records.append(rle.record(frame, 1, mask))
                    if trees:
                        save(mask, root / side / f"clip{clip:02d}" / f"{frame:05d}.png")
                store.add_clip(f"clip{clip:02d}", width, height, frames, [Track(1, "1")], records)


def save(mask: np.ndarray, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(mask.astype(np.uint8))
    image.putpalette(PALETTE)
    image.save(file)


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
    """Peak resident memory of the whole process, in MiB."""
    for name, sides in (("label images", ("predicted", "truth")), ("stores", ("predicted.h5", "truth.h5"))):
        command = mugvos(*(root / side for side in sides))
        script = (
            "import resource, subprocess, sys; subprocess.run(sys.argv[1:], check=True, stdout=subprocess.DEVNULL); "
            "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024)"
        )
        done = subprocess.run([sys.executable, "-c", script, *command], capture_output=True, text=True, check=True)
        print(f"{name:<24}{int(done.stdout):6d} MiB peak")


def measure_processes(root: Path) -> None:
    """Wall seconds of one and two processes on the same trees."""
    spent = {}
    for jobs in (1, 2, 1, 2):
        begin = time.perf_counter()
        subprocess.run(mugvos(root / "predicted", root / "truth", jobs), capture_output=True, check=True)
        spent.setdefault(jobs, []).append(time.perf_counter() - begin)
    one, two = min(spent[1]), min(spent[2])
    print(f"one process {one:.2f} s, two processes {two:.2f} s: {one / two:.2f} x")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, default in (("height", 480), ("width", 854), ("clips", 4), ("frames", 40), ("rounds", 3), ("memory", 0)):
        options.add_argument(f"--{name}", type=int, default=default)
    options.add_argument("--processes", action="store_true")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        clips, frames = (1, given.memory) if given.memory else (given.clips, given.frames)
        write_data(root, given.height, given.width, clips, frames)
        if given.memory:
            measure_memory(root)
        elif given.processes:
            measure_processes(root)
        else:
            measure_ratios(root, clips * (frames - 2), given.rounds)


if __name__ == "__main__":
    main()
