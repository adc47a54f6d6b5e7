"""Frames in any order, SAM's offers, jobs."""

import threading
from pathlib import Path

import numpy as np
import pytest
from small_videos import scene, write_frames, write_video

from engine.annotation.candidates import Ask, Offerer, choose
from engine.annotation.carrying import StoppedError
from engine.annotation.jobs import Jobs
from engine.annotation.shelf import Shelf
from engine.errors import MugvosError, UsageError, VideoError
from engine.models.sam.making import make_prompter
from engine.types import PointPrompt
from engine.video import open_video

IMAGES = scene(5)[0]


@pytest.mark.parametrize("kind", ["frames", "clip.mp4"])
def test_frames_in_any_order(tmp_path: Path, kind: str) -> None:
    source = (write_video if kind.endswith("mp4") else write_frames)(tmp_path / kind, IMAGES)
    shelf = Shelf(open_video(source), 5)
    for index in (4, 0, 2, 4):
        assert shelf.jpeg(index)[:2] == b"\xff\xd8"
        difference = np.abs(shelf.image(index).astype(int) - IMAGES[index])
        assert difference.mean() < (12 if kind.endswith("mp4") else 0.1)
    assert shelf.ready == 5
    shelf.close()


@pytest.mark.parametrize("kind", ["frames", "clip.mp4"])
def test_frames_that_the_video_has_not(tmp_path: Path, kind: str) -> None:
    source = (write_video if kind.endswith("mp4") else write_frames)(tmp_path / kind, IMAGES)
    shelf = Shelf(open_video(source), 8)
    assert shelf.jpeg(4)
    with pytest.raises(VideoError, match="has no frame"):
        shelf.jpeg(6)
    shelf.close()


@pytest.mark.parametrize("kind", ["frames", "clip.mp4"])
def test_a_frame_beyond_the_end_is_not_waited_for(tmp_path: Path, kind: str) -> None:
    source = (write_video if kind.endswith("mp4") else write_frames)(tmp_path / kind, IMAGES)
    shelf = Shelf(open_video(source), 5)
    limit = threading.Timer(60, shelf.close)  # where somebody waits, this ends it
    limit.start()
    assert shelf.jpeg(4)
    for index in (5, 10**20):
        with pytest.raises(VideoError, match=f"has no frame {index}"):
            shelf.jpeg(index)
    assert limit.is_alive()
    limit.cancel()
    shelf.close()


def test_the_first_stable_mask_is_proposed_else_the_most_stable() -> None:
    assert choose(np.array([0.5, 0.96, 0.99]), 0.95) == 1
    assert choose(np.array([0.5, 0.94, 0.9]), 0.95) == 1
    assert choose(np.array([np.nan, np.nan, 0.1]), 0.95) == 2


@pytest.fixture(scope="module")
def offerer():
    made = Offerer(lambda: make_prompter("sam-tiny", random_weights=True), lambda clip, index: IMAGES[index])
    yield made
    made.close()


def test_three_nested_masks_for_points_and_boxes(offerer: Offerer) -> None:
    points = (PointPrompt(12.0, 20.0), PointPrompt(50.0, 40.0, False))
    for ask in (Ask(points), Ask(points, (8, 14, 26, 32)), Ask((), (8, 14, 26, 32))):
        offer = offerer.ask("clip", 0, ask)
        assert offer.masks.shape == (3, *IMAGES[0].shape[:2])
        areas = offer.masks.sum((1, 2))
        assert (np.diff(areas) >= 0).all()
        cell = offer.cell(offer.chosen, points)
        assert (cell.state, cell.candidate, cell.area) == ("refined", offer.chosen, areas[offer.chosen])
    assert offerer.encoder_calls == 1, "a click costs no pass of the encoder"


def test_frames_are_looked_at_ahead(offerer: Offerer) -> None:
    offerer.prefetch("clip", [1, 2])
    offerer.ask("clip", 2, Ask((PointPrompt(1, 1),)))
    assert offerer.ready("clip", 2)
    before = offerer.encoder_calls
    offerer.ask("clip", 2, Ask((PointPrompt(9, 9),)))
    assert offerer.encoder_calls == before


def test_pointing_at_nothing_is_refused(offerer: Offerer) -> None:
    with pytest.raises(UsageError, match="nothing was pointed at"):
        offerer.ask("clip", 0, Ask())


def test_an_error_of_the_model_reaches_everyone_who_asks() -> None:
    def broken() -> None:
        raise MugvosError("no weights")

    offerer = Offerer(broken, lambda clip, index: IMAGES[0])  # type: ignore[arg-type]
    for _ in range(2):
        with pytest.raises(MugvosError, match="no weights"):
            offerer.ask("clip", 0, Ask((PointPrompt(1, 1),)))
    offerer.close()


def test_jobs_finish_fail_and_stop() -> None:
    jobs, gate = Jobs(), threading.Event()

    def works(job):
        gate.wait(10)
        job.step(2)

    def fails(job):
        raise MugvosError("no memory")

    def bug(job):
        raise ZeroDivisionError("odd")

    def stopped(job):
        raise StoppedError

    numbers = [jobs.begin(2, {"clip": "a"}, work).id for work in (works, fails, bug, stopped, works)]
    jobs.stop(numbers[-1])
    gate.set()
    jobs._queue.put(None)
    jobs._thread.join()
    states = {job["id"]: (job["state"], job["done"], job["error"]) for job in jobs.plain()}
    assert list(states.values()) == [
        ("done", 2, ""),
        ("failed", 0, "no memory"),
        ("failed", 0, "ZeroDivisionError: odd"),
        ("stopped", 0, ""),
        ("stopped", 0, ""),
    ]
