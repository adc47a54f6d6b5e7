"""What clips are made with, as plain values that travel to any process or machine, and the tools set up from them.

Knows names of models and options. Imports nothing heavy before it is asked to set up.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.generation.executors.work import Job, Seat
from engine.generation.watch import OnFrame, ShouldStop

if TYPE_CHECKING:
    from engine.generation.job import Workshop
    from engine.generation.sampling import Method
    from engine.generation.settings import GenerateSettings
    from engine.models.sam.config import SAMConfig


_PROMPTS_BY_FLOW, _KEEP_WARPED = 1, 0.9
"""Where a SAM does not find masks again, flow carries tracks, and one prompt a frame asks whether SAM agrees."""


@dataclass(frozen=True)
class Wishes:
    """What was asked for of GenerateSettings; None where the SAM's own value is to hold.

    keep_warped: a SAM's own value holds only where no min_iou is asked for, which would end the tracks it keeps.
    """

    grid: int = 32
    predicted_iou: float | None = None
    stability: float | None = None
    box_nms: float | None = None
    crop_layers: int = 0
    least_region: float | None = None
    max_tracks: int = 200
    points: int = 5
    prompts: int | None = None
    sampling: "Method" = "random"
    min_iou: float | None = None
    keep_warped: float | None = None
    reseed_every: int | None = None
    seed: int = 0

    def settings(self, sam: "SAMConfig") -> "GenerateSettings":
        """With the SAM's own thresholds for what was not asked for. Raises UsageError for what cannot be meant."""
        from engine.generation.linking import LinkSettings
        from engine.generation.settings import GenerateSettings
        from engine.models.sam.automatic import ProposalSettings, nms_of

        trusted = sam.predicted_iou if self.predicted_iou is None else self.predicted_iou
        stable = sam.stability if self.stability is None else self.stability
        offset = sam.stability_offset
        by_flow = self._by_flow(sam)
        boxes, masks = nms_of(sam, self.box_nms)
        least = sam.least_region if self.least_region is None else self.least_region
        return GenerateSettings(
            proposals=ProposalSettings(
                self.grid, trusted, stable, offset, boxes, self.crop_layers, mask_nms=masks, least_region=least
            ),
            link=LinkSettings(
                stability=sam.stability,
                stability_offset=offset,
                least_iou=self.min_iou,
                keep_warped=_KEEP_WARPED if by_flow else self.keep_warped,
            ),
            most_tracks=self.max_tracks,
            points=self.points,
            prompts=self.prompts or (_PROMPTS_BY_FLOW if by_flow else GenerateSettings.prompts),
            method=self.sampling,
            reseed_every=self.reseed_every,
            seed=self.seed,
        )

    def _by_flow(self, sam: "SAMConfig") -> bool:
        """Whether flow carries the tracks because the SAM could not, and nobody asked for something else."""
        return not sam.finds_again and self.keep_warped is None and self.min_iou is None


@dataclass(frozen=True)
class SAMRecipe:
    """A SAM, an optical flow and settings (a Recipe). size, segment_frames, prompts_at_once: see Workshop."""

    wishes: Wishes
    sam: str = "sam-tiny"
    checkpoint: Path | None = None
    flow: str = "dis"
    size: tuple[int, int] | None = None
    segment_frames: int = 5
    prompts_at_once: int | None = None
    precision: str = "auto"
    random_weights: bool = False

    def build(self, seat: Seat, on_note: Callable[[str], None]) -> "ClipMaker":
        """The tools, on the device of the seat; weights that are not here are fetched."""
        _share_cores(seat)
        for name in self.needed():
            _fetch(name)
        return ClipMaker(self._workshop(seat, on_note))

    def needed(self) -> list[str]:
        """Names of weights that may have to be fetched."""
        sam = [] if self.checkpoint is not None or self.random_weights else [self.sam]
        return [*sam, self.flow]

    def _workshop(self, seat: Seat, on_note: Callable[[str], None]) -> "Workshop":
        from engine.generation.job import Workshop
        from engine.models.flow import make_flow
        from engine.models.sam.making import make_prompter
        from engine.runtime.allocator import tune_allocator
        from engine.runtime.device import resolve_device
        from engine.runtime.precision import resolve_precision
        from engine.weights.digest import file_digest

        tune_allocator()
        place = resolve_device(seat.device)
        made = make_prompter(self.sam, self.checkpoint, place, self.precision, self.random_weights)
        settings = self.wishes.settings(made.config)
        parameters = {
            "model": made.model,
            "weights": file_digest(made.weights) if made.weights else "random",
            "flow": self.flow,
            "precision": str(made.prompter.dtype).removeprefix("torch."),
            "resize": None if self.size is None else list(self.size),
            "settings": settings.as_dict(),
        }
        return Workshop(
            made.prompter,
            make_flow(self.flow, place, resolve_precision(self.precision, place)),
            settings,
            parameters,
            self.size,
            self.segment_frames,
            self.prompts_at_once,
            on_note,
        )


@dataclass(frozen=True)
class ClipMaker:
    """Makes clips with one workshop (a Maker)."""

    workshop: "Workshop"

    @property
    def parameters(self) -> Mapping[str, Any]:
        """Those of the workshop."""
        return self.workshop.parameters

    def make(self, job: Job, on_frame: OnFrame, should_stop: ShouldStop) -> None:
        """The clip, and where it is asked for the clip backwards. Raises the errors of make_clip."""
        from engine.generation.drift import agreement
        from engine.generation.job import make_clip

        if not job.store.exists():
            make_clip(job.task, self.workshop, job.store, on_frame, should_stop)
        if job.backwards:
            agreement(job.task, self.workshop, job.store, on_frame, should_stop)


def unfetched(name: str) -> Any:
    """The catalogue's entry of weights that have to be fetched first, None where they are here or belong to nobody."""
    from engine.weights import CATALOGUE, place_of

    entry = CATALOGUE.get(name)
    return None if entry is None or entry.bundled or place_of(entry).is_file() else entry


def _fetch(name: str) -> None:
    from engine.weights import fetch

    entry = unfetched(name)
    if entry is not None:
        fetch(entry)


def _share_cores(seat: Seat) -> None:
    if seat.threads is not None:
        import cv2
        import torch

        torch.set_num_threads(seat.threads)
        cv2.setNumThreads(seat.threads)
