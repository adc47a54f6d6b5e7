"""How well the pipeline's step from frame to frame holds objects, apart from what it begins with.

    python benchmarks/carried.py DAVIS_ROOT [--clip NAME ...] [--frames N] [--keep-warped IOU ...] [--prompts N]

Tracks begin twice: with the annotated masks of the first frame, and with the proposals most like them. They are carried
as `mugvos generate` carries them: as in the paper, with each --keep-warped, and by flow alone. J is the IoU with the
annotation, mean over the frames behind the first; with it go the CPU seconds of a frame.
"""

import argparse
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from engine.flow.dis import DISFlow
from engine.generation.births import Birth
from engine.generation.clip import RunningClip, Tools
from engine.generation.cycle import consistent, warp
from engine.generation.linking import Linker
from engine.generation.quality import masks_of
from engine.generation.recipe import Wishes
from engine.generation.sampling import PointSampler
from engine.generation.settings import GenerateSettings
from engine.masks.boxed import BoxedMask, iou
from engine.models.sam.automatic import propose
from engine.models.sam.making import MadePrompter, make_prompter
from engine.models.sam.prompting import Embedding
from engine.runtime.allocator import tune_allocator
from engine.store import open_source
from engine.store.source import ClipMasks
from engine.types import FloatArray, UInt8Array
from engine.video import open_video

Masks = dict[int, BoxedMask]


@dataclass(frozen=True)
class Given:
    """Tracks that begin on the first frame (a Births)."""

    masks: Masks

    def due(self, index: int) -> bool:
        """On the first frame."""
        return index == 0

    def __call__(
        self, index: int, image: UInt8Array, embedding: Embedding | None, masks: Mapping[int, BoxedMask], next_id: int
    ) -> list[Birth]:
        """The masks."""
        return [Birth(track, mask, 1.0, 1.0) for track, mask in self.masks.items()]


class FlowOnce:
    """DIS that remembers the last pair of frames (a Flow), since every setting asks for the same one."""

    def __init__(self) -> None:
        self._flow = DISFlow()
        self._last: tuple[UInt8Array, UInt8Array, tuple[FloatArray, FloatArray]] | None = None

    def __call__(self, first: UInt8Array, second: UInt8Array) -> FloatArray:
        """Flow there."""
        return self.both(first, second)[0]

    def both(self, first: UInt8Array, second: UInt8Array) -> tuple[FloatArray, FloatArray]:
        """Flow there and back."""
        if self._last is None or self._last[0] is not first or self._last[1] is not second:
            self._last = first, second, self._flow.both(first, second)
        return self._last[2]


class FlowAlone:
    """Masks that are warped and nothing else, with the step of a RunningClip."""

    def __init__(self, masks: Masks, flow: FlowOnce, cycle: float) -> None:
        self._masks, self._flow, self._cycle = masks, flow, cycle
        self._image: UInt8Array | None = None

    def step(self, index: int, image: UInt8Array) -> Masks:
        """The masks of the next frame."""
        if self._image is not None:
            there, back = self._flow.both(self._image, image)
            moved = warp(list(self._masks.values()), back, consistent(there, back, self._cycle))
            self._masks = dict(zip(self._masks, moved, strict=True))
        self._image = image
        return self._masks


class Pipeline:
    """A RunningClip whose records are masks again."""

    def __init__(self, made: MadePrompter, settings: GenerateSettings, name: str, masks: Masks, flow: FlowOnce) -> None:
        linker = Linker(made.prompter, settings.link)
        sampler = PointSampler(settings.seed, name, settings.points, settings.prompts)
        self._clip = RunningClip(Tools(made.prompter, linker, flow, sampler, Given(masks)), settings)

    def step(self, index: int, image: UInt8Array) -> Masks:
        """The masks of the next frame."""
        return masks_of(iter(self._clip.step(index, index, image)), *image.shape[:2])


@dataclass
class Row:
    """One way to carry masks, with what came of it by track."""

    name: str
    way: Pipeline | FlowAlone
    seconds: float = 0.0
    found: dict[int, list[float]] = field(default_factory=dict)


def real_masks(truth: ClipMasks, frame: int) -> Masks:
    """The annotated masks by object."""
    found = {target.id: truth.mask(frame, target.id) for target in truth.tracks}
    return {target: BoxedMask.of(mask) for target, mask in found.items() if mask is not None and mask.any()}


def most_alike(made: MadePrompter, image: UInt8Array, settings: GenerateSettings, wanted: Masks) -> Masks:
    """For each object the proposal of highest IoU; its track has the object's number with a minus."""
    proposals = [proposal.mask for proposal in propose(made.prompter, image, settings.proposals)]
    if not proposals:
        return {}
    return {-target: max(proposals, key=lambda mask: iou(mask, real)) for target, real in wanted.items()}


def measured(made: MadePrompter, video: str, truth: ClipMasks, asked: argparse.Namespace) -> Iterator[str]:
    """A line for each way of one clip."""
    plain = Wishes(grid=asked.grid, prompts=asked.prompts, keep_warped=0).settings(made.config)
    flow, rows, frames = FlowOnce(), list[Row](), list(truth.frames)
    previous: UInt8Array | None = None
    with open_video(video) as reader:
        for frame in reader.frames(0, asked.frames):
            if frame.index == 0:
                start = real_masks(truth, frames[0])
                start |= most_alike(made, frame.image, plain, start)
                rows = list(_ways(made, plain, truth.name, start, flow, asked.keep_warped))
            if previous is not None:
                flow.both(previous, frame.image)  # so that no way has to pay for it
            real = real_masks(truth, frames[frame.index])
            for row in rows:
                begin = time.process_time()
                masks = row.way.step(frame.index, frame.image)
                row.seconds += time.process_time() - begin
                for track in start:
                    empty = BoxedMask.of(np.zeros((0, 0), np.bool_))
                    row.found.setdefault(track, []).append(iou(masks.get(track, empty), real.get(abs(track), empty)))
            previous = frame.image
    for row in rows:
        yield _line(truth.name, row)


def _ways(
    made: MadePrompter, plain: GenerateSettings, clip: str, start: Masks, flow: FlowOnce, keeps: list[float]
) -> Iterator[Row]:
    yield Row("as in the paper", Pipeline(made, plain, clip, start, flow))
    for keep in keeps:
        kept = replace(plain, link=replace(plain.link, keep_warped=keep))
        yield Row(f"--keep-warped {keep:g}", Pipeline(made, kept, clip, start, flow))
    yield Row("flow alone", FlowAlone(start, flow, plain.cycle))


def _line(clip: str, row: Row) -> str:
    parts = []
    for track, values in row.found.items():
        begin = f"proposal of IoU {values[0]:.2f}" if track < 0 else "annotation"
        parts.append(f"object {abs(track)} from {begin} J {np.mean(values[1:]):.3f}")
    count = max(len(next(iter(row.found.values()), [])) - 1, 1)
    return f"{clip:12s} {row.name:18s} {row.seconds / count:5.2f} s  " + "  ".join(parts)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("davis", type=Path)
    parser.add_argument("--clip", action="append", metavar="NAME")
    parser.add_argument("--frames", type=int, metavar="N", help="the first N of each clip")
    parser.add_argument("--keep-warped", type=float, action="append", metavar="IOU")
    parser.add_argument("--prompts", type=int, default=5)
    parser.add_argument("--grid", type=int, default=32)
    parser.add_argument("--sam", default="sam-tiny", metavar="NAME|FILE")
    asked = parser.parse_args()
    asked.keep_warped = asked.keep_warped or [0.9]
    tune_allocator()
    file = Path(asked.sam)
    made = make_prompter(asked.sam, file if file.is_file() else None, precision="auto")
    with open_source(str(asked.davis / "Annotations/480p")) as truth:
        for name in asked.clip or truth.clips:
            for line in measured(made, str(asked.davis / "JPEGImages/480p" / name), truth.clip(name), asked):
                print(line, flush=True)


if __name__ == "__main__":
    main()
