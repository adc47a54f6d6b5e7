"""The weights inside the package: there, small, described, and better than optical flow on the clip of the demo."""

import json

import cv2
import numpy as np
import pytest
from safetensors import safe_open
from segment_anything import SamPredictor

from engine.models.sam.loading import load_sam
from engine.propagation.factory import make_tracker
from engine.rendering.demo_clip import DemoClip
from engine.weights.digest import file_digest
from engine.weights.find import BUNDLED, find_weights

MEGABYTE = 1_000_000


def similarity(model: str, clip: DemoClip) -> float:
    """Mean J over all frames after the first and all tracks that are visible at first."""
    frames = list(clip.draw())
    tracker = make_tracker(model).tracker
    first = frames[0][1]
    tracker.start(frames[0][0], np.stack(list(first.values())))
    scores = []
    for image, truth in frames[1:]:
        found = tracker.step(image) > 0.5
        true = np.stack([truth[track] for track in first])
        scores.append((found & true).sum((1, 2)) / np.maximum((found | true).sum((1, 2)), 1))
    return float(np.mean(scores))


MODELS = ("mmpm-tiny", "sam-tiny")


@pytest.mark.parametrize(("model", "figure"), [("mmpm-tiny", "J&F"), ("sam-tiny", "IoU")])
def test_weights_and_card_are_there_and_small(model: str, figure: str) -> None:
    assert find_weights(model).stat().st_size < 40 * MEGABYTE
    card = (BUNDLED / f"{model}.md").read_text()
    for word in ("BSDS500", "Terms", "mugvos train", figure):
        assert word in card, word


@pytest.mark.parametrize("model", MODELS)
def test_the_file_says_how_it_was_made(model: str) -> None:
    with safe_open(find_weights(model), framework="pt") as file:
        described = json.loads(file.metadata()["mugvos"])
    assert described["config"]["name"] == model
    assert described["training"]["settings"]["steps"] > 0


@pytest.mark.parametrize("model", MODELS)
def test_the_card_names_the_file_it_is_about(model: str) -> None:
    assert file_digest(find_weights(model)) in (BUNDLED / f"{model}.md").read_text()


def test_sam_tiny_fills_boxes_and_finds_what_lies_under_a_point() -> None:
    image, masks = next(DemoClip(width=480, height=270, frames=1).draw())
    predictor = SamPredictor(load_sam(find_weights("sam-tiny"))[0])
    predictor.set_image(image)
    boxed, pointed = [], []
    for mask in masks.values():
        x, y, width, height = cv2.boundingRect(mask.astype(np.uint8))
        found, _, _ = predictor.predict(box=np.array([x, y, x + width - 1, y + height - 1]), multimask_output=False)
        boxed.append(overlap(found[0], mask))
        depth = cv2.distanceTransform(mask.astype(np.uint8), cv2.DIST_L2, 5)
        middle = np.unravel_index(int(depth.argmax()), depth.shape)[::-1]
        found, _, _ = predictor.predict(np.array([middle]), np.array([1]), multimask_output=True)
        pointed.append(max(overlap(answer, mask) for answer in found))
    assert np.mean(boxed) > 0.6
    assert np.mean(pointed) > 0.5


def overlap(found: np.ndarray, true: np.ndarray) -> float:
    """IoU."""
    return float((found & true).sum() / (found | true).sum())


def test_it_beats_optical_flow_on_the_demo_clip() -> None:
    clip = DemoClip(width=320, height=180, frames=16)
    learned, flow = similarity("mmpm-tiny", clip), similarity("dis", clip)
    assert learned > 0.7
    assert learned > flow
