"""What each decision changes, and which are refused."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from annotation_clips import ANNA, CORNER, FRAMES, SQUARE, SUE, corner, open_project, write_project_store

from engine.annotation import decisions
from engine.annotation.cells import Cell
from engine.annotation.document import ClipDocument
from engine.annotation.project import Project
from engine.errors import UsageError


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with open_project(write_project_store(tmp_path)) as opened:
        yield opened


def test_frames_are_judged_one_by_one(project: Project) -> None:
    document = project.document("clip")
    project.decide("clip", ANNA, lambda d: decisions.judge(d, SQUARE, [0, 1], "accepted"))
    project.decide("clip", ANNA, lambda d: decisions.judge(d, SQUARE, [2], "rejected"))
    assert document.states(SQUARE) == ["accepted", "accepted", "rejected", "auto", "auto", "auto"]
    assert document.tracks[SQUARE].status == "open"
    assert document.states(CORNER) == ["auto"] * FRAMES


def test_the_last_decision_makes_a_track_done_and_a_new_mask_opens_it(project: Project) -> None:
    document = project.document("clip")
    project.decide("clip", ANNA, lambda d: decisions.accept_rest(d, SQUARE, 0, {}))
    assert document.tracks[SQUARE].status == "done"
    project.decide("clip", ANNA, lambda d: decisions.judge(d, SQUARE, [3], "rejected"))
    assert document.tracks[SQUARE].status == "open"
    cell = Cell.of_mask(corner(), "refined", score=0.7)
    project.decide("clip", ANNA, lambda d: decisions.mend(d, SQUARE, 3, cell))
    assert document.tracks[SQUARE].status == "done"
    assert document.state(SQUARE, 3) == "refined"
    assert np.array_equal(document.mask(SQUARE, 3), corner())
    assert document.cell(SQUARE, 3).score == 0.7


def test_an_empty_mask_says_not_to_be_seen(project: Project) -> None:
    nothing = Cell.of_mask(np.zeros_like(corner()), "refined")
    assert project.decide("clip", ANNA, lambda d: decisions.mend(d, SQUARE, 2, nothing))["action"] == "empty"
    assert project.document("clip").state(SQUARE, 2) == "empty"


def test_only_frames_that_agree_are_accepted_at_once(project: Project) -> None:
    agreement = {1: 0.95, 2: 0.3, 3: 0.9}
    project.decide("clip", ANNA, lambda d: decisions.accept_rest(d, SQUARE, 0.9, agreement))
    assert project.document("clip").states(SQUARE) == ["auto", "accepted", "auto", "accepted", "auto", "auto"]
    with pytest.raises(UsageError, match="no untouched frame agrees so well"):
        project.decide("clip", ANNA, lambda d: decisions.accept_rest(d, SQUARE, 0.9, agreement))


def test_a_track_begins_with_a_chosen_mask(project: Project) -> None:
    document = project.document("clip")
    cell = Cell.of_mask(corner(), "refined")
    entry = project.decide("clip", ANNA, lambda d: decisions.add_track(d, 2, cell, "  a   lamp ", "part"))
    track = entry["track"]
    assert track == 3
    assert (document.tracks[track].name, document.tracks[track].tag) == ("a lamp", "part")
    assert document.states(track) == ["missing", "missing", "refined", "missing", "missing", "missing"]
    assert list(document.span(track)) == [2, 3, 4, 5]
    project.decide("clip", ANNA, lambda d: decisions.empty_rest(d, track, 3))
    assert document.tracks[track].status == "done"


def test_masks_that_were_carried_leave_decided_frames_alone(project: Project) -> None:
    document = project.document("clip")
    project.decide("clip", ANNA, lambda d: decisions.judge(d, SQUARE, [4], "accepted"))
    before = document.cell(SQUARE, 4)
    made = {frame: Cell.of_mask(corner(), "auto") for frame in (3, 4, 5)}
    entry = project.decide("clip", ANNA, lambda d: decisions.carried(d, SQUARE, made, 2, "forwards", "dis"))
    assert entry["frames"] == 2
    assert np.array_equal(document.mask(SQUARE, 3), corner())
    assert document.cell(SQUARE, 4) == before


def test_carrying_back_makes_a_track_begin_earlier(project: Project) -> None:
    cell = Cell.of_mask(corner(), "refined")
    track = project.decide("clip", ANNA, lambda d: decisions.add_track(d, 3, cell, "late"))["track"]
    made = {frame: Cell.of_mask(corner(), "auto") for frame in (1, 2)}
    project.decide("clip", ANNA, lambda d: decisions.carried(d, track, made, 3, "back", "dis"))
    assert project.document("clip").tracks[track].first_frame == 1


def test_a_supervisor_approves_or_sends_back(project: Project) -> None:
    document = project.document("clip")
    with pytest.raises(UsageError, match="not finished"):
        decisions.review(document, SQUARE, True, "", None)
    project.decide("clip", ANNA, lambda d: decisions.accept_rest(d, SQUARE, 0, {}))
    with pytest.raises(UsageError, match="with a note"):
        decisions.review(document, SQUARE, False, " ", None)
    project.locks.release_all(ANNA.page)
    project.decide("clip", SUE, lambda d: decisions.review(d, SQUARE, False, "the edge is cut off", 2))
    track = document.tracks[SQUARE]
    assert (track.status, track.note, track.note_frame) == ("returned", "the edge is cut off", 2)
    project.locks.release_all(SUE.page)
    mended = Cell.of_mask(corner(), "refined")
    project.decide("clip", ANNA, lambda d: decisions.mend(d, SQUARE, 2, mended))
    assert document.tracks[SQUARE].status == "returned", "until it is handed in again"
    project.decide("clip", ANNA, lambda d: decisions.accept_rest(d, SQUARE, 0, {}))
    assert document.tracks[SQUARE].status == "done"
    project.locks.release_all(ANNA.page)
    project.decide("clip", SUE, lambda d: decisions.review(d, SQUARE, True, "", None))
    assert (document.tracks[SQUARE].status, document.tracks[SQUARE].note) == ("approved", "")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda d: decisions.judge(d, 9, [0], "accepted"), "no track 9"),
        (lambda d: decisions.judge(d, SQUARE, [99], "accepted"), "no frame 99"),
        (lambda d: decisions.judge(d, SQUARE, [0], "approved"), "is nothing that a frame can be judged"),
        (lambda d: decisions.mend(d, SQUARE, 0, Cell()), "no mask was given"),
        (lambda d: decisions.add_track(d, 0, Cell.of_mask(np.zeros_like(corner()), "refined"), ""), "empty mask"),
        (lambda d: decisions.describe(d, SQUARE, tag="animal"), "is no tag"),
    ],
)
def test_what_cannot_be_decided(project: Project, make, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        project.decide("clip", ANNA, make)
    assert project.unfolded == 0


def test_counts_of_a_document(project: Project) -> None:
    document: ClipDocument = project.document("clip")
    project.decide("clip", ANNA, lambda d: decisions.set_aside(d, CORNER, False))
    assert document.tracks[CORNER].status == "rejected"
    assert document.counted(SQUARE) == {
        "missing": 0, "auto": 6, "accepted": 0, "rejected": 0, "refined": 0, "empty": 0
    }  # fmt: skip
    project.decide("clip", ANNA, lambda d: decisions.set_aside(d, CORNER, True))
    assert document.tracks[CORNER].status == "open"
