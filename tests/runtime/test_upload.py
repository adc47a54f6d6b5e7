"""Pictures sent ahead: what comes is always the picture that was asked for, wherever it was begun."""

import gc
import threading
import weakref

import numpy as np
import pytest
import torch
from torch import Tensor

from engine.runtime.upload import Begun, Uploads
from engine.types import UInt8Array

CPU = torch.device("cpu")


class FakeCard:
    """Copies that note what happened, and on which thread."""

    def __init__(self) -> None:
        self.begun: list[float] = []
        self.finished: list[float] = []
        self.threads: set[str] = set()

    def begin(self, host: Tensor) -> Begun:
        self.begun.append(float(host[0, 0, 0]))
        self.threads.add(threading.current_thread().name)
        return Begun(host.clone(), None)

    def finish(self, begun: Begun) -> Tensor:
        self.finished.append(float(begun.there[0, 0, 0]))
        return begun.there


def picture(value: int) -> UInt8Array:
    return np.full((2, 3, 3), value, np.uint8)


def doubled(picture: UInt8Array) -> Tensor:
    return 2 * torch.from_numpy(picture)


def test_a_picture_that_was_begun_is_finished_and_any_other_is_sent_when_taken() -> None:
    card = FakeCard()
    uploads = Uploads(CPU, doubled, copies=card)
    first, second, equal = picture(1), picture(2), picture(2)
    uploads.begin(first)
    uploads.begin(second)
    assert uploads.take(first).unique().tolist() == [2]
    assert uploads.take(equal).unique().tolist() == [4] and card.finished == [2]  # equal, but not the one
    assert uploads.take(second).unique().tolist() == [4] and card.finished == [2, 4]
    assert uploads.take(second).unique().tolist() == [4] and card.finished == [2, 4]  # again: it is gone from there
    assert card.begun == [2, 4]


def test_taking_a_picture_forgets_those_before_it() -> None:
    card = FakeCard()
    uploads = Uploads(CPU, doubled, copies=card)
    pictures = [picture(k) for k in range(4)]
    for each in pictures:
        uploads.begin(each)
    uploads.take(pictures[2])
    uploads.take(pictures[1])
    uploads.take(pictures[3])
    assert card.finished == [4, 6]


def test_no_more_than_the_depth_is_held() -> None:
    uploads = Uploads(CPU, doubled, copies=FakeCard(), depth=2)
    pictures = [picture(k) for k in range(5)]
    for each in pictures:
        uploads.begin(each)
    gone = [weakref.ref(each) for each in pictures[:3]]
    assert all(uploads.take(each).unique().tolist() == [2 * at] for at, each in enumerate(pictures))
    del each, pictures
    gc.collect()
    assert all(each() is None for each in gone)


def test_what_cannot_be_begun_is_sent_when_it_is_taken() -> None:
    class Broken(FakeCard):
        def begin(self, host: Tensor) -> Begun:
            raise RuntimeError("no page-locked memory")

    uploads = Uploads(CPU, doubled, copies=Broken())
    one = picture(3)
    uploads.begin(one)
    assert uploads.take(one).unique().tolist() == [6]


def test_nothing_happens_early_without_a_card() -> None:
    calls: list[int] = []

    def noted(picture: UInt8Array) -> Tensor:
        calls.append(1)
        return doubled(picture)

    uploads = Uploads(CPU, noted)
    one = picture(3)
    uploads.begin(one)
    assert not calls
    assert uploads.take(one).unique().tolist() == [6] and calls == [1]


@pytest.mark.parametrize("fails", [False, True])
def test_a_picture_that_cannot_be_read_is_reported(fails: bool) -> None:
    def broken(picture: UInt8Array) -> Tensor:
        raise ValueError("no picture")

    uploads = Uploads(CPU, broken, copies=FakeCard())
    with pytest.raises(ValueError, match="no picture"):
        (uploads.begin if fails else uploads.take)(picture(0))
