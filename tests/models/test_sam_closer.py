"""Small boxes seen from closer by: where the crop lies, what is averaged, and that small things are found better."""

from pathlib import Path

import numpy as np
import pytest
import torch
from small_videos import write_frames

from engine.models.sam.asking import Asker, Question
from engine.models.sam.closer import crop_around, look_closer
from engine.models.sam.crops import Crop
from engine.models.sam.loading import load_sam
from engine.models.sam.prompting import Prompter
from engine.propagation.asked import answer_spots
from engine.propagation.spots import parse_spots
from engine.types import UInt8Array
from engine.video import open_video
from engine.weights import find_weights

SIZE = 450, 800


@pytest.fixture(scope="module")
def asker() -> Asker:
    return Asker(Prompter(load_sam(find_weights("sam-tiny"))[0]))


@pytest.fixture(scope="module")
def picture() -> UInt8Array:
    """A small bright disc on waves."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    image = np.stack([100 + 40 * np.sin(x / (19 + 7 * c)) + 30 * np.cos(y / (23 + 5 * c)) for c in range(3)], 2)
    image[disc()] = (230, 210, 60)
    return image.astype(np.uint8)


def disc() -> np.ndarray:
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    return (x - 620) ** 2 + (y - 130) ** 2 <= 9**2


def box() -> np.ndarray:
    return np.array([[611.0, 121.0, 629.0, 139.0]])


def test_a_crop_shows_what_is_around_the_box_within_the_picture() -> None:
    assert crop_around(np.array([[100.0, 50.0], [119.0, 69.0]]), (400, 600)) == Crop(84, 34, 136, 86, 1)
    assert crop_around(np.array([[0.0, 390.0], [19.0, 399.0]]), (400, 600)) == Crop(0, 378, 36, 400, 1)


def test_points_beside_the_box_are_in_the_crop() -> None:
    crop = crop_around(np.array([[100.0, 50.0], [119.0, 69.0], [160.0, 60.0]]), (400, 600))
    assert crop is not None and crop.x1 > 160


def test_a_large_box_has_no_crop() -> None:
    assert crop_around(np.array([[100.0, 100.0], [400.0, 200.0]]), (400, 600)) is None


def test_a_large_box_is_not_looked_at_again(asker: Asker, picture: UInt8Array) -> None:
    calls, logits = asker.prompter.encoder_calls, torch.zeros(SIZE)
    assert look_closer(asker, picture, Question(boxes=np.array([[50.0, 50.0, 700.0, 300.0]])), logits) is logits
    assert asker.prompter.encoder_calls == calls


def test_the_picture_counts_by_its_share_and_nothing_is_outside_of_the_crop(asker: Asker, picture: UInt8Array) -> None:
    question = Question(np.array([[[620.0, 130.0]]]), np.array([[1]]), box())
    crop = crop_around(box().reshape(-1, 2), SIZE)
    assert crop is not None
    close = asker.prompter.embed(np.ascontiguousarray(picture[crop.y0 : crop.y1, crop.x0 : crop.x1]))
    inner = Question(
        question.points - [crop.x0, crop.y0],  # type: ignore[operator]
        question.labels,
        box() - [crop.x0, crop.y0, crop.x0, crop.y0],
    )
    expected = close.upsampler.full(asker.ask(close, inner).logits[0, 0])
    share = (crop.x1 - crop.x0) / SIZE[1] / 0.6 / 2
    for level in (0.0, 3.0):
        found = look_closer(asker, picture, question, torch.full(SIZE, level))
        inside = found[crop.y0 : crop.y1, crop.x0 : crop.x1]
        torch.testing.assert_close(inside, (1 - share) * expected + share * level)
        assert int(found.isfinite().sum()) == inside.numel()


def test_a_small_thing_is_found_better(asker: Asker, picture: UInt8Array) -> None:
    question = Question(boxes=box())
    seen = asker.prompter.embed(picture)
    whole = seen.upsampler.full(asker.ask(seen, question).logits[0, 0])
    both = look_closer(asker, picture, question, whole)
    plain, closer = (iou((logits > 0).numpy()) for logits in (whole, both))
    assert closer > max(plain, 0.6)


def test_boxes_of_the_command_line_are_looked_at_twice(asker: Asker, picture: UInt8Array, tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "frames", [picture])
    calls = asker.prompter.encoder_calls
    with open_video(folder) as video:
        (answer,) = answer_spots(asker, video, parse_spots([], ["611,121,629,139"]))
        assert asker.prompter.encoder_calls == calls + 2
        assert answer.chosen == 0 and iou(answer.mask) > 0.6
        list(answer_spots(asker, video, parse_spots(["620,130"], [])))
        assert asker.prompter.encoder_calls == calls + 3


def iou(mask: np.ndarray) -> float:
    return float((mask & disc()).sum() / (mask | disc()).sum())
