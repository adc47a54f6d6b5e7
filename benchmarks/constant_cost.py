"""What a frame costs late in a long video: CPU milliseconds and memory at frames 100, 1,000 and 5,000.

    python benchmarks/constant_cost.py mavos bmvos
    python benchmarks/constant_cost.py mmpm-tiny --at 100 1000 10000 --size 54 96

A tracker goes through a drawn video, its state is kept at each of these frames, and then trackers that go on from each
take turns, a frame each, so that a busy machine slows all of them alike. Costs are medians over these turns of the
process's CPU time, one thread. Memory: what the process held when it came by (Linux), and the arrays of the state.
Small frames, random weights: what is compared depends on neither.
"""

import argparse
import dataclasses
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engine.models.bmvos.network import BMVOS
from engine.models.mavos.config import CONFIGS
from engine.models.mavos.network import MAVOS
from engine.models.mmpm.config import CONFIGS as MMPM_CONFIGS
from engine.models.mmpm.network import MMPM
from engine.propagation.bmvos import BMVOSTracker
from engine.propagation.bmvos_frames import BMVOSFrames
from engine.propagation.factory import mmpm_tracker
from engine.propagation.mavos import MAVOSTracker
from engine.propagation.mavos_frames import MAVOSFrames
from engine.propagation.options import MMPMOptions
from engine.propagation.tracker import Tracker
from engine.runtime.allocator import tune_allocator

CPU, FP32 = torch.device("cpu"), torch.float32


def frame(index: int, height: int, width: int) -> np.ndarray:
    """A square that goes round on noise."""
    image = np.random.default_rng(index).integers(0, 60, (height, width, 3), np.uint8)
    top = int((height - 16) * (0.5 + 0.5 * np.sin(index / 40)))
    left = int((width - 16) * (0.5 + 0.5 * np.cos(index / 40)))
    image[top : top + 16, left : left + 16] += 150
    return image


def resident() -> float:
    """MB that the process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


def stored(state: Any) -> int:
    """Bytes of the arrays in a tracker's state."""
    if isinstance(state, np.ndarray):
        return state.nbytes
    parts = state.values() if isinstance(state, dict) else state if isinstance(state, list) else ()
    return sum(stored(part) for part in parts)


def maker(model: str) -> Callable[[], Tracker]:
    """Trackers of one network. BMVOS takes the frames as they are, not at 480 pixels; mmpm-tiny at 96."""
    torch.manual_seed(0)
    if model == "mmpm-tiny":
        tiny = MMPM(dataclasses.replace(MMPM_CONFIGS[model], image_side=96)).eval()
        return lambda: mmpm_tracker(tiny, CPU, FP32, MMPMOptions())
    if model == "bmvos":
        network = BMVOS()
        return lambda: BMVOSTracker(BMVOSFrames(network, CPU, FP32, exclusive=False, usual=False))
    mavos = MAVOS(CONFIGS[model])
    return lambda: MAVOSTracker(MAVOSFrames(mavos, CPU, FP32, exclusive=False), mavos.config.interval)


def states(tracker: Tracker, marks: list[int], size: tuple[int, int]) -> dict[int, tuple[dict[str, Any], float]]:
    """The tracker's state and the process's MB at each mark."""
    masks = np.zeros((2, *size), np.bool_)
    masks[0, :20, :20] = masks[1, -12:, -12:] = True
    tracker.start(frame(0, *size), masks)
    found = {}
    for index in range(1, max(marks) + 1):
        tracker.step(frame(index, *size))
        if index in marks:
            found[index] = (tracker.state(), resident())
    return found


def in_turns(trackers: dict[int, Tracker], turns: int, size: tuple[int, int]) -> dict[int, float]:
    """CPU seconds a frame of each tracker; who begins a turn changes."""
    costs: dict[int, list[float]] = {mark: [] for mark in trackers}
    order = list(trackers)
    for turn in range(turns):
        for mark in order[turn % len(order) :] + order[: turn % len(order)]:
            image = frame(mark + 1 + turn, *size)
            begun = time.process_time()
            trackers[mark].step(image)
            costs[mark].append(time.process_time() - begun)
    return {mark: statistics.median(values) for mark, values in costs.items()}


def table(model: str, marks: list[int], turns: int, size: tuple[int, int]) -> None:
    """Print what was found."""
    make = maker(model)
    found = states(make(), marks, size)
    trackers = {mark: make() for mark in marks}
    for mark, tracker in trackers.items():
        tracker.load_state(found[mark][0])
    costs = in_turns(trackers, turns, size)
    print(f"\n{model}, {size[1]}x{size[0]}, two tracks, one CPU thread, float32, {turns} turns")
    print(f"{'frame':>6} {'CPU ms':>8} {'frames/s':>9} {'of first':>9} {'process MB':>11} {'state MB':>9}")
    for mark, cost in costs.items():
        share = cost / costs[marks[0]]
        held, size_of = found[mark][1], stored(found[mark][0]) / 1e6
        print(f"{mark:6d} {cost * 1e3:8.2f} {1 / cost:9.1f} {share:9.3f} {held:11.1f} {size_of:9.3f}", flush=True)


def main() -> None:
    """One table a model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="mavos, mavos-r50, mavos-swinb, bmvos, mmpm-tiny")
    parser.add_argument("--at", type=int, nargs="+", default=[100, 1000, 5000], help="frames to compare")
    parser.add_argument("--turns", type=int, default=120, help="frames that each of them is timed for")
    parser.add_argument("--size", type=int, nargs=2, default=[33, 49], metavar=("H", "W"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    tune_allocator()
    for model in given.models:
        table(model, given.at, given.turns, (given.size[0], given.size[1]))


if __name__ == "__main__":
    main()
