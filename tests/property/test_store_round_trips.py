"""Any masks -> store -> any format -> store: what docs/store.md promises of each format."""

import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from mask_strategies import Clip, clips

from engine.errors import FormatError
from engine.masks import rle
from engine.store import StoreReader, StoreWriter, export, open_source
from engine.store.source import ClipMasks
from engine.types import MaskRecord

QUICK = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
NAN = float("nan")
OUTPUTS = {"store": "a.h5", "coco": "a.json", "youtube-vis": "a.json", "sa-v": "a.json", "ndjson": "a.ndjson"}


def write(clip: Clip, path: Path) -> None:
    with StoreWriter(path) as writer:
        writer.add_clip(
            clip.name, clip.width, clip.height, len(clip.frames), clip.tracks, clip.records, frames=clip.frames
        )


def row(record: MaskRecord, scores: int = 2, points: bool = True) -> tuple[object, ...]:
    """A record as something that compares, NaN included. scores: how many of score and stability."""
    known = tuple(repr(value) for value in (record.score, record.stability)[:scores])
    return (record.frame, record.track, record.counts, record.area, record.box, *known, record.points if points else ())


def rows(records: list[MaskRecord], scores: int = 2, points: bool = True) -> list[tuple[object, ...]]:
    return [row(record, scores, points) for record in records]


def through(clip: Clip, format: str, check: Callable[[ClipMasks], None], **options: bool) -> None:
    """Store -> format -> store, checking the clip as the format's reader and as the second store show it."""
    with tempfile.TemporaryDirectory() as folder:
        first, foreign, second = Path(folder, "first.h5"), Path(folder, OUTPUTS.get(format, "a")), Path(folder, "z.h5")
        write(clip, first)
        export(first, foreign, format, **options)
        with open_source(foreign) as source:
            assert source.format == format
            assert list(source.clips) == [clip.name] or format in ("davis", "mugvos", "pipeline")
            check(source.clip(source.clips[0]))
        export(foreign, second)
        with StoreReader(second) as reader:
            check(reader.clip(reader.clips[0]))


@given(clips())
@QUICK
def test_store(clip: Clip) -> None:
    def check(found: ClipMasks) -> None:
        assert (found.height, found.width, list(found.frames)) == (clip.height, clip.width, clip.frames)
        assert list(found.tracks) == clip.tracks
        assert rows(list(found.records())) == rows(clip.records)
        for record in clip.records:
            mask = found.mask(record.frame, record.track)
            assert mask is not None and rle.encode(mask) == record.counts

    through(clip, "store", check)


@given(clips())
@QUICK
def test_coco(clip: Clip) -> None:
    def check(found: ClipMasks) -> None:
        assert (found.height, found.width, list(found.frames)) == (clip.height, clip.width, clip.frames)
        assert list(found.tracks) == clip.tracks
        assert rows(list(found.records())) == rows(clip.records)

    through(clip, "coco", check)


@given(clips())
@QUICK
def test_youtube_vis(clip: Clip) -> None:
    def check(found: ClipMasks) -> None:
        assert (found.height, found.width, list(found.frames)) == (clip.height, clip.width, clip.frames)
        assert list(found.tracks) == clip.tracks
        assert rows(list(found.records()), scores=1, points=False) == rows(clip.records, scores=1, points=False)

    through(clip, "youtube-vis", check)


@given(clips())
@QUICK
def test_sa_v(clip: Clip) -> None:
    """Missing masks come back empty; of the scores only stability is held."""
    blank = rle.empty(clip.height, clip.width)
    known = {(record.frame, record.track): (record.counts, repr(record.stability)) for record in clip.records}
    expected = {(f, t.id): known.get((f, t.id), (blank, "nan")) for f in clip.frames for t in clip.tracks}

    def check(found: ClipMasks) -> None:
        assert (found.height, found.width, list(found.frames)) == (clip.height, clip.width, clip.frames)
        assert [(track.id, track.name) for track in found.tracks] == [(track.id, track.name) for track in clip.tracks]
        assert {(r.frame, r.track): (r.counts, repr(r.stability)) for r in found.records()} == expected

    through(clip, "sa-v", check)


@pytest.mark.parametrize("nested", [False, True])
@given(clip=clips())
@QUICK
def test_pipeline(clip: Clip, nested: bool) -> None:
    """Tracks are numbers only; stability is lost, nested also the points. A clip without masks has no size."""
    if not clip.records:
        return

    def check(found: ClipMasks) -> None:
        assert (found.height, found.width, list(found.frames)) == (clip.height, clip.width, clip.frames)
        assert rows(list(found.records()), 1, not nested) == rows(clip.records, 1, not nested)

    through(clip, "pipeline", check, nested=nested)


@given(clips())
@QUICK
def test_ndjson(clip: Clip) -> None:
    """Only frames and tracks that have masks; stability and points are lost."""
    if not clip.records:
        return

    def check(found: ClipMasks) -> None:
        assert (found.height, found.width) == (clip.height, clip.width)
        names = {track.id: track.name for track in clip.tracks}
        assert all(names[track.id] == track.name for track in found.tracks)
        assert rows(list(found.records()), 1, False) == rows(clip.records, 1, False)

    through(clip, "ndjson", check)


@pytest.mark.parametrize("predictions", [False, True])
@given(clip=clips())
@QUICK
def test_mugvos(clip: Clip, predictions: bool) -> None:
    """Masks by track name, where names are plain and differ."""
    tracks = [replace(track, name=f"track_{index:03d}") for index, track in enumerate(clip.tracks)]
    clip = replace(clip, tracks=tracks)
    if not clip.records:
        return
    names = {track.id: track.name for track in tracks}
    expected = {(record.frame, names[record.track]): record.counts for record in clip.records}

    def check(found: ClipMasks) -> None:
        assert (found.height, found.width) == (clip.height, clip.width)
        back = {track.id: track.name for track in found.tracks}
        assert sorted(back.values()) == sorted(names.values())
        assert {(r.frame, back[r.track]): r.counts for r in found.records()} == expected

    through(clip, "mugvos", check, predictions=predictions)


@given(clips())
@QUICK
def test_davis(clip: Clip) -> None:
    """Overlaps are refused; flattened, the map shows at each pixel the smallest mask that covers it."""
    stacked: dict[int, np.ndarray] = {}
    overlap = False
    value_of = {track.id: index for index, track in enumerate(clip.tracks, 1)}
    if all(1 <= track.id <= 254 for track in clip.tracks):
        value_of = {track.id: track.id for track in clip.tracks}
    for frame in clip.frames:
        image = np.zeros((clip.height, clip.width), np.uint8)
        for record in sorted((r for r in clip.records if r.frame == frame), key=lambda r: -r.area):
            mask = rle.decode(record.counts, clip.height, clip.width)
            overlap = overlap or bool(image[mask].any())
            image[mask] = value_of[record.track]
        stacked[frame] = image

    def check(found: ClipMasks) -> None:
        assert (found.height, found.width, list(found.frames)) == (clip.height, clip.width, clip.frames)
        assert {track.id for track in found.tracks} == {int(v) for i in stacked.values() for v in np.unique(i) if v}
        for frame, image in stacked.items():
            assert all(np.array_equal(found.mask(frame, t.id), image == t.id) for t in found.tracks)

    if overlap:
        with pytest.raises(FormatError, match=r"overlap in frame \d+.*--flatten"):
            through(clip, "davis", check)
    through(clip, "davis", check, flatten=overlap)
