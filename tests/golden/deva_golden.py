"""DEVA with the weights of the recording, and trackers around it."""

import copy
from functools import cache
from pathlib import Path
from typing import Any

import stm_golden
import torch

from engine.models.deva.config import DEVAConfig
from engine.models.deva.network import DEVA
from engine.propagation.detections import Segment
from engine.propagation.deva import DEVATracker
from engine.propagation.deva_detecting import DetectingTracker
from engine.propagation.deva_frames import DEVAFrames


@cache
def golden_network() -> DEVA:
    """The network; frames keep their own size."""
    with torch.device("meta"):
        network = DEVA(DEVAConfig(short_side=None))
    network = network.to_empty(device="cpu").eval()
    stm_golden.seed(network, Path(__file__).parent / "deva" / "head.npz")
    return network


@cache
def _frames() -> DEVAFrames:
    return DEVAFrames(golden_network(), torch.device("cpu"), torch.float32, 8, exclusive=True)


def golden_frames(exclusive: bool = True, **changed: Any) -> DEVAFrames:
    """The network at work on the CPU. changed: attributes to set, such as short_side."""
    frames = copy.copy(_frames())
    for name, value in {"exclusive": exclusive, **changed}.items():
        setattr(frames, name, value)
    return frames


def golden_tracker(frames: DEVAFrames, inference: dict[str, Any]) -> DEVATracker:
    """A tracker with the options of a recorded loop."""
    return DEVATracker(frames, stm_golden.memory_options(inference), inference["mem_every"])


def detecting_tracker(frames: DEVAFrames, inference: dict[str, Any]) -> DetectingTracker:
    """The same for a loop with detections."""
    most = inference["max_num_objects"]
    options, missed = stm_golden.memory_options(inference), inference["max_missed_detection_count"]
    return DetectingTracker(frames, options, inference["mem_every"], missed, most if most > 0 else None)


def segments(described: list[dict[str, Any]]) -> tuple[Segment, ...]:
    """Segments as a recording describes them."""
    return tuple(
        Segment(
            entry["id"],
            (entry["category_id"],) if "category_id" in entry else (),
            (entry["score"],) if "score" in entry else (),
            entry.get("isthing"),
        )
        for entry in described
    )
