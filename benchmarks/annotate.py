"""What a step from frame to frame costs on the page of `mugvos annotate`: 854x480, 60 tracks, in headless Chromium.

    .venv/bin/python benchmarks/annotate.py [--tracks 60] [--frames 60]

Times are from the key press to the drawn canvas, as the page itself measures them: frames in a row, which the page
fetches and paints ahead, and jumps to frames it has not seen. CPU time is what a busy machine leaves to go by; it
covers all that happens between two steps, the frames ahead included. Needs chromium and chromium-driver.
"""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from engine.masks import rle
from engine.rendering.demo_clip import DemoClip
from engine.store import StoreWriter
from engine.types import BoolArray, Track
from engine.video import VideoWriter

if TYPE_CHECKING:
    from browser import Hands

WIDTH, HEIGHT = 854, 480
LISTEN = """
window.steps = [];
window.addEventListener('drawn', (event) => window.steps.push(event.detail.milliseconds));
"""


def blob(noise: np.random.Generator, track: int, frame: int) -> BoolArray:
    """A ragged ellipse that drifts: sizes from a few hundred pixels to a quarter of the frame."""
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    size = 12 + (track * 37) % 180
    place = ((track * 131 + 3 * frame) % WIDTH, (track * 89 + frame) % HEIGHT)
    cv2.ellipse(mask, place, (size, size * 2 // 3), track * 11, 0, 360, 1, -1)
    holes = noise.integers(0, 40, (HEIGHT // 8, WIDTH // 8), np.uint8) == 0
    return (mask > 0) & ~cv2.resize(holes.astype(np.uint8), (WIDTH, HEIGHT)).astype(bool)


def write(folder: Path, tracks: int, frames: int) -> Path:
    """The clip and its store."""
    noise = np.random.default_rng(0)
    with VideoWriter(folder / "clip.mp4", 25, WIDTH, HEIGHT) as film:
        for image, _ in DemoClip(WIDTH, HEIGHT, frames).draw():
            film.write(image)
    records = [rle.record(f, t, blob(noise, t, f), 0.9) for f in range(frames) for t in range(1, tracks + 1)]
    with StoreWriter(folder / "tracks.h5") as writer:
        named = [Track(t, f"track-{t}") for t in range(1, tracks + 1)]
        writer.add_clip("clip", WIDTH, HEIGHT, frames, named, records, "clip.mp4", 25)
    return folder / "tracks.h5"


def times(hands: "Hands", keys: list[str], pause: float) -> list[float]:
    """Milliseconds of each step."""
    hands.look("window.steps.length = 0")
    for done, key in enumerate(keys, start=1):
        hands.keys(key)
        hands.wait(lambda count=done: hands.look("return window.steps.length") >= count)
        time.sleep(pause)
    return [float(value) for value in hands.look("return window.steps")]


def cpu_seconds(root: int) -> float:
    """CPU time of a process and all below it (Linux)."""
    children: dict[int, list[int]] = {}
    spent: dict[int, float] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(folder.name))
        spent[int(folder.name)] = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    wanted, found = [root], 0.0
    while wanted:
        process = wanted.pop()
        found += spent.get(process, 0.0)
        wanted += children.get(process, [])
    return found


def say(what: str, found: list[float]) -> None:
    """One line of the table."""
    print(f"{what:<34}{np.median(found):>8.0f} ms {np.percentile(found, 95):>8.0f} ms {max(found):>8.0f} ms")


def main() -> None:
    """Serve, press keys, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=60)
    parser.add_argument("--frames", type=int, default=60)
    wanted = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests/annotation"))
    from browser import Hands, Served, chromium, why_no_browser

    if why_no_browser():
        sys.exit(why_no_browser())
    with tempfile.TemporaryDirectory() as folder, chromium() as driver:
        store = write(Path(folder), wanted.tracks, wanted.frames)
        with Served(store, "--model", "dis") as served:
            driver.get(served.links["annotator"])
            hands = Hands(driver, (WIDTH, HEIGHT))
            hands.wait(lambda: hands.look("return document.body.dataset.ready"))
            hands.look(LISTEN)
            time.sleep(3)
            print(f"{wanted.tracks} tracks at {WIDTH}x{HEIGHT}{'':<14}{'median':>11} {'95 %':>11} {'worst':>11}")
            roots = {"browser": driver.service.process.pid, "server": served.process.pid}
            before = {name: cpu_seconds(root) for name, root in roots.items()}
            say("forwards, three frames a second", times(hands, ["Right"] * 20, 0.33))
            spent = {name: 1000 / 20 * (cpu_seconds(root) - before[name]) for name, root in roots.items()}
            say("back, over the same frames", times(hands, ["Left"] * 20, 0.33))
            say("jumps of ten frames", times(hands, ["Shift+Right"] * 5, 1.0))
            print(", ".join(f"{name}: {value:.0f} ms of CPU a step forwards" for name, value in spent.items()))
            print(f"load of the machine: {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
            served.end()


if __name__ == "__main__":
    main()
