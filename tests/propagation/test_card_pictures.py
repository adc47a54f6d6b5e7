"""Trackers fed with pictures that lie on a device already see what they see in arrays, up to resizing's rounding."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmpm_toys import toy_frames, toy_masks, toy_tracker

from engine.models.mavos.preprocess import prepared, prepared_there
from engine.models.mmpm.preprocess import resize_image, resize_there
from engine.propagation.job import Job, write_store
from engine.propagation.prompts import PromptSet
from engine.store import StoreReader
from engine.types import Track, UInt8Array
from engine.video import VideoWriter, open_video
from engine.video.container import ContainerReader
from engine.video.on_card import CardPicture


def smooth(height: int, width: int) -> UInt8Array:
    rows, columns = np.mgrid[:height, :width]
    planes = [np.sin(rows / (5 + k)) + np.cos(columns / (7 + k)) for k in range(3)]
    return (np.stack(planes, 2) * 60 + 128).astype(np.uint8)


@pytest.mark.parametrize("size", [(30, 40), (61, 83), (120, 160), (97, 33), (60, 80)])
def test_resizing_there_is_resizing_here(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    for picture in (smooth(60, 80), rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)):
        there = resize_there(torch.from_numpy(picture), size).numpy().astype(int)
        assert np.abs(there - resize_image(picture, size)).max() <= 1
        cubic = prepared_there(torch.from_numpy(picture), size)
        torch.testing.assert_close(cubic, prepared(picture, size), atol=0.02, rtol=0)


class OnDevice(ContainerReader):
    """A video whose pictures lie on a device."""

    def _frames(self, start: int, stop: int | None, step: int) -> Any:
        for frame in super()._frames(start, stop, step):
            object.__setattr__(frame, "image", CardPicture(torch.from_numpy(frame.image)))
            yield frame


def test_a_whole_run(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    with VideoWriter(path, 25, 96, 60) as writer:
        for frame in toy_frames(8):
            writer.write(frame.image)
    masks = dict(enumerate(toy_masks(3), 1))
    tracks = [Track(track, str(track)) for track in masks]
    found = []
    for reader in (open_video(path), OnDevice(path, str(path), "clip")):
        output = tmp_path / f"{len(found)}.h5"
        write_store(Job(reader, PromptSet(tracks, {0: masks}), toy_tracker(), "clip"), output)
        with StoreReader(output) as store:
            found.append([(r.frame, r.track, r.counts) for r in store.clip("clip").records()])
    assert len(found[0]) == 24 and found[0] == found[1]  # the network's own size: nothing is resized
