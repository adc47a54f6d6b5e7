"""A data set the size of MUG-VOS: 77,994 clips, 4.7 million tracks, 47 million masks.

    python benchmarks/scale.py clips [--clips 77994] [--workers 1] [--executor process|ray]
    python benchmarks/scale.py names [--clips 77994]
    python benchmarks/scale.py stores [--clips 78 234 780] [--of 77994]

`clips` runs the scheduler of `mugvos generate` with workers that only write a small store for each clip, real ones, and
joins them: time a clip, memory of the driver, size of the result. `names` merges one small clip under as many names, to
see what the number of clips alone costs. `stores` writes clips of 60 tracks over 10 frames at
480x854 at several sizes, merges, opens, reads and counts them, and fits time = c * clips^p: p near 1 is linear. Memory
is measured in processes that do nothing else. CPU seconds, so that other work on the machine matters less.
"""

import argparse
import multiprocessing
import resource
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from bench_store import HEIGHT, SHAPES, WIDTH, shapes

from engine.generation.batch import Batch
from engine.generation.executors.crew import CrewExecutor
from engine.generation.executors.processes import ProcessCrew, seats_of
from engine.generation.executors.work import Job, Seat
from engine.generation.plan import ClipTask
from engine.generation.quality import QualitySettings
from engine.generation.watch import OnFrame, ShouldStop, Watch
from engine.store import StoreReader, StoreWriter, merge_stores
from engine.types import MaskRecord, Track

TRACKS, FRAMES = 60, 10
SHARDS = 4
READS = 100
PROVENANCE = {"command": "generate", "settings": {f"setting {i}": i for i in range(40)}}


@dataclass(frozen=True)
class StubRecipe:
    """Clips of so many tracks and frames, of shapes that are there already."""

    tracks: int = 2
    frames: int = 2

    def build(self, seat: Seat, on_note: Callable[[str], None]) -> "StubMaker":
        return StubMaker(self, shapes())


@dataclass(frozen=True)
class StubMaker:
    recipe: StubRecipe
    known: list[MaskRecord]

    @property
    def parameters(self) -> Mapping[str, Any]:
        return {"stub": True}

    def make(self, job: Job, on_frame: OnFrame, should_stop: ShouldStop) -> None:
        with StoreWriter(job.store, overwrite=True) as writer:
            add_clip(writer, job.task.name, self.known, self.recipe.tracks, self.recipe.frames)


def add_clip(writer: StoreWriter, name: str, known: list[MaskRecord], tracks: int, frames: int) -> None:
    seed = zlib.crc32(name.encode()) % SHAPES
    records = (
        MaskRecord(frame, track, m.counts, m.area, m.box, 0.9, 0.97)
        for frame in range(frames)
        for track in range(tracks)
        for m in (known[(frame // 7 + track * 13 + seed) % SHAPES],)
    )
    names = [Track(track, str(track)) for track in range(tracks)]
    writer.add_clip(name, WIDTH, HEIGHT, frames, names, records, f"{name}.mp4", 24, PROVENANCE)


def resident() -> float:
    """MB of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 1e6


def cpu(with_children: bool = False) -> float:
    """CPU seconds of this process, and of those it waited for."""
    spent = time.process_time()
    if with_children:
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent += usage.ru_utime + usage.ru_stime
    return spent


def name_of(place: int) -> str:
    return f"video_{place:06d}_bin0"


def crew_of(executor: str, workers: int) -> Any:
    if executor == "ray":
        from engine.generation.executors.actors import RayCrew

        return RayCrew(StubRecipe(), None, workers, "cpu")
    return ProcessCrew(StubRecipe(), seats_of(["cpu"], workers, workers))


class Ticker:
    """A line for every tenth of the clips: CPU milliseconds a clip of the driver since the last one, its memory."""

    def __init__(self, what: str) -> None:
        self._what = what
        self._last = (0, cpu(), time.perf_counter())

    def __call__(self, done: int, total: int) -> None:
        if done * 10 // total == self._last[0] * 10 // total:
            return
        clips = done - self._last[0]
        spent, waited = cpu() - self._last[1], time.perf_counter() - self._last[2]
        print(
            f"{self._what:<8}{done:>8}{spent / clips * 1e3:>10.2f} ms CPU"
            f"{waited / clips * 1e3:>10.2f} ms{resident():>10.0f} MB",
            flush=True,
        )
        self._last = (done, cpu(), time.perf_counter())


def measure_clips(folder: Path, clips: int, workers: int, executor: str) -> None:
    """The whole run, as generate does it."""
    print(f"{clips} clips, {workers} workers ({executor})\n{'':<8}{'clips':>8}   a clip: driver, in all, memory")
    tasks = [ClipTask(name_of(place), f"/videos/{name_of(place)}.mp4") for place in range(clips)]
    output, begin = folder / "tracks.h5", cpu(True)
    watch = Watch(on_done=Ticker("made"), on_joined=Ticker("joined"), on_failure=lambda *told: print(*told))
    with CrewExecutor(crew_of(executor, workers)) as work, Batch(output, dict(work.begin())) as batch:
        planned = batch.tasks(lambda failed: tasks)
        summary = batch.run(planned, work, QualitySettings(), watch)
    everything = cpu(True) - begin
    size = output.stat().st_size
    print(f"{summary.made.clips} clips, {summary.made.masks} masks, {len(summary.failures)} failed")
    print(
        f"{everything / clips * 1e3:.2f} ms CPU a clip, workers included; "
        f"{size / 1e6:.1f} MB, {size / clips:.0f} bytes a clip"
    )


def measure_names(folder: Path, clips: int) -> None:
    """What the number of clips costs: merging, opening, a clip by name, all names."""
    print(f"{clips} clips\n{'':<8}{'clips':>8}   a clip: CPU, in all, memory")
    with StoreWriter(folder / "one.h5") as writer:
        add_clip(writer, "one", shapes(), 2, 2)
    ticker = Ticker("merged")
    with StoreWriter(folder / "all.h5") as writer, StoreReader(folder / "one.h5") as one:
        group = one.group("one")
        for place in range(clips):
            writer.copy_clip(name_of(place * 7919 % clips), group)  # as many shards come: in no order
            ticker(place + 1, clips)
    for what, function in {"open, one clip": open_any, "names of all clips": list_names}.items():
        seconds, memory = in_process(function, folder, clips)
        print(f"{what:<22}{seconds * 1e3:>10.1f} ms CPU{memory:>8.0f} MB")
    size = (folder / "all.h5").stat().st_size
    print(f"{size / 1e6:.1f} MB, {size / clips:.0f} bytes a clip ({(folder / 'one.h5').stat().st_size} for one alone)")


def open_any(folder: Path, clips: int) -> float:
    """A store opened, and one clip by its name."""
    begin = cpu()
    with StoreReader(folder / "all.h5") as store:
        store.clip(name_of(clips // 2))
    return cpu() - begin


def in_process(function: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    """What a function gives in a process of its own, and the most memory (MB) that this one held."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        found: tuple[Any, float] = pool.apply(_measured, (function, *args))
    return found


def _measured(function: Callable[..., Any], *args: Any) -> tuple[Any, float]:
    return function(*args), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def write_shards(folder: Path, clips: int) -> float:
    known, begin = shapes(), cpu()
    for shard in range(SHARDS):
        with StoreWriter(folder / f"part-{shard}.h5", overwrite=True) as writer:
            for place in range(shard, clips, SHARDS):
                add_clip(writer, name_of(place), known, TRACKS, FRAMES)
    return cpu() - begin


def merge(folder: Path) -> float:
    begin = cpu()
    merge_stores([folder / f"part-{shard}.h5" for shard in range(SHARDS)], folder / "all.h5", overwrite=True)
    return cpu() - begin


def list_names(folder: Path, clips: int) -> float:
    begin = cpu()
    with StoreReader(folder / "all.h5") as store:
        assert len(store.clips) == clips
    return cpu() - begin


def read_random(folder: Path, clips: int) -> float:
    """A mask of a clip at random, as training reads them; seconds each."""
    rng = np.random.default_rng(0)
    with StoreReader(folder / "all.h5") as store:
        begin = cpu()
        for place in rng.integers(clips, size=READS).tolist():
            store.clip(name_of(place)).mask(place % FRAMES, place % TRACKS)
        return (cpu() - begin) / READS


def info(folder: Path) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    program = "from mugvos_cli.main import run; run()"
    subprocess.run(
        [sys.executable, "-c", program, "info", "-q", "--json", str(folder / "all.h5")],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


STEPS: dict[str, tuple[Callable[..., float], bool]] = {
    "write": (write_shards, True),
    "merge": (merge, False),
    "open, one clip": (open_any, True),
    "names of all clips": (list_names, True),
    "one mask at random": (read_random, True),
    "info (statistics)": (info, False),
}


def measure_stores(folder: Path, sizes: list[int], of: int) -> None:
    """Every step at every size."""
    print(f"clips of {TRACKS} tracks x {FRAMES} frames; {SHARDS} shards; seconds of CPU (most memory, MB)")
    print(f"{'':<22}" + "".join(f"{clips:>18}" for clips in sizes))
    found: dict[str, list[tuple[float, float]]] = {step: [] for step in STEPS}
    bytes_of: list[int] = []
    for clips in sizes:
        for step, (function, told) in STEPS.items():
            found[step].append(in_process(function, folder, *([clips] if told else [])))
            print(f"{clips:>8} clips: {step:<20}{found[step][-1][0]:>10.4f} s", file=sys.stderr, flush=True)
        bytes_of.append((folder / "all.h5").stat().st_size)
    for step, values in found.items():
        cells = "".join(f"{seconds:>10.4f} ({memory:>4.0f})" for seconds, memory in values)
        print(f"{step:<22}{cells}   {fit(sizes, [seconds for seconds, _ in values], of)}")
    sized = "".join(f"{size / 1e6:>15.2f} MB" for size in bytes_of)
    print(f"{'size':<22}{sized}   {fit(sizes, [float(size) for size in bytes_of], of, 1e-9, 'GB')}")


def fit(sizes: list[int], values: list[float], of: int, scale: float = 1.0, unit: str = "s") -> str:
    """The exponent of the curve, and where a straight line through the last two points leads."""
    power = float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-9)), 1)[0])
    slope = (values[-1] - values[-2]) / (sizes[-1] - sizes[-2])
    return f"~ clips^{power:.2f}; {of} clips: {(values[-1] + slope * (of - sizes[-1])) * scale:.3g} {unit}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    clips = kinds.add_parser("clips")
    clips.add_argument("--clips", type=int, default=77994)
    clips.add_argument("--workers", type=int, default=1)
    clips.add_argument("--executor", choices=("process", "ray"), default="process")
    names = kinds.add_parser("names")
    names.add_argument("--clips", type=int, default=77994)
    stores = kinds.add_parser("stores")
    stores.add_argument("--clips", type=int, nargs="+", default=[78, 234, 780])
    stores.add_argument("--of", type=int, default=77994)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if asked.kind == "clips":
            measure_clips(Path(folder), asked.clips, asked.workers, asked.executor)
        elif asked.kind == "names":
            measure_names(Path(folder), asked.clips)
        else:
            measure_stores(Path(folder), asked.clips, asked.of)


if __name__ == "__main__":
    main()
