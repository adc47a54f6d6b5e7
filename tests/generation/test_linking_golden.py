"""The loop of the pipeline on recorded frames, flow and points: 18 tracks, every mask, point and IoU as recorded."""

import numpy as np
import pytest
from pipeline_golden import SETTINGS, RecordedFlow, RecordedPoints, frames, mask_of, recorded
from sam_golden import golden_sam

from engine.generation.cycle import consistent, warp
from engine.generation.linking import Linker, LinkSettings
from engine.generation.suppression import without_duplicates
from engine.masks.boxed import BoxedMask
from engine.models.sam.automatic import propose
from engine.models.sam.prompting import Prompter


def _masks(frame: int) -> dict[int, BoxedMask]:
    return {entry["id"]: BoxedMask.of(mask_of(entry)) for entry in recorded("origin", frame)}


def test_first_frame() -> None:
    proposals = propose(Prompter(golden_sam()), frames()[0], SETTINGS)
    kept = [proposals[i].mask for i in without_duplicates([p.mask for p in proposals])]
    expected = recorded("origin", 0)
    assert len(kept) == len(expected) == 18
    for mask, entry in zip(kept, expected, strict=True):
        assert np.array_equal(mask.whole(96, 128), mask_of(entry))


@pytest.mark.parametrize("at_once", [None, 37])
def test_every_frame(at_once: int | None) -> None:
    prompter, flow, points = Prompter(golden_sam()), RecordedFlow(), RecordedPoints()
    linker = Linker(prompter, LinkSettings(), at_once)
    for frame in (1, 2, 3):
        there, back = flow.both(frames()[frame - 1], frames()[frame])
        before = _masks(frame - 1)
        carried = dict(zip(before, warp(list(before.values()), back, consistent(there, back)), strict=True))
        for entry in recorded("warped", frame - 1):
            assert np.array_equal(carried[entry["id"]].whole(96, 128), mask_of(entry))
        linked = linker.link(prompter.embed(frames()[frame]), carried, consistent(back, there), points, frame)
        for entry in recorded("origin", frame):
            ours = linked[entry["id"]]
            assert np.array_equal(ours.mask.whole(96, 128), mask_of(entry)), (frame, entry["id"])
            assert ours.warped_iou == pytest.approx(entry["iou"], abs=1e-7)
            given = None if ours.points is None else ours.points.astype(int).tolist()
            assert given == entry["point_coords"]
