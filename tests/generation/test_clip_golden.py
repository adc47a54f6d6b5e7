"""A whole clip on recorded frames and flow: the reference's masks, few calls, and the same after any interruption."""

import math
from typing import Any

import numpy as np
import pytest
from pipeline_golden import SETTINGS, RecordedFlow, RecordedPoints, frames, recorded
from sam_golden import golden_sam

from engine.generation.births import ProposalBirths
from engine.generation.clip import RunningClip, Tools
from engine.generation.cycle import consistent, warp
from engine.generation.linking import Linker, LinkSettings
from engine.generation.sampling import PointSampler
from engine.generation.settings import GenerateSettings
from engine.masks import rle
from engine.models.sam.prompting import Prompter
from engine.types import MaskRecord


def running(sampler: Any = None, at_once: int | None = None, a_pass: int | None = None, **more: Any) -> RunningClip:
    settings = GenerateSettings(proposals=SETTINGS, **more)
    prompter = Prompter(golden_sam(), prompts_a_pass=a_pass)
    linker = Linker(prompter, settings.link, at_once)
    sampler = sampler or PointSampler(settings.seed, "clip", prompts=2)
    births = ProposalBirths(prompter, settings, "clip")
    return RunningClip(Tools(prompter, linker, RecordedFlow(), sampler, births), settings)


@pytest.fixture(scope="module")
def whole() -> list[list[MaskRecord]]:
    clip = running()
    return [clip.step(index, index, frame) for index, frame in enumerate(frames())]


def test_the_recorded_loop_from_first_frame_to_last() -> None:
    clip = running(RecordedPoints(), 1000)
    prompter, linker = clip._tools.prompter, clip._tools.linker
    upsampled = 0
    for index, frame in enumerate(frames()):
        calls = prompter.encoder_calls, prompter.decoder_calls
        records = clip.step(index, index, frame)
        assert prompter.encoder_calls - calls[0] == 1
        assert prompter.decoder_calls - calls[1] <= (1 if index == 0 else 5)
        expected = recorded("origin", index)
        assert [record.track for record in records] == [entry["id"] for entry in expected]
        for record, entry in zip(records, expected, strict=True):
            assert record.counts == entry["counts"].encode()
            assert record.warped_iou == pytest.approx(entry["iou"], abs=1e-7)
            assert [[p.x, p.y] for p in record.points] == (entry["point_coords"] or [])
        upsampled, before = linker.upsampled, upsampled
        assert upsampled - before <= 3 * 5 * 18
    # 1205 prompts have 3615 masks, of which each is upsampled one by one in the reference.
    assert upsampled < 0.1 * 3615


def test_kept_masks_do_not_depend_on_batches_or_interruptions() -> None:
    keep = LinkSettings(keep_warped=0.8)
    expected = running(link=keep)
    expected.step(0, 0, frames()[0])
    calls = expected._tools.prompter.decoder_calls
    first = expected.step(1, 1, frames()[1])
    assert expected._tools.prompter.decoder_calls - calls == 2  # rounds that demand less than 0.8 are not asked
    second = running(at_once=7, link=keep)
    second.load_state(expected.state())
    second.resume(frames()[1])
    after = expected.step(2, 2, frames()[2])
    assert any(math.isnan(record.score) for record in first + after if record.area)
    assert _same(second.step(2, 2, frames()[2]), after)


def test_an_interruption_changes_nothing(whole: list[list[MaskRecord]]) -> None:
    for stop in (1, 2, 3):
        first = running()
        for index in range(stop):
            first.step(index, index, frames()[index])
        second = running()
        second.load_state(first.state())
        second.resume(frames()[stop - 1])
        for index in range(stop, 4):
            assert _same(second.step(index, index, frames()[index]), whole[index])
    assert second.tracks() == _tracks(4)


@pytest.mark.parametrize("at_once", [2, 7, 300])
def test_what_is_decoded_together_changes_nothing(at_once: int, whole: list[list[MaskRecord]]) -> None:
    clip = running(at_once=at_once)
    for index in (0, 1):
        assert _same(clip.step(index, index, frames()[index]), whole[index])


def test_the_least_iou_ends_tracks_instead(whole: list[list[MaskRecord]]) -> None:
    clip = running(link=LinkSettings(least_iou=0.5))
    clip.step(0, 0, frames()[0])
    ended = {record.track for record in whole[1] if record.area and record.warped_iou < 0.5}
    assert ended
    for record, free in zip(clip.step(1, 1, frames()[1]), whole[1], strict=True):
        assert _same([record], [free]) if record.track not in ended else record.area == 0


def test_warped_masks_are_kept_where_no_candidate_is_like_them(whole: list[list[MaskRecord]]) -> None:
    clip = running(link=LinkSettings(keep_warped=0.4))
    clip.step(0, 0, frames()[0])
    there, back = RecordedFlow().both(frames()[0], frames()[1])
    carried = warp(list(clip._masks.values()), back, consistent(there, back))
    records = clip.step(1, 1, frames()[1])
    kept = [record for record in records if record.area and record.warped_iou < 0.4]
    assert 0 < len(kept) < len(records)
    for record, mask, free in zip(records, carried, whole[1], strict=True):
        if record not in kept:
            assert _same([record], [free])
            continue
        assert np.array_equal(rle.decode(record.counts, 96, 128), mask.whole(96, 128))
        assert record.warped_iou == free.warped_iou  # of the candidate that was not taken
        assert not record.points and math.isnan(record.score) and math.isnan(record.stability)


def test_keeping_no_warped_mask_is_the_papers_way(whole: list[list[MaskRecord]]) -> None:
    clip = running(link=LinkSettings(keep_warped=0.0))
    for index in (0, 1):
        assert _same(clip.step(index, index, frames()[index]), whole[index])


def test_a_track_may_be_kept_or_end() -> None:
    clips = [running(link=LinkSettings(keep_warped=0.4, least_iou=least)) for least in (None, 0.2)]
    kept, both = ([clip.step(index, index, frames()[index]) for index in (0, 1)][1] for clip in clips)
    assert {bool(record.warped_iou < 0.2) for record in kept if record.warped_iou < 0.4} == {True, False}
    for record, alone in zip(both, kept, strict=True):
        assert record.area == 0 if alone.warped_iou < 0.2 else _same([record], [alone])


@pytest.mark.parametrize(
    ("keep", "demands"),
    [
        (None, (0.9, 0.8, 0.7, 0.6, 0.5)),
        (0.3, (0.9, 0.8, 0.7, 0.6, 0.3)),
        (0.8, (0.9, 0.8)),
        (0.75, (0.9, 0.8, 0.75)),
        (0.95, (0.95,)),
    ],
)
def test_rounds_that_demand_less_are_not_asked(keep: float | None, demands: tuple[float, ...]) -> None:
    assert LinkSettings(keep_warped=keep).demands == demands


def test_new_tracks_begin_where_nothing_is_tracked() -> None:
    clip = running(reseed_every=2, most_tracks=5)
    first = clip.step(0, 0, frames()[0])
    assert len(first) == 5
    clip.step(1, 1, frames()[1])
    for track in list(clip._masks)[:4]:
        clip._masks[track] = type(clip._masks[track])(0, 0, np.zeros((0, 0), np.bool_))
    covered = clip._masks[4].whole(96, 128)
    records = clip.step(2, 2, frames()[2])
    new = [record for record in records if record.track > 4]
    assert 0 < len(new) <= 5 and [record.track for record in new] == list(range(5, 5 + len(new)))
    assert all(record.area for record in new)
    assert sum(record.area > 0 for record in records) <= 5
    assert {track.first_frame for track in clip.tracks() if track.id > 4} == {2}
    assert covered.any()


def _tracks(count: int) -> list[Any]:
    clip = running()
    for index in range(count):
        clip.step(index, index, frames()[index])
    return clip.tracks()


def _same(first: list[MaskRecord], second: list[MaskRecord]) -> bool:
    return [repr(record) for record in first] == [repr(record) for record in second]
