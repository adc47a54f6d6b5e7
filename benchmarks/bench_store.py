"""The mask store at 5,000 frames x 100 tracks: writing, size, opening, one mask at random, everything.

    python benchmarks/bench_store.py [--frames 5000] [--tracks 100] [--keep store.h5]

Masks are ellipses that drift and grow over 480x854 frames, drawn once as 200 run-length codes and reused. Bytes read
are counted by the operating system for a process that opens the store and reads one mask (Linux; page cache or not).
"""

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from engine.masks import rle
from engine.store import StoreReader, StoreWriter
from engine.types import MaskRecord, Track

HEIGHT, WIDTH = 480, 854
SHAPES = 200
READS = 500
CHILD = """
import sys
from pathlib import Path
def read_bytes():
    return int(Path('/proc/self/io').read_text().split('rchar: ')[1].split()[0])
from engine.store import StoreReader
before = read_bytes()
with StoreReader(sys.argv[1]) as store:
    clip = store.clip(store.clips[0])
    opened = read_bytes()
    assert clip.mask(int(sys.argv[2]), int(sys.argv[3])) is not None
print(opened - before, read_bytes() - opened)
"""


def shapes() -> list[MaskRecord]:
    rng = np.random.default_rng(0)
    found = []
    for _ in range(SHAPES):
        image = np.zeros((HEIGHT, WIDTH), np.uint8)
        centre = (int(rng.integers(WIDTH)), int(rng.integers(HEIGHT)))
        axes = (int(rng.integers(5, 150)), int(rng.integers(5, 150)))
        cv2.ellipse(image, centre, axes, float(rng.integers(180)), 0, 360, 1, -1)
        if rng.random() < 0.1:  # some ragged ones, as hair and leaves are
            image &= cv2.blur(rng.random((HEIGHT, WIDTH), np.float32), (5, 5)) > 0.47
        found.append(rle.record(0, 0, image > 0, 0.9))
    return found


def records(frames: int, tracks: int) -> Iterator[MaskRecord]:
    known = shapes()
    for frame in range(frames):
        for track in range(tracks):
            m = known[(frame // 7 + track * 13) % SHAPES]
            yield MaskRecord(frame, track, m.counts, m.area, m.box, 0.5 + (frame * track % 97) / 200)


def timed(what: str, seconds: float, note: str = "") -> None:
    print(f"{what:<42}{seconds:>12.4f} s   {note}")


def measure(path: Path, frames: int, tracks: int) -> None:
    begin = time.perf_counter()
    with StoreWriter(path, overwrite=True) as writer:
        names = [Track(track, f"track_{track:03d}") for track in range(tracks)]
        writer.add_clip("clip", WIDTH, HEIGHT, frames, names, records(frames, tracks))
    seconds, size = time.perf_counter() - begin, path.stat().st_size
    timed("write", seconds, f"{frames * tracks / seconds:,.0f} masks/s")
    print(f"{'file':<42}{size / 2**20:>12.1f} MiB {size / (frames * tracks):.0f} bytes a mask")
    one = read_one(path, frames, tracks)
    whole = read_all(path)
    print(f"{'one mask : whole clip, time':<42}{'1 :':>9} {whole / one:,.0f}")
    opened, mask = child_bytes(path, frames // 2, tracks // 2)
    print(f"{'bytes read to open':<42}{opened / 1024:>12.1f} KiB {opened / size:.4%} of the file")
    print(f"{'bytes read for one mask, then':<42}{mask / 1024:>12.1f} KiB {mask / size:.4%} of the file")


def read_one(path: Path, frames: int, tracks: int) -> float:
    """Mean seconds of one mask at random, the first included, after opening."""
    begin = time.perf_counter()
    with StoreReader(path) as store:
        clip = store.clip("clip")
        timed("open store and clip", time.perf_counter() - begin)
        rng = np.random.default_rng(1)
        wanted = [(int(rng.integers(frames)), int(rng.integers(tracks))) for _ in range(READS)]
        begin = time.perf_counter()
        for frame, track in wanted:
            clip.mask(frame, track)
        seconds = (time.perf_counter() - begin) / READS
        timed("one mask at random, decoded", seconds, f"mean of {READS}")
        begin = time.perf_counter()
        for frame in range(0, frames, max(1, frames // 50)):
            for track in range(tracks):
                clip.mask(frame, track)
        count = len(range(0, frames, max(1, frames // 50))) * tracks
        timed("one mask, frame by frame, decoded", (time.perf_counter() - begin) / count, f"mean of {count}")
        begin = time.perf_counter()
        found = sum(1 for _ in clip.records(track=tracks // 2))
        timed("one track, as run lengths", time.perf_counter() - begin, f"{found} masks")
    return seconds


def read_all(path: Path) -> float:
    begin = time.perf_counter()
    with StoreReader(path) as store:
        count = sum(1 for _ in store.clip("clip").records())
    seconds = time.perf_counter() - begin
    timed("whole clip, as run lengths, checked", seconds, f"{count / seconds:,.0f} masks/s")
    return seconds


def child_bytes(path: Path, frame: int, track: int) -> tuple[int, int]:
    command = [sys.executable, "-c", CHILD, str(path), str(frame), str(track)]
    opened, mask = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return int(opened), int(mask)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=5000)
    parser.add_argument("--tracks", type=int, default=100)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    print(f"{asked.frames} frames x {asked.tracks} tracks of {WIDTH}x{HEIGHT}")
    with tempfile.TemporaryDirectory() as folder:
        measure(asked.keep or Path(folder) / "bench.h5", asked.frames, asked.tracks)


if __name__ == "__main__":
    main()
