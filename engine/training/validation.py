"""J on clips that are not trained on: the first mask of a track carried through a bounded number of frames.

Knows mask sources, videos and MMPM's tracker. Draws nothing from the randomness of the training.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from engine.errors import StoreError
from engine.models.mmpm.config import MMPMConfig
from engine.models.mmpm.network import MMPM
from engine.propagation.factory import mmpm_tracker
from engine.propagation.loop import propagate
from engine.propagation.options import MMPMOptions
from engine.store.source import ClipMasks, MaskSource
from engine.training.distributed import ALONE, Group
from engine.training.video_files import video_of
from engine.types import Frame
from engine.video import frame_numbers, open_video

MOST_CLIPS, MOST_TRACKS = 30, 4


@dataclass(frozen=True)
class _Start:
    """Tracks of one clip that begin on one frame (number), and the frames on which they are judged."""

    clip: ClipMasks
    first: int
    tracks: list[int]
    judged: list[int]


class Validation:
    """J of a network on at most 30 clips of a source, at most 4 tracks a clip, `frames` frames with masks each."""

    def __init__(
        self,
        source: MaskSource,
        videos: Path | None,
        frames: int,
        device: torch.device,
        precision: torch.dtype = torch.float32,
        group: Group = ALONE,
    ) -> None:
        """Raises StoreError where no clip has a mask followed by others, or a video is missing."""
        names = list(source.clips)
        spread = names[:: -(-len(names) // MOST_CLIPS)] if names else []
        found = [_start(source.clip(name), frames) for name in spread]
        self._starts = [start for start in found if start is not None]
        if not self._starts:
            raise StoreError("no track to validate on has masks in two frames", "give --validate whole tracks")
        for start in self._starts:
            video_of(start.clip, videos)
        self._videos, self._device, self._precision, self._group = videos, device, precision, group

    def score(self, config: MMPMConfig, state: dict[str, Tensor]) -> float:
        """Mean J over tracks, each the mean over its judged frames; the clips are divided among the processes."""
        with torch.device("meta"):
            network = MMPM(config)
        network = network.to_empty(device=self._device)
        network.load_state_dict(state)
        mine = self._starts[self._group.rank :: self._group.size]
        scores = [score for start in mine for score in self._judge(network.eval(), start)]
        total, count = self._group.total([sum(scores), float(len(scores))], self._device)
        return total / max(count, 1.0)

    def _judge(self, network: MMPM, start: _Start) -> list[float]:
        """J of each track of one clip."""
        tracker = mmpm_tracker(network, self._device, self._precision, MMPMOptions())
        with open_video(video_of(start.clip, self._videos)) as video:
            numbers = frame_numbers(video)
            if numbers is not None and start.first not in numbers:
                raise StoreError(f"clip {start.clip.name}: its video has no frame {start.first}", "check its video")
            first = start.first if numbers is None else list(numbers).index(start.first)
            frames = _numbered(video.frames(first), numbers, start.judged[-1])
            given = {track: start.clip.mask(start.first, track) for track in start.tracks}
            prompts = {start.first: {track: mask for track, mask in given.items() if mask is not None}}
            found: dict[int, list[float]] = {track: [] for track in start.tracks}
            for result in propagate(frames, prompts, tracker):
                if result.frame in start.judged:
                    for track, scores in found.items():
                        truth = start.clip.mask(result.frame, track)
                        scores.append(_overlap(result.tracks[track].mask, truth))
        return [float(np.mean(scores)) for scores in found.values() if scores]


def _start(clip: ClipMasks, frames: int) -> _Start | None:
    """The first frame with masks, its largest tracks, and the frames after it that the source holds."""
    visible: dict[int, list[tuple[int, int]]] = {}
    for record in clip.records():
        if record.area:
            visible.setdefault(record.frame, []).append((record.area, record.track))
    if len(visible) < 2:
        return None
    first = min(visible)
    tracks = sorted(track for _, track in sorted(visible[first], reverse=True)[:MOST_TRACKS])
    judged = [number for number in clip.frames if number > first][: frames - 1]
    return _Start(clip, first, tracks, judged) if judged else None


def _numbered(frames: Iterator[Frame], numbers: Sequence[int] | None, last: int) -> Iterator[Frame]:
    """Frames called by their numbers, up to `last`."""
    for frame in frames:
        number = frame.index if numbers is None else numbers[frame.index]
        if number > last:
            return
        yield replace(frame, index=number)


def _overlap(found: np.ndarray, truth: np.ndarray | None) -> float:
    """Intersection over union; 1 where both are empty."""
    wanted = np.zeros_like(found) if truth is None else truth
    union = int((found | wanted).sum())
    return int((found & wanted).sum()) / union if union else 1.0
