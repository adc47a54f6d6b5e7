"""Sentences into a store: windows, frame numbers, interruptions, and masks handed over to a tracker."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from text_toys import GREEN, RED, SIZE, ColourAsker, squares

from engine.errors import Interrupted, OutputError, StoreError, UsageError, VideoError
from engine.flow.dis import DISFlow
from engine.propagation.backwards import Backwards
from engine.propagation.flow import FlowTracker
from engine.propagation.handover import Handover, write_handed_over
from engine.propagation.text import TextJob, stream_text, write_text_store
from engine.store import StoreReader
from engine.types import Frame, VideoInfo
from engine.video import VideoReader


class Frames(VideoReader):
    """A video of frames in memory; `names` are those of image files, if any."""

    def __init__(self, frames: list[Frame], names: list[str] | None = None) -> None:
        self.info = VideoInfo("memory", "clip", SIZE[1], SIZE[0], None, len(frames))
        self.all, self._names, self.most = frames, names, 0

    def count(self) -> int:
        return len(self.all)

    def names(self) -> list[str] | None:
        return self._names

    def _frames(self, start: int, stop: int | None, step: int) -> Iterator[Frame]:
        yield from self.all[start:stop:step]


def text_job(count: int = 12, names: list[str] | None = None, blind: tuple[int, ...] = (), **more: Any) -> TextJob:
    asker = ColourAsker([RED, GREEN], blind)
    options = {"parameters": {"weights": "none"}, "window": 5} | more
    return TextJob(Frames(squares(count)[0], names), [RED, GREEN], asker, "clip", **options)


def contents(path: Path) -> dict[tuple[int, int], tuple[bytes, float]]:
    with StoreReader(path) as store:
        return {(r.frame, r.track): (r.counts, r.score) for r in store.clip("clip").records()}


def iou(first: np.ndarray | None, second: np.ndarray) -> float:
    assert first is not None
    return float((first & second).sum() / (first | second).sum())


def test_each_sentence_is_a_track_and_the_video_is_passed_once(tmp_path: Path) -> None:
    job, done = text_job(), []
    outcome = write_text_store(job, tmp_path / "out.h5", on_frame=done.append)
    assert (outcome.frames, outcome.resumed_at) == (12, 0)
    assert job.asker.windows == [5, 5, 2]
    assert done == [2.5, 5, 7.5, 10, 11, 12]
    _, truth = squares(12)
    with StoreReader(tmp_path / "out.h5") as store:
        clip = store.clip("clip")
        assert [(track.id, track.name) for track in clip.tracks] == [(1, RED), (2, GREEN)]
        for at in range(12):
            assert np.array_equal(clip.mask(at, 1), truth[RED][at])
            assert np.array_equal(clip.mask(at, 2), truth[GREEN][at])
        assert clip.record(7, 2).score == pytest.approx(0.9)
        assert clip.times[3] == pytest.approx(3 / 25)
        assert clip.provenance["choices"] == outcome.choices
    first = outcome.choices[1]
    assert (first["first_frame"], first["frames"]) == (5, 5)
    assert first["sentences"][0] == {
        "track": 1,
        "text": RED,
        "query": 1,
        "score": pytest.approx(0.78),
        "scores": [0.1, pytest.approx(0.78)],
    }


def test_images_go_by_the_numbers_in_their_names(tmp_path: Path) -> None:
    write_text_store(text_job(6, [f"{10 * at + 5}" for at in range(6)]), tmp_path / "out.h5")
    assert sorted({frame for frame, _ in contents(tmp_path / "out.h5")}) == [5, 15, 25, 35, 45, 55]


def test_a_stopped_run_goes_on_after_its_last_window_and_changes_nothing(tmp_path: Path) -> None:
    write_text_store(text_job(), tmp_path / "whole.h5")
    job = text_job()
    with pytest.raises(Interrupted):
        write_text_store(job, tmp_path / "out.h5", should_stop=lambda: len(job.asker.windows) == 2)
    with pytest.raises(StoreError, match="other parameters"):
        write_text_store(text_job(parameters={"weights": "others"}), tmp_path / "out.h5")
    again = text_job()
    outcome = write_text_store(again, tmp_path / "out.h5")
    assert outcome.resumed_at == 5 and again.asker.windows == [5, 2]
    assert contents(tmp_path / "out.h5") == contents(tmp_path / "whole.h5")
    assert [choice["first_frame"] for choice in outcome.choices] == [0, 5, 10]


def test_lines_without_a_store() -> None:
    seen = []
    outcome = stream_text(text_job(7), lambda frame, time, records: seen.append((frame, len(records))))
    assert seen == [(at, 2) for at in range(7)] and outcome.frames == 7


@pytest.mark.parametrize(
    ("sentences", "window", "message"),
    [([], 5, "no sentence"), ([RED, RED], 5, "given twice"), ([RED], 0, "a window of 0 frames")],
)
def test_jobs_that_make_no_sense(sentences: list[str], window: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TextJob(Frames(squares(2)[0]), sentences, ColourAsker(sentences), "clip", window=window)


def test_a_video_without_frames(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no frames in it"):
        write_text_store(text_job(0), tmp_path / "out.h5")


def test_a_video_backwards() -> None:
    still = squares(1)[0][0]
    video = Frames([replace(still, index=at, image=np.full_like(still.image, at), time=at / 25) for at in range(40)])
    back = Backwards(video, 37)
    assert [(frame.index, frame.time) for frame in back] == [(at, (37 - at) / 25) for at in range(38)]
    assert [frame.index for frame in back.frames(16, 30)] == list(range(16, 30))
    assert [frame.index for frame in back.frames(3, 30, 9)] == [3, 12, 21]
    assert back.count() == back.info.frame_count == 38
    assert np.array_equal(next(back.frames(20)).image, video.all[17].image)


def handover(count: int = 12, blind: tuple[int, ...] = (0, 2), **more: Any) -> Handover:
    text = text_job(count, blind=blind)
    values = {"make_tracker": lambda: FlowTracker(DISFlow()), "exclusive": False, "parameters": {"model": "dis"}}
    return Handover(text, **{**values, **more})


def test_the_best_mask_is_carried_both_ways_through_gaps(tmp_path: Path) -> None:
    seen = set()
    job = handover()
    handed = write_handed_over(job, tmp_path / "out.h5", on_frame=lambda stage, done, total: seen.add(stage))
    assert handed.best == {1: (7, pytest.approx(0.9)), 2: (7, pytest.approx(0.9))}
    assert handed.frames == 12 and len(handed.choices) == 3
    assert seen == {"looking", "forwards", "backwards"}
    assert [path.name for path in tmp_path.iterdir()] == ["out.h5"]
    _, truth = squares(12)
    with StoreReader(tmp_path / "out.h5") as store:
        clip = store.clip("clip")
        assert list(clip.frames) == list(range(12)) and len(list(clip.records())) == 24
        for at in range(12):
            assert iou(clip.mask(at, 1), truth[RED][at]) > (0.8 if 5 <= at <= 9 else 0.5)  # flow drifts
            assert iou(clip.mask(at, 2), truth[GREEN][at]) > (0.8 if 5 <= at <= 9 else 0.5)
        assert clip.record(7, 1).score == pytest.approx(0.9)
        assert clip.provenance["best"] == {"1": 7, "2": 7} and clip.provenance["then"] == {"model": "dis"}


def test_a_stopped_hand_over_goes_on_in_its_stage(tmp_path: Path) -> None:
    write_handed_over(handover(), tmp_path / "whole.h5")
    stages: list[str] = []
    with pytest.raises(Interrupted):
        write_handed_over(
            handover(),
            tmp_path / "out.h5",
            on_frame=lambda stage, done, total: stages.append(stage),
            should_stop=lambda: stages[-1:] == ["backwards"],
        )
    with pytest.raises(OutputError, match="other parameters"):
        write_handed_over(handover(parameters={"model": "other"}), tmp_path / "out.h5")
    again: list[str] = []
    write_handed_over(handover(), tmp_path / "out.h5", on_frame=lambda stage, done, total: again.append(stage))
    assert set(again) == {"backwards"}
    assert contents(tmp_path / "out.h5") == contents(tmp_path / "whole.h5")


def test_what_was_never_seen_stays_empty(tmp_path: Path) -> None:
    handed = write_handed_over(handover(7, blind=(0, 1)), tmp_path / "out.h5")
    assert handed.best == {}
    with StoreReader(tmp_path / "out.h5") as store:
        assert [record.area for record in store.clip("clip").records()] == [0] * 14
