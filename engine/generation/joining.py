"""The stores of single clips into the one that was asked for, one clip in memory at a time.

Knows stores and what a track needs to stay. Clips of which all tracks stay are copied as they are.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.generation.executors.work import Job
from engine.generation.quality import QualitySettings, judge, write_judged
from engine.store import StoreReader, StoreWriter
from engine.store.parts import Parts
from engine.store.room import check_room


@dataclass
class Joined:
    """What the store holds; left_out: tracks that do not."""

    clips: int = 0
    tracks: int = 0
    masks: int = 0
    left_out: int = 0


def join(
    jobs: Callable[[], Iterable[Job]],
    output: Path,
    quality: QualitySettings,
    parts: Parts | None = None,
    on_clip: Callable[[int], None] = lambda done: None,
) -> Joined:
    """Write the clips of all jobs. `jobs` is asked twice: for sizes, then for clips.

    Raises OutputError, before anything is written, where the disk has no room for it.
    """
    check_room(output, (job.store for job in jobs()))
    joined = Joined()
    with StoreWriter(output, overwrite=True, parts=parts) as writer:
        for job in jobs():
            _add(writer, job, quality, joined)
            on_clip(joined.clips)
    return joined


def _add(writer: StoreWriter, job: Job, quality: QualitySettings, joined: Joined) -> None:
    name = job.task.name
    with StoreReader(job.store) as reader:
        joined.clips += 1
        if not quality.asks:
            writer.copy_clip(name, reader.group(name))
            tracks, masks = reader.tally(name)
            joined.tracks += tracks
            joined.masks += masks
            return
        clip = reader.clip(name)
        known = _agreement(job) if job.backwards else {}
        out = judge(clip, quality, known)
        write_judged(writer, clip, out, quality)
        joined.tracks += len(clip.tracks) - len(out)
        joined.masks += sum(1 for record in clip.records() if record.area and record.track not in out)
        joined.left_out += len(out)


def _agreement(job: Job) -> dict[int, float]:
    from engine.generation.drift import kept_agreement  # networks, which only this needs

    return kept_agreement(job.task.name, job.store)
