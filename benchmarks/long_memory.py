"""What XMem remembers of a long video: positions in memory and the process's own size, as frames go by.

Small images and random weights; what is remembered does not depend on either. Every frame is a memory frame, so that
long-term memory fills up and forgets within the run.

    python benchmarks/long_memory.py --frames 2000
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from engine.memory.long_term import LongTermMemory, LongTermOptions
from engine.models.xmem.config import XMemConfig
from engine.models.xmem.network import XMem
from engine.propagation.xmem import XMemTracker
from engine.propagation.xmem_frames import XMemFrames
from engine.runtime.allocator import tune_allocator
from engine.types import UInt8Array

ROW = "{:>7} {:>9} {:>10} {:>10}"


def main() -> None:
    """Print a row every two hundred frames."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--side", type=int, default=48, help="of the square frames, in pixels")
    asked = parser.parse_args()
    tune_allocator()
    tracker, frames = made(), noise(asked.side)
    mask = np.zeros((1, asked.side, asked.side), np.bool_)
    mask[:, : asked.side // 2] = True
    print(ROW.format("frame", "working", "long-term", "MiB"))
    tracker.start(next(frames), mask)
    for time in range(1, asked.frames + 1):
        tracker.step(next(frames))
        if time % 200 == 0:
            memory = tracker.memory
            assert isinstance(memory, LongTermMemory)
            print(ROW.format(time, memory.working.size, memory.long.size, f"{resident():.0f}"), flush=True)


def made() -> XMemTracker:
    """XMem with its own options but for the interval."""
    torch.manual_seed(0)
    network = XMem(XMemConfig(short_side=None)).eval()
    frames = XMemFrames(network, torch.device("cpu"), torch.float32, 8, exclusive=True)
    return XMemTracker(frames, LongTermOptions(), interval=1)


def noise(side: int) -> Iterator[UInt8Array]:
    """Endless drifting noise."""
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (side, side, 3), dtype=np.uint8)
    while True:
        picture = np.roll(picture, (1, 2), (0, 1))
        yield picture ^ random.integers(0, 16, picture.shape, dtype=np.uint8)


def resident() -> float:
    """MiB of this process that are in memory now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096 / 2**20


if __name__ == "__main__":
    main()
