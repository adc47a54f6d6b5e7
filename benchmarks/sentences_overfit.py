"""Whether SgMg learns: two drawn clips of two objects, a sentence for each, trained on and asked about.

    python benchmarks/sentences_overfit.py FOLDER --text-encoder tests/golden/sgmg/tiny_bpe

Trains `sgmg-tiny` from nothing with `mugvos train`, asks with `mugvos propagate --text`, and prints J of every sentence
on its own object and on the other one of its clip. 500 steps take about 4 CPU minutes.
"""

import argparse
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from engine.masks import rle
from engine.store import StoreReader, StoreWriter
from engine.types import BoolArray, Track, UInt8Array
from engine.video import VideoWriter

HEIGHT, WIDTH, COUNT = 144, 192, 8
SENTENCES = (
    ("the green ball on the left", "the yellow box on the right"),
    ("the red ball that rolls", "the blue box"),
)
COLOURS = (((40, 220, 60), (240, 220, 40)), ((230, 40, 40), (40, 60, 230)))


def draw(number: int) -> tuple[list[UInt8Array], list[tuple[BoolArray, BoolArray]]]:
    """Frames and masks of a ball that rolls down and a box that comes up, over a chequered ground."""
    rng = np.random.default_rng(number)
    ground = rng.integers(30, 140, (HEIGHT // 8, WIDTH // 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    frames, masks = [], []
    for t in range(COUNT):
        ball = (y - 50 - 3 * t) ** 2 + (x - 50 - 4 * t) ** 2 < 26**2
        box = (abs(y - 90 + 3 * t) < 22) & (abs(x - 140 + 2 * t) < 24) & ~ball
        image = ground.copy()
        image[ball], image[box] = COLOURS[number]
        frames.append(image)
        masks.append((ball, box))
    return frames, masks


def write(folder: Path) -> Path:
    """Two videos and a store of their masks, whose tracks are called by the sentences."""
    store = folder / "tracks.h5"
    with StoreWriter(store, overwrite=True) as writer:
        for number, said in enumerate(SENTENCES):
            frames, masks = draw(number)
            video = folder / f"clip{number}.mp4"
            with VideoWriter(video, 25, WIDTH, HEIGHT) as film:
                for frame in frames:
                    film.write(frame)
            records = [rle.record(t, k + 1, masks[t][k], 1.0) for t in range(COUNT) for k in range(2)]
            tracks = [Track(k, sentence) for k, sentence in enumerate(said, 1)]
            writer.add_clip(f"clip{number}", WIDTH, HEIGHT, COUNT, tracks, records, source=str(video.absolute()))
    return store


def mugvos(*given: object) -> None:
    """One command, or the end."""
    words = [str(word) for word in given]
    program = "import sys; from mugvos_cli.main import run; sys.exit(run())"
    subprocess.run([sys.executable, "-c", program, *words], check=True)


def mean_iou(found: StoreReader, truth: StoreReader, clip: str, track: int, other: int) -> float:
    """Of a found track and a true one, over all frames."""
    scores = []
    for frame in range(COUNT):
        a, b = found.clip(clip).mask(frame, track), truth.clip(clip).mask(frame, other)
        assert a is not None and b is not None
        scores.append((a & b).sum() / max((a | b).sum(), 1))
    return float(np.mean(scores))


def main() -> None:
    """Draw, train, ask, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--text-encoder", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=500)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    truth, weights = write(asked.folder), asked.folder / "own.safetensors"
    reading = ("--text-encoder", asked.text_encoder, "--overwrite")
    numbers = ("--frames", 2, "--steps", asked.steps, "--lr", 1e-3, "--schedule", "cosine", "--no-augment")
    mugvos("train", "--model", "sgmg-tiny", "--data", truth, "-o", weights, *numbers, *reading)
    print(f"{'sentence':<28}  J own  J of the other object")
    for number, said in enumerate(SENTENCES):
        clip, found = f"clip{number}", asked.folder / f"found{number}.h5"
        texts = [word for sentence in said for word in ("--text", sentence)]
        mugvos("propagate", asked.folder / f"{clip}.mp4", *texts, "--model", weights, "-o", found, *reading)
        with StoreReader(found) as ours, StoreReader(truth) as theirs:
            for track, sentence in enumerate(said, 1):
                own, other = (mean_iou(ours, theirs, clip, track, meant) for meant in (track, 3 - track))
                print(f"{sentence:<28}  {own:.3f}  {other:.3f}")


if __name__ == "__main__":
    main()
