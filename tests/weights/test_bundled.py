"""The weights inside the package: there, small, described, and better than optical flow on the clip of the demo."""

import json
from pathlib import Path

import numpy as np
from safetensors import safe_open

from engine.propagation.factory import make_tracker
from engine.rendering.demo_clip import DemoClip
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


def test_weights_and_card_are_there_and_small() -> None:
    path = find_weights("mmpm-tiny")
    assert path.stat().st_size < 40 * MEGABYTE
    card = (BUNDLED / "mmpm-tiny.md").read_text()
    for word in ("BSDS500", "Terms", "mugvos train", "J&F", "DIS"):
        assert word in card, word


def test_the_file_says_how_it_was_made() -> None:
    with safe_open(find_weights("mmpm-tiny"), framework="pt") as file:
        described = json.loads(file.metadata()["mugvos"])
    assert described["config"]["name"] == "mmpm-tiny"
    assert described["training"]["settings"]["steps"] > 0


def test_the_card_names_the_file_it_is_about() -> None:
    from engine.weights.digest import file_digest

    assert file_digest(find_weights("mmpm-tiny")) in Path(BUNDLED / "mmpm-tiny.md").read_text()


def test_it_beats_optical_flow_on_the_demo_clip() -> None:
    clip = DemoClip(width=320, height=180, frames=16)
    learned, flow = similarity("mmpm-tiny", clip), similarity("dis", clip)
    assert learned > 0.7
    assert learned > flow
