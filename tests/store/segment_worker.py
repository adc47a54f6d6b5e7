"""A run of 60 frames for the kill test: says each frame that it has appended, and when it merges."""

import sys
from pathlib import Path

import numpy as np

from engine.masks import rle
from engine.store import SegmentedRun
from engine.types import Track

FRAMES, HEIGHT, WIDTH = 60, 24, 36
TRACKS = [Track(0, "a"), Track(1, "b")]


def main(output: Path) -> None:
    with SegmentedRun(output, {"seed": 1}, overwrite=False) as run:
        rng = np.random.default_rng(0)
        if run.state is not None:
            rng.bit_generator.state = run.state["generator"]
        for frame in range(run.next_frame, FRAMES):
            run.append(frame, [rle.record(frame, t.id, rng.random((HEIGHT, WIDTH)) > 0.5) for t in TRACKS])
            print(frame, flush=True)
            if frame % 3 == 2:
                run.checkpoint({"generator": rng.bit_generator.state}, TRACKS)
        print("finishing", flush=True)
        run.finish("clip", WIDTH, HEIGHT, FRAMES, tracks=TRACKS, provenance={"seed": 1})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
