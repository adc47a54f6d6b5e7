"""A propagation into a store: prompts on any frame, frame numbers, and that no interruption changes the result."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mmpm_toys import SIZE, toy_frames, toy_masks, toy_tracker
from small_videos import HEIGHT, WIDTH, scene, write_frames, write_mask, write_video

from engine.errors import Interrupted, MaskError, OutputError, StoreError
from engine.flow.dis import DISFlow
from engine.propagation.flow import FlowTracker
from engine.propagation.job import Job, stream, write_store
from engine.propagation.prompts import MaskPrompt, PromptSet, read_prompts
from engine.propagation.tracker import Tracker
from engine.store import StoreReader
from engine.types import Frame, Track, VideoInfo
from engine.video import VideoReader, open_video

WORKER = Path(__file__).with_name("job_worker.py")
Contents = dict[tuple[int, int], tuple[bytes, float]]


class Frames(VideoReader):
    """A video of frames in memory that counts how far it was read."""

    def __init__(self, frames: list[Frame], count_known: bool = True) -> None:
        height, width = frames[0].image.shape[:2]
        self.info = VideoInfo("memory", "clip", width, height, None, len(frames) if count_known else None)
        self.all = frames
        self.read = 0

    def count(self) -> int:
        return len(self.all)

    def _frames(self, start: int, stop: int | None, step: int) -> Iterator[Frame]:
        for frame in self.all[start:stop:step]:
            self.read = frame.index + 1
            yield frame


def contents(path: Path, clip: str = "clip") -> Contents:
    with StoreReader(path) as store:
        return {(r.frame, r.track): (r.counts, r.score) for r in store.clip(clip).records()}


def flow_job(video: VideoReader, prompts: list[MaskPrompt], **more: Any) -> Job:
    found = read_prompts(prompts, (video.info.height, video.info.width))
    return Job(video, found, FlowTracker(DISFlow()), "clip", **more)


def toy_job(tracker: Tracker | None = None, frames: int = 9) -> Job:
    given = toy_masks(3)
    tracks = [Track(1, "a"), Track(2, "b"), Track(4, "c", 3)]
    prompts = PromptSet(tracks, {0: {1: given[0], 2: given[1]}, 3: {4: given[2]}, 5: {1: given[1]}})
    return Job(Frames(toy_frames(frames)), prompts, tracker or toy_tracker(), "clip", segment_frames=2)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """30 frames in a file, and first.png, later.png beside it."""
    images, masks = scene(30)
    write_mask(tmp_path / "first.png", masks[0])
    write_mask(tmp_path / "later.png", masks[11])
    return write_video(tmp_path / "clip.mp4", images)


def test_masks_follow_the_object_from_its_frame_on(tmp_path: Path, video: Path) -> None:
    _, truth = scene(30)
    seen: list[int] = []
    with open_video(video) as reader:
        job = flow_job(reader, [MaskPrompt(tmp_path / "first.png"), MaskPrompt(tmp_path / "later.png", 11)])
        outcome = write_store(job, tmp_path / "out.h5", on_frame=seen.append)
    assert (outcome.frames, outcome.tracks, outcome.resumed_at) == (30, 2, 0)
    assert seen == list(range(30))
    with StoreReader(tmp_path / "out.h5") as store:
        clip = store.clip("clip")
        assert [(track.name, track.first_frame) for track in clip.tracks] == [("first", 0), ("later", 11)]
        assert (clip.frame_count, clip.complete, clip.fps) == (30, True, 25)
        assert np.allclose(clip.times, np.arange(30) / 25)
        assert np.array_equal(clip.mask(0, 1), truth[0])
        assert clip.mask(10, 2) is None
        assert np.array_equal(clip.mask(11, 2), truth[11])
        found = clip.mask(8, 1)
        assert (found & truth[8]).sum() > 0.6 * (found | truth[8]).sum(), "a mask that stays where it was has 0.38"
    assert not (tmp_path / "out.h5.part").exists()


def test_a_correction_takes_the_place_of_the_prediction(tmp_path: Path, video: Path) -> None:
    with open_video(video) as reader:
        prompts = [MaskPrompt(tmp_path / "first.png"), MaskPrompt(tmp_path / "first.png", 20, "first")]
        write_store(flow_job(reader, prompts), tmp_path / "out.h5")
    with StoreReader(tmp_path / "out.h5") as store:
        clip = store.clip("clip")
        assert len(clip.tracks) == 1
        assert np.array_equal(clip.mask(20, 1), scene(1)[1][0])
        assert not np.array_equal(clip.mask(19, 1), clip.mask(20, 1))
        assert len(list(clip.records())) == 30


def test_frames_before_the_first_prompt_leave_nothing(tmp_path: Path, video: Path) -> None:
    rows: list[tuple[int, int]] = []
    with open_video(video) as reader:
        job = flow_job(reader, [MaskPrompt(tmp_path / "later.png", 11)])
        stream(job, lambda number, time, records: rows.append((number, len(records))))
        write_store(job, tmp_path / "out.h5")
    assert rows == [(number, 1) for number in range(11, 30)]
    assert sorted(frame for frame, _ in contents(tmp_path / "out.h5")) == list(range(11, 30))


def test_a_wish_to_stop_is_met_before_the_first_prompt(tmp_path: Path) -> None:
    frames = Frames([Frame(i, np.zeros((HEIGHT, WIDTH, 3), np.uint8), str(i)) for i in range(100)])
    prompts = PromptSet([Track(1, "a", 99)], {99: {1: scene(1)[1][0]}})
    job = Job(frames, prompts, FlowTracker(DISFlow()), "clip")
    with pytest.raises(Interrupted):
        write_store(job, tmp_path / "out.h5", should_stop=lambda: frames.read >= 5)
    assert frames.read < 10
    assert not (tmp_path / "out.h5").exists()


@pytest.mark.parametrize("known", [True, False])
def test_a_prompt_on_a_frame_that_does_not_exist(tmp_path: Path, known: bool) -> None:
    frames = Frames([Frame(i, image, str(i)) for i, image in enumerate(scene(5)[0])], count_known=known)
    mask = scene(1)[1][0]
    job = Job(frames, PromptSet([Track(1, "a")], {0: {1: mask}, 5: {1: mask}}), FlowTracker(DISFlow()), "clip")
    with pytest.raises(MaskError, match="frame 5, the video has 5 frames"):
        write_store(job, tmp_path / "out.h5")
    assert not (tmp_path / "out.h5").exists()
    assert frames.read == (0 if known else 5), "told before any work where the count is known"


def test_images_are_called_by_the_numbers_in_their_names(tmp_path: Path) -> None:
    images, masks = scene(4)
    folder = write_frames(tmp_path / "clip", images, ["00010", "00015", "00020", "00025"])
    first = write_mask(tmp_path / "first.png", masks[0])
    with open_video(folder) as reader:
        write_store(flow_job(reader, [MaskPrompt(first), MaskPrompt(first, 20, "late")]), tmp_path / "out.h5")
        for wrong in (12, 1):
            with pytest.raises(MaskError, match=f"frame {wrong}, which the images do not have.*from 10 to 25"):
                stream(flow_job(reader, [MaskPrompt(first, wrong)]), lambda *_: None)
    with StoreReader(tmp_path / "out.h5") as store:
        clip = store.clip("clip")
        assert list(clip.frames) == [10, 15, 20, 25]
        assert [(track.name, track.first_frame) for track in clip.tracks] == [("first", 10), ("late", 20)]
    assert sorted(contents(tmp_path / "out.h5")) == [(10, 1), (15, 1), (20, 1), (20, 2), (25, 1), (25, 2)]


def test_frame_0_and_the_first_number_are_one_frame(tmp_path: Path) -> None:
    images, masks = scene(2)
    folder = write_frames(tmp_path / "clip", images, ["7", "8"])
    first = write_mask(tmp_path / "first.png", masks[0])
    with open_video(folder) as reader:
        write_store(flow_job(reader, [MaskPrompt(first), MaskPrompt(first, 7, "second")]), tmp_path / "out.h5")
        with pytest.raises(MaskError, match="two masks of one track on frame 7"):
            stream(flow_job(reader, [MaskPrompt(first), MaskPrompt(first, 7, "first")]), lambda *_: None)
    assert sorted(contents(tmp_path / "out.h5")) == [(7, 1), (7, 2), (8, 1), (8, 2)]


def test_a_stream_says_what_the_store_holds(tmp_path: Path, video: Path) -> None:
    both: Contents = {}
    alone: Contents = {}

    def into(found: Contents) -> Callable[..., None]:
        return lambda number, time, records: found.update({(number, r.track): (r.counts, r.score) for r in records})

    with open_video(video) as reader:
        job = flow_job(reader, [MaskPrompt(tmp_path / "first.png")])
        write_store(job, tmp_path / "out.h5", on_records=into(both))
        stream(flow_job(reader, [MaskPrompt(tmp_path / "first.png")]), into(alone))
    stored = contents(tmp_path / "out.h5")
    assert both == alone
    assert stored.keys() == both.keys()
    for key, (counts, score) in stored.items():
        assert counts == both[key][0]
        assert score == pytest.approx(both[key][1], abs=1e-6)


@pytest.mark.parametrize("memory", ["temporal", "long-term"])
def test_stopped_after_every_frame_equals_unbroken(tmp_path: Path, memory: str) -> None:
    write_store(toy_job(toy_tracker(memory=memory)), tmp_path / "whole.h5")
    began = []
    for _ in range(20):
        try:
            job = toy_job(toy_tracker(memory=memory))
            began.append(write_store(job, tmp_path / "broken.h5", should_stop=lambda: True).resumed_at)
            break
        except Interrupted:
            assert not (tmp_path / "broken.h5").exists()
    assert began == [9]
    assert contents(tmp_path / "broken.h5") == contents(tmp_path / "whole.h5")
    assert len({counts for counts, _ in contents(tmp_path / "whole.h5").values()}) > 10, "masks change"


class Dying:
    """A tracker that fails at one of its steps."""

    def __init__(self, tracker: Tracker, step: int) -> None:
        self._tracker, self._left = tracker, step

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracker, name)

    def step(self, frame: Any, last: bool = False) -> Any:
        self._left -= 1
        if self._left < 0:
            raise RuntimeError("died")
        return self._tracker.step(frame, last)


def test_a_failure_between_two_segments_costs_only_the_frames_since(tmp_path: Path) -> None:
    write_store(toy_job(), tmp_path / "whole.h5")
    with pytest.raises(RuntimeError, match="died"):
        write_store(toy_job(Dying(toy_tracker(), 4)), tmp_path / "broken.h5")
    outcome = write_store(toy_job(), tmp_path / "broken.h5")
    assert outcome.resumed_at == 4
    assert contents(tmp_path / "broken.h5") == contents(tmp_path / "whole.h5")


def test_other_parameters_are_refused_and_named(tmp_path: Path) -> None:
    frames = [Frame(i, image, str(i)) for i, image in enumerate(scene(6)[0])]
    prompts = PromptSet([Track(1, "a")], {0: {1: scene(1)[1][0]}})

    def run(seed: int, stop: bool = False, overwrite: bool = False) -> int:
        job = Job(Frames(frames), prompts, FlowTracker(DISFlow()), "clip", parameters={"seed": seed})
        return write_store(job, tmp_path / "out.h5", overwrite, should_stop=lambda: stop).resumed_at

    with pytest.raises(Interrupted):
        run(0, stop=True)
    with pytest.raises(StoreError, match=r"seed \(was 0, now 1\).*--overwrite"):
        run(1)
    assert run(0) == 1
    with pytest.raises(OutputError, match="--overwrite"):
        run(0)
    assert run(1, overwrite=True) == 0


def test_the_size_of_toys_is_that_of_their_masks() -> None:
    assert toy_masks(1).shape[1:] == SIZE == toy_frames(1)[0].image.shape[:2]


def worker(video: Path, output: Path, pause: float) -> subprocess.Popen[str]:
    masks = (str(video.with_name("first.png")), f"{video.with_name('later.png')}@11")
    return subprocess.Popen(
        [sys.executable, str(WORKER), str(video), str(output), str(pause), *masks], stdout=subprocess.PIPE, text=True
    )


def finish(video: Path, output: Path) -> None:
    with worker(video, output, 0) as process:
        process.communicate(timeout=60)
    assert process.returncode == 0


def test_killed_at_several_moments_equals_unbroken(tmp_path: Path, video: Path) -> None:
    finish(video, tmp_path / "whole.h5")
    for moment in (2, 9, 14, 27):
        with worker(video, tmp_path / "broken.h5", 0.02) as process:
            assert process.stdout is not None
            for line in process.stdout:
                if int(line) >= moment:
                    process.kill()
                    break
        assert process.returncode == -9
        assert not (tmp_path / "broken.h5").exists()
    manifest = json.loads((tmp_path / "broken.h5.part" / "manifest.json").read_text())
    assert manifest["next_frame"] >= 24, "each run went on from the one before"
    finish(video, tmp_path / "broken.h5")
    assert contents(tmp_path / "broken.h5") == contents(tmp_path / "whole.h5")
    assert not (tmp_path / "broken.h5.part").exists()
