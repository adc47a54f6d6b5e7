"""What a user means by --point and --box, and the masks that SAM gives for them."""

from pathlib import Path

import numpy as np
import pytest
from sam_golden import case, golden_sam
from small_videos import write_frames

from engine.errors import MaskError
from engine.models.sam.asking import Asker
from engine.models.sam.prompting import Prompter
from engine.propagation.asked import answer_spots
from engine.propagation.prompts import PromptSet
from engine.propagation.spots import Spot, check_inside, parse_spots
from engine.types import PointPrompt
from engine.video import open_video


def test_points_and_boxes_of_one_name_and_frame_belong_together() -> None:
    points = ["car=10,20", "car=30.5,40,-", "3,4@7", "5,6,+@7", "car=1,2@9"]
    found = parse_spots(points, ["car=1,2,30,40", "8,8,9,9@7", "a=b=0,0,5,5@9"])
    assert found == [
        Spot("car", 0, [PointPrompt(10, 20), PointPrompt(30.5, 40, False)], (1, 2, 30, 40)),
        Spot("object", 7, [PointPrompt(3, 4), PointPrompt(5, 6)], (8, 8, 9, 9)),
        Spot("car", 9, [PointPrompt(1, 2)]),
        Spot("a=b", 9, [], (0, 0, 5, 5)),
    ]


@pytest.mark.parametrize("text", ["", "1", "1,2,3", "a,b", "1,nan", "car=", "1,2@x", "1;2", "car=1,2@3@4"])
def test_what_is_no_point_is_named(text: str) -> None:
    with pytest.raises(MaskError, match=r"point|cannot be read"):
        parse_spots([text], [])


@pytest.mark.parametrize(("text", "said"), [("1,2,3", "a box is"), ("5,5,1,9", "ends before"), ("1,2,3,4,5", "a box")])
def test_what_is_no_box_is_named(text: str, said: str) -> None:
    with pytest.raises(MaskError, match=said):
        parse_spots([], [text])


def test_spots_that_mean_nothing_are_refused() -> None:
    with pytest.raises(MaskError, match="two boxes"):
        parse_spots([], ["1,2,3,4", "5,6,7,8"])
    with pytest.raises(MaskError, match="background points only"):
        parse_spots(["1,2,-"], [])
    with pytest.raises(MaskError, match=r"100,2 of track 'object' lies outside the video, 100x50"):
        check_inside(parse_spots(["100,2"], [])[0], (50, 100))
    with pytest.raises(MaskError, match="box of track"):
        check_inside(parse_spots([], ["100,2,140,9"])[0], (50, 100))


@pytest.fixture(scope="module")
def asker() -> Asker:
    return Asker(Prompter(golden_sam()))


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """Images numbered from 3."""
    return write_frames(tmp_path / "clip", case("persam_video")["frames"], [f"{n:05d}" for n in range(3, 7)])


def test_masks_are_sams_answers(asker: Asker, frames: Path) -> None:
    calls = asker.prompter.encoder_calls
    spots = parse_spots(["a=44,45", "b=44,45", "b=90,40,-", "a=92,42@5"], ["c=20,20,70,70"])
    with open_video(frames) as video:
        answers = {(answer.spot.name, answer.spot.frame): answer for answer in answer_spots(asker, video, spots)}
    assert asker.prompter.encoder_calls == calls + 2
    alone, several, boxed = answers["a", 0], answers["b", 0], answers["c", 0]
    assert alone.chosen in (1, 2, 3) and several.chosen == boxed.chosen == 0
    assert f"a: mask {alone.chosen} of 3 on frame 0, predicted IoU {alone.score:.2f}" in str(alone)
    image = case("persam_video")["frames"][0]
    decoded = asker.prompter.decode(asker.prompter.embed(image), np.array([[[44.0, 45]]]))
    best = int(decoded.scores[0].argmax())
    assert best + 1 == alone.chosen
    assert alone.mask.dtype == np.bool_ and alone.mask.shape == image.shape[:2]
    assert not np.array_equal(answers["a", 5].mask, alone.mask)


def test_frames_that_are_not_there(asker: Asker, frames: Path) -> None:
    with open_video(frames) as video:
        with pytest.raises(MaskError, match="names run from 3 to 6"):
            list(answer_spots(asker, video, parse_spots(["4,5@9"], [])))
        with pytest.raises(MaskError, match="outside the video"):
            list(answer_spots(asker, video, parse_spots(["4000,5@4"], [])))


def test_masks_of_points_join_those_of_files() -> None:
    prompts, mask = PromptSet(), np.ones((4, 5), np.bool_)
    assert prompts.give("car", 6, mask, "car.png", 255) == 1
    assert prompts.give("van", 2, mask, "--point") == 2
    assert prompts.give("car", 3, mask, "--point") == 1
    assert [(track.name, track.first_frame) for track in prompts.tracks] == [("car", 3), ("van", 2)]
    with pytest.raises(MaskError, match="--point: frame 3 has a mask of track 'car' already"):
        prompts.give("car", 3, mask, "--point")
    before = prompts.digest()
    prompts.origins[3, 1] = "car@3: 1,2 abc"
    asked = prompts.digest()
    prompts.masks[3][1] = ~mask  # what follows from the same question is the same
    assert before != asked == prompts.digest()
