"""The recorded loop: frames, flow, drawn points, and the masks that the reference made of them."""

import json
from functools import cache
from typing import Any

import numpy as np
from sam_golden import FOLDER, case

from engine.masks import rle
from engine.masks.boxed import BoxedMask
from engine.models.sam.automatic import ProposalSettings
from engine.types import BoolArray, FloatArray, UInt8Array

SETTINGS = ProposalSettings(points_per_side=6, predicted_iou=0.4, stability=0.9, box_nms=0.97)


class RecordedPoints:
    """Prompts as they were drawn (a Sampler)."""

    def __init__(self) -> None:
        loop = case("pipeline_loop")
        self._points: dict[tuple[int, int, int], list[np.ndarray]] = {}
        for (frame, track, round, _), points in zip(loop["prompt_index"].tolist(), loop["prompt_points"], strict=True):
            self._points.setdefault((frame, track, round + 1), []).append(points)

    def __call__(self, mask: BoxedMask, frame: int, track: int, round: int) -> FloatArray:
        return np.stack(self._points[frame, track, round]).astype(np.float64)


class RecordedFlow:
    """Optical flow of the recording, told by the frames it is asked for (a Flow)."""

    def __init__(self) -> None:
        loop = case("pipeline_loop")
        self._flows = loop["flows"].astype(np.float32)
        self._keys = [frame.tobytes() for frame in loop["frames"]]

    def __call__(self, first: UInt8Array, second: UInt8Array) -> FloatArray:
        a, b = self._keys.index(first.tobytes()), self._keys.index(second.tobytes())
        return self._flows[min(a, b), 0 if a < b else 1]

    def both(self, first: UInt8Array, second: UInt8Array) -> tuple[FloatArray, FloatArray]:
        return self(first, second), self(second, first)


@cache
def frames() -> list[np.ndarray]:
    """Four frames, uint8 (96, 128, 3)."""
    return list(case("pipeline_loop")["frames"])


@cache
def recorded(kind: str, frame: int) -> list[dict[str, Any]]:
    """The reference's JSON: kind "origin" or "warped"."""
    suffix = "_warped" if kind == "warped" else ""
    return json.loads((FOLDER / "pipeline_loop" / kind / f"{frame:05d}{suffix}.json").read_text())


def mask_of(entry: dict[str, Any]) -> BoolArray:
    """The mask of one entry."""
    return rle.decode(entry["counts"].encode(), *entry["size"])
