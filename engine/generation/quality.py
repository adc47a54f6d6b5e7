"""Which tracks of a finished clip are good enough to train on, and the clip without the others.

Knows clips of masks. What a track's masks look like when the video runs backwards is told by drift.py.
"""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass

import numpy as np

from engine.generation.tree import near_pairs
from engine.masks import rle
from engine.masks.boxed import BoxedMask, iou
from engine.store.ancestry import remaining
from engine.store.clip_reader import ClipReader
from engine.store.writer import StoreWriter
from engine.types import MaskRecord


@dataclass(frozen=True)
class QualitySettings:
    """What a track needs to stay; None asks for nothing.

    min_length: frames in which it is to be seen. min_mean_iou: mean IoU with the warped masks. min_agreement: mean IoU
    with the masks that come about when the video runs backwards. duplicate_iou: of two tracks whose mean IoU over the
    frames of either is above, the one that is seen longer stays, the earlier one of equals.
    """

    min_length: int | None = None
    min_mean_iou: float | None = None
    min_agreement: float | None = None
    duplicate_iou: float | None = None

    @property
    def asks(self) -> bool:
        """Whether anything is asked for."""
        return any(value is not None for value in asdict(self).values())


@dataclass
class TrackRecord:
    """What is known of one track. seen: bit i is set where it is to be seen in the clip's i-th frame."""

    seen: int = 0
    iou_sum: float = 0.0
    links: int = 0

    @property
    def length(self) -> int:
        """Frames in which it is to be seen."""
        return self.seen.bit_count()

    @property
    def mean_iou(self) -> float:
        """With the warped masks; 1 for a track that was never carried on."""
        return self.iou_sum / self.links if self.links else 1.0


def judge(clip: ClipReader, settings: QualitySettings, agreement: Mapping[int, float]) -> dict[int, str]:
    """The tracks that do not stay, each with the reason: "length", "mean iou", "agreement" or "duplicate"."""
    records, overlaps = _survey(clip, settings.duplicate_iou)
    out: dict[int, str] = {}
    for track in clip.tracks:
        record = records.get(track.id, TrackRecord())
        if settings.min_length is not None and record.length < settings.min_length:
            out[track.id] = "length"
        elif settings.min_mean_iou is not None and record.mean_iou < settings.min_mean_iou:
            out[track.id] = "mean iou"
        elif settings.min_agreement is not None and agreement.get(track.id, 0.0) < settings.min_agreement:
            out[track.id] = "agreement"
    if settings.duplicate_iou is not None:
        out |= dict.fromkeys(_duplicates(records, overlaps, settings.duplicate_iou, out), "duplicate")
    return out


def write_judged(writer: StoreWriter, clip: ClipReader, out: Mapping[int, str], settings: QualitySettings) -> None:
    """Write the clip without the tracks of `out`; a part whose whole is gone goes to the next larger one that stays."""
    reasons = {reason: list(out.values()).count(reason) for reason in sorted(set(out.values()))}
    writer.add_clip(
        clip.name,
        clip.width,
        clip.height,
        clip.frame_count,
        remaining(clip.tracks, out),
        (record for record in clip.records() if record.track not in out),
        source=clip.source,
        fps=clip.fps,
        provenance={**clip.provenance, "quality": {**asdict(settings), "left out": reasons}},
        complete=clip.complete,
        frames=list(clip.frames),
        times=clip.times,
    )


def masks_of(records: Iterator[MaskRecord], height: int, width: int) -> dict[int, BoxedMask]:
    """The visible masks of one frame's records by track."""
    return {r.track: BoxedMask.of(rle.decode_checked(r.counts, height, width)) for r in records if r.area}


def _survey(
    clip: ClipReader, duplicate_iou: float | None
) -> tuple[dict[int, TrackRecord], dict[tuple[int, int], float]]:
    """What is known of each track, and for pairs that are alike in some frame the sum of their IoUs."""
    records: dict[int, TrackRecord] = {}
    overlaps: dict[tuple[int, int], float] = {}
    for place, frame in enumerate(clip.frames):
        for row in clip.records(frame):
            if row.area:
                record = records.setdefault(row.track, TrackRecord())
                if record.seen and not np.isnan(row.warped_iou):
                    record.iou_sum += row.warped_iou
                    record.links += 1
                record.seen |= 1 << place
        if duplicate_iou is not None:
            for pair, found in _alike(masks_of(clip.records(frame), clip.height, clip.width)):
                overlaps[pair] = overlaps.get(pair, 0.0) + found
    return records, overlaps


def _alike(masks: Mapping[int, BoxedMask]) -> Iterator[tuple[tuple[int, int], float]]:
    ids = list(masks)
    areas = np.array([masks[track].area for track in ids], np.int64)
    for small, large in near_pairs(list(masks.values()), areas, 0.5):
        pair = min(ids[small], ids[large]), max(ids[small], ids[large])
        if areas[small] < areas[large] or ids[small] < ids[large]:
            yield pair, iou(masks[pair[0]], masks[pair[1]])


def _duplicates(
    records: Mapping[int, TrackRecord],
    overlaps: Mapping[tuple[int, int], float],
    threshold: float,
    out: Mapping[int, str],
) -> set[int]:
    twins: dict[int, set[int]] = {}
    for (a, b), total in overlaps.items():
        if total / (records[a].seen | records[b].seen).bit_count() > threshold:
            twins.setdefault(a, set()).add(b)
            twins.setdefault(b, set()).add(a)
    gone: set[int] = set()
    stays: set[int] = set()
    for track in sorted((t for t in twins if t not in out), key=lambda t: (-records[t].length, t)):
        (gone if twins[track] & stays else stays).add(track)
    return gone
