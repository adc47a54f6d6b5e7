"""Can a model learn one clip by heart? Trains on it from nothing, then propagates its first mask with the tracker.

    python benchmarks/overfit.py bmvos
    python benchmarks/overfit.py mavos --steps 80 --lr 5e-4

The clip is drawn by the synthesis that training uses. Says J over the frames after the first; exit status 1 below 0.9.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from engine.models.bmvos.network import BMVOS
from engine.models.mavos.network import MAVOS
from engine.propagation.bmvos import BMVOSTracker
from engine.propagation.bmvos_frames import BMVOSFrames
from engine.propagation.mavos import MAVOSTracker
from engine.propagation.mavos_frames import MAVOSFrames
from engine.propagation.tracker import Tracker
from engine.training.loop import Progress, Trainer
from engine.training.run import make_task
from engine.training.stages import settings_for
from engine.training.synthesis import Synthesizer

CPU, WANTED = torch.device("cpu"), 0.9


class OneClip:
    """A source that gives one clip for ever."""

    def __init__(self, clip: tuple[Tensor, Tensor]) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self._clip = clip

    def batch(self, clips: int) -> tuple[Tensor, ...]:
        return self._clip


def tracker_of(network: nn.Module) -> Tracker:
    """A tracker that looks at frames in the size that was trained."""
    if isinstance(network, BMVOS):
        return BMVOSTracker(BMVOSFrames(network, CPU, torch.float32, exclusive=True, usual=False))
    assert isinstance(network, MAVOS)
    return MAVOSTracker(MAVOSFrames(network, CPU, torch.float32, exclusive=True), network.config.interval)


def propagated(network: nn.Module, images: Tensor, masks: Tensor) -> float:
    """Mean J of frames 1.. of a clip: images (T, 3, H, W) in [0, 1], masks (T, H, W)."""
    pictures = (images.permute(0, 2, 3, 1) * 255).round().to(torch.uint8).numpy()
    truth = masks.numpy() > 0
    tracker = tracker_of(network)
    tracker.start(pictures[0], truth[:1])
    found = np.stack([tracker.step(picture)[0] > 0.5 for picture in pictures[1:]])
    return float(np.mean([(a & b).sum() / max((a | b).sum(), 1) for a, b in zip(found, truth[1:], strict=True)]))


def main() -> None:
    """Train, propagate, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", help="mavos, mavos-r50, mavos-swinb, bmvos")
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0, help="which clip is drawn")
    given = parser.parse_args()
    values: dict[str, Any] = {"model": given.model, "steps": given.steps, "batch": 1, "size": given.size, "frames": 4}
    values |= {"learning_rate": given.lr, "final_rate": given.lr / 10, "warmup": 5, "ema": 0.0, "clip_norm": 1.0}
    settings = settings_for("", values)
    clip = Synthesizer(settings.clips, None, torch.Generator().manual_seed(given.seed)).batch(1)
    task = make_task(settings, None, CPU)

    def report(progress: Progress) -> None:
        if progress.step % 10 == 0:
            print(f"step {progress.step}: loss {progress.batch_loss:.3f}", flush=True)

    with tempfile.TemporaryDirectory() as folder:
        Trainer(task, OneClip(clip), settings, Path(folder) / "run.pt").run(report)
    score = propagated(task.model, clip[0][0], clip[1][0])
    print(f"{given.model}: J {score:.3f} on the clip it was trained on, {given.steps} steps")
    sys.exit(score < WANTED)


if __name__ == "__main__":
    main()
