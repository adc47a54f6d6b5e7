"""Objects found on the way, into a store: tracks begin where they are found, and no interruption changes the result."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from small_videos import HEIGHT, WIDTH, scene
from test_job import Frames, contents

from engine.errors import Interrupted, StoreError, VideoError
from engine.propagation.detecting_job import DetectingJob, stream_detected, write_detected_store
from engine.propagation.deva_online import Found
from engine.store import StoreReader
from engine.types import Frame


class LateLoop:
    """Answers three frames at a time: object 1 everywhere, object 2 from the fourth frame on."""

    def __init__(self) -> None:
        self.tracker = SimpleNamespace(frames=SimpleNamespace(masks_out=lambda frame, soft: soft.numpy()))
        self.fed = 0
        self._held: list[np.ndarray] = []

    @property
    def waiting(self) -> int:
        return len(self._held)

    def feed(self, image: np.ndarray, last: bool = False) -> list[Found]:
        self.fed += 1
        self._held.append(image)
        if len(self._held) < 3 and not last:
            return []
        held, self._held = self._held, []
        first = self.fed - len(held)
        return [self._found(first + at, image) for at, image in enumerate(held)]

    def state(self) -> dict[str, Any]:
        return {"fed": self.fed}

    def load_state(self, state: dict[str, Any]) -> None:
        self.fed = int(state["fed"])

    def _found(self, at: int, image: np.ndarray) -> Found:
        bright = torch.from_numpy((image.mean(2) > 125).astype(np.float32))
        objects = [1, 2] if at >= 3 else [1]
        return Found(None, torch.stack([bright, 1 - bright])[: len(objects)], objects)


def job(count: int = 11, **more: Any) -> DetectingJob:
    frames = [Frame(at, image, str(at)) for at, image in enumerate(scene(count)[0])]
    return DetectingJob(Frames(frames), LateLoop(), "clip", **{"segment_frames": 2, **more})


def test_tracks_begin_where_they_are_found(tmp_path: Path) -> None:
    outcome = write_detected_store(job(), tmp_path / "a.h5")
    assert (outcome.frames, outcome.tracks, outcome.resumed_at) == (11, 2, 0)
    found = contents(tmp_path / "a.h5")
    assert sorted(found) == sorted([*((at, 1) for at in range(11)), *((at, 2) for at in range(3, 11))])
    with StoreReader(tmp_path / "a.h5") as store:
        clip = store.clip("clip")
        assert [(track.id, track.first_frame) for track in clip.tracks] == [(1, 0), (2, 3)]
        assert (clip.height, clip.width) == (HEIGHT, WIDTH)


@pytest.mark.parametrize("stop", [1, 4, 6, 10])
def test_an_interruption_changes_nothing(tmp_path: Path, stop: int) -> None:
    write_detected_store(job(), tmp_path / "whole.h5")
    first, asked = job(), iter(range(1, 100))
    with pytest.raises(Interrupted):
        write_detected_store(first, tmp_path / "cut.h5", should_stop=lambda: next(asked) >= stop)
    assert first.loop.waiting == 0
    outcome = write_detected_store(job(), tmp_path / "cut.h5")
    assert outcome.resumed_at == first.loop.fed > 0
    assert contents(tmp_path / "cut.h5") == contents(tmp_path / "whole.h5")
    with StoreReader(tmp_path / "cut.h5") as store:
        assert [(track.id, track.first_frame) for track in store.clip("clip").tracks] == [(1, 0), (2, 3)]


def test_a_killed_run_goes_on_where_nothing_was_waiting(tmp_path: Path) -> None:
    write_detected_store(job(), tmp_path / "whole.h5")

    def die(index: int) -> None:
        if index == 7:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        write_detected_store(job(), tmp_path / "cut.h5", on_frame=die)
    assert write_detected_store(job(), tmp_path / "cut.h5").resumed_at == 6
    assert contents(tmp_path / "cut.h5") == contents(tmp_path / "whole.h5")


def test_other_parameters_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        write_detected_store(job(parameters={"every": 5}), tmp_path / "a.h5", should_stop=lambda: True)
    with pytest.raises(StoreError, match="every"):
        write_detected_store(job(parameters={"every": 4}), tmp_path / "a.h5")


def test_lines_without_a_store() -> None:
    told: list[tuple[int, list[int]]] = []
    outcome = stream_detected(job(5), lambda frame, time, records: told.append((frame, [r.track for r in records])))
    assert outcome.tracks == 2
    assert told == [(0, [1]), (1, [1]), (2, [1]), (3, [1, 2]), (4, [1, 2])]


def test_a_video_without_frames_is_an_error(tmp_path: Path) -> None:
    empty = job(1)
    empty.video.all.clear()
    with pytest.raises(VideoError, match="no frames"):
        write_detected_store(empty, tmp_path / "a.h5")
