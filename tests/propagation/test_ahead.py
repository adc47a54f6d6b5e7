"""Items made ready on another thread: the same ones, their errors, and no thread left behind."""

import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from engine.propagation.ahead import ahead, supply
from engine.types import UInt8Array
from engine.video import open_video


def alive() -> bool:
    return any(thread.name == "frames ahead" for thread in threading.enumerate())


def test_the_same_items_in_order() -> None:
    assert list(ahead(range(50))) == list(range(50))
    assert list(ahead([])) == []
    assert not alive()


def test_an_error_comes_where_the_item_would() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("broken")

    stream = ahead(items())
    assert next(stream) == 1
    with pytest.raises(ValueError, match="broken"):
        next(stream)
    assert not alive()


def test_closing_ends_the_thread_and_the_source() -> None:
    closed = threading.Event()

    def items() -> Iterator[int]:
        try:
            yield from range(1000)
        finally:
            closed.set()

    stream = ahead(items())
    assert next(stream) == 0
    stream.close()  # type: ignore[attr-defined]
    assert closed.is_set() and not alive()


def test_pictures_are_prepared_on_the_other_thread_from_the_first_that_is_wanted(tmp_path: Path) -> None:
    for index in range(6):
        Image.fromarray(np.full((4, 4, 3), index, np.uint8)).save(tmp_path / f"{index}.png")
    seen: list[tuple[int, str]] = []

    def prepare(picture: UInt8Array) -> None:
        seen.append((int(picture[0, 0, 0]), threading.current_thread().name))

    with open_video(tmp_path) as video:
        frames = list(supply(video, 1, None, prepare, first=3))
    assert [frame.index for frame in frames] == [1, 2, 3, 4, 5]
    assert seen == [(index, "frames ahead") for index in (3, 4, 5)]
    assert [int(frame.image[0, 0, 0]) for frame in frames] == [1, 2, 3, 4, 5]
