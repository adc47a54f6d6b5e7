"""A mended mask carried on by optical flow, which follows the drifting square well."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from annotation_clips import ANNA, FRAMES, SQUARE, open_project, write_project_store
from small_videos import scene

from engine.annotation import carrying, decisions
from engine.annotation.agreement import Agreement
from engine.annotation.cells import Cell
from engine.annotation.document import ClipDocument
from engine.annotation.project import Project
from engine.errors import UsageError
from engine.flow.dis import DISFlow
from engine.propagation.flow import FlowTracker

IMAGES, MASKS = scene(FRAMES)


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """Masks are known on the first frame only."""
    with open_project(write_project_store(tmp_path, known=1)) as opened:
        yield opened


def carried(document: ClipDocument, frame: int, direction: str, **more: object) -> dict[int, Cell]:
    runs = carrying.plan(document, SQUARE, frame, direction)
    return carrying.carry(document, SQUARE, runs, lambda i: IMAGES[i], lambda: FlowTracker(DISFlow()), **more)


def likeness(document: ClipDocument, cell: Cell, frame: int) -> float:
    from engine.masks import rle

    return rle.iou(cell.counts, rle.encode(MASKS[frame]), document.height, document.width)


def test_forwards_from_the_first_frame(project: Project) -> None:
    document = project.document("clip")
    cells = carried(document, 0, "forwards")
    assert sorted(cells) == [1, 2, 3, 4, 5]
    assert min(likeness(document, cell, frame) for frame, cell in cells.items()) > 0.8


def test_back_and_forth_with_corrections_on_the_way(project: Project) -> None:
    document = project.document("clip")
    for frame in (2, 4):
        cell = Cell.of_mask(MASKS[frame], "refined")
        project.decide("clip", ANNA, lambda d, f=frame, c=cell: decisions.mend(d, SQUARE, f, c))
    steps: list[int] = []
    cells = carried(document, 2, "both", on_frame=lambda done: bool(steps.append(done)) or True)
    assert sorted(cells) == [0, 1, 3, 5], "frames that were decided keep their masks"
    assert min(likeness(document, cell, frame) for frame, cell in cells.items()) > 0.8
    assert steps == list(range(1, 8))


def test_runs_end_with_the_last_undecided_frame(project: Project) -> None:
    document = project.document("clip")
    project.decide("clip", ANNA, lambda d: decisions.empty_rest(d, SQUARE, 3))
    assert carrying.plan(document, SQUARE, 0, "forwards") == [[0, 1, 2]]
    project.decide("clip", ANNA, lambda d: decisions.empty_rest(d, SQUARE, 0))
    project.decide("clip", ANNA, lambda d: decisions.mend(d, SQUARE, 0, Cell.of_mask(MASKS[0], "refined")))
    with pytest.raises(UsageError, match="every frame that way is decided"):
        carrying.plan(document, SQUARE, 0, "forwards")


def test_a_frame_without_a_mask_is_not_carried(project: Project) -> None:
    with pytest.raises(UsageError, match="has no mask to carry on"):
        carrying.plan(project.document("clip"), SQUARE, 3, "both")
    with pytest.raises(UsageError, match="is no direction"):
        carrying.plan(project.document("clip"), SQUARE, 0, "sideways")


def test_it_stops_when_asked_to(project: Project) -> None:
    with pytest.raises(carrying.StoppedError):
        carried(project.document("clip"), 0, "forwards", on_frame=lambda done: done < 2)


def test_agreement_is_high_where_masks_follow_and_low_where_they_jump() -> None:
    masks = {(1, f): MASKS[f] for f in range(FRAMES)} | {(2, f): MASKS[f] for f in range(FRAMES)}
    masks[2, 3] = np.roll(MASKS[3], 12, 0)
    del masks[1, 5]
    agreement = Agreement(lambda i: IMAGES[i], lambda t, i: masks.get((t, i)))
    assert sorted(agreement.of(1, range(FRAMES))) == [1, 2, 3, 4]
    assert min(agreement.of(1, range(FRAMES)).values()) > 0.85
    assert agreement.of(2, [3])[3] < 0.4
