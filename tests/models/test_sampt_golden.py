"""SAM-PT against recordings of the published code: point selection, reading masks from points, beginning again."""

import numpy as np
import pytest
import torch
from published_sam import EACH, ComparedAsker
from sam_golden import case, golden_sam, unpacked

from engine.models.sam.prompting import Prompter
from engine.models.sampt import queries
from engine.models.sampt.chain import FlowChain
from engine.models.sampt.clip import Method, Restart, next_start, segment_clip
from engine.models.sampt.medoids import k_medoids
from engine.models.sampt.queries import PointChoice
from engine.models.sampt.readout import ReadOut, read_out
from engine.models.sampt.tracks import Tracks, codes
from engine.types import BoolArray, FloatArray, UInt8Array

SIZE = (96, 128)
DRIFT = 5e-2  # of logits after up to fourteen decodes in a row; their scale is 50 to 150


def spread(mask: BoolArray, image: UInt8Array, count: int, rng: np.random.Generator) -> FloatArray:
    """Evenly along the list of pixels, as the recordings were made."""
    pixels = np.argwhere(mask)
    chosen = ((np.arange(count) + 0.5) * len(pixels) / count).astype(int)
    return pixels[chosen, ::-1].astype(np.float64)


class RecordedFlow:
    """The flow between the frames of a recording, known by their pixels."""

    def __init__(self, frames: np.ndarray, flows: np.ndarray) -> None:
        self._at = {frame.tobytes(): index for index, frame in enumerate(frames)}
        self._flows = flows.astype(np.float32)

    def __call__(self, first: UInt8Array, second: UInt8Array) -> FloatArray:
        here, there = self._at[first.tobytes()], self._at[second.tobytes()]
        return self._flows[min(here, there), 0 if here < there else 1]

    def both(self, first: UInt8Array, second: UInt8Array) -> tuple[FloatArray, FloatArray]:
        return self(first, second), self(second, first)


@pytest.mark.parametrize(("count", "at"), [(3, 0), (8, 1), (16, 2)])
def test_k_medoids(count: int, at: int) -> None:
    recorded = case("kmedoids")
    points = recorded["points_yx"]
    found = k_medoids(points, count)
    assert set(found.tolist()) == set(recorded[f"m{count}"].tolist())
    distances = np.linalg.norm(points[:, None] - points[found], axis=2).min(1)
    assert np.isclose(distances.sum(), recorded["inertia"][at], rtol=1e-5)


def test_corner_points() -> None:
    recorded = case("corner_points")
    mask = recorded["mask"] > 0
    assert np.array_equal(queries.eroded(mask), recorded["eroded"] > 0)
    found = queries.corners(mask, recorded["image"], len(recorded["corners_xy"]), np.random.default_rng(0))
    assert np.array_equal(found, recorded["corners_xy"])


@torch.inference_mode()
def test_masks_are_read_from_points() -> None:
    recorded, asker = case("sampt_readout"), ComparedAsker(Prompter(golden_sam()))
    _, positives, negatives, refinements, _, _ = recorded["settings"].tolist()
    how = ReadOut(positives, negatives, refinements, float(recorded["sam_iou_threshold"]), raw_boxes=True)
    masks = unpacked(recorded["masks_packed"], *SIZE).reshape(2, 4, *SIZE)
    for t, frame in enumerate(recorded["frames"]):
        tracks = Tracks(recorded["tracker_xy"][t], recorded["tracker_visible"][t])
        seen = codes(tracks, SIZE)
        assert np.array_equal(seen, recorded["visibilities"][t])
        logits, scores = read_out(asker, asker.prompter.embed(frame), tracks.xy, seen, how)
        assert np.allclose(scores, recorded["scores_per_frame"][t], atol=1e-4)
        assert np.allclose(logits.clamp(min=-1e4)[:, ::4, ::4], recorded["logits_sub"][:, t], atol=DRIFT)
        assert np.array_equal(logits > 0, masks[:, t])
    assert asker.decoder_calls == recorded["n_decoder_calls"]
    assert asker.furthest < EACH


@torch.inference_mode()
def test_tracks_that_begin_again_on_frames_ahead() -> None:
    recorded, asker = case("sampt_reinit"), ComparedAsker(Prompter(golden_sam()))
    _, positives, negatives, refinements, horizon, _ = recorded["settings"].tolist()
    flow = RecordedFlow(recorded["frames"], recorded["flows"])
    method = Method(
        asker,
        FlowChain(flow, cycle=None),
        ReadOut(positives, negatives, refinements, float(recorded["sam_iou_threshold"]), raw_boxes=True),
        PointChoice(spread, spread),
        Restart(horizon),
    )
    found = segment_clip(method, list(recorded["frames"]), recorded["query_masks"] > 0, [0, 0])
    assert asker.decoder_calls == recorded["n_decoder_calls"]
    assert np.allclose(found.xy, recorded["trajectories"], atol=1e-3)
    assert np.array_equal(found.codes, recorded["visibilities"])
    assert np.allclose(found.scores, recorded["scores_per_frame"], atol=1e-4)
    logits = found.logits.transpose(1, 0, 2, 3)
    assert np.allclose(logits[..., ::4, ::4], recorded["logits_sub"], atol=4 * DRIFT)  # exact decodes: 0.06 away
    assert asker.furthest < EACH
    assert np.array_equal(logits > 0, unpacked(recorded["masks_packed"], *SIZE).reshape(2, 6, *SIZE))


def test_where_a_track_begins_again() -> None:
    areas = np.array([100, 10, 40, 90, 60, 101])
    assert next_start(areas, Restart(4)) == 4  # the first one ahead is too near; of 40 60 90 101 the lower median
    assert next_start(areas, Restart(4, "similar")) == 5
    assert next_start(areas, Restart(4, "last")) == 5
    assert next_start(np.array([100, 3, 25, 9]), Restart(4)) is None
    assert next_start(np.array([100, 30]), Restart(4)) == 1
