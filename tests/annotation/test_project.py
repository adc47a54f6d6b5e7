"""Decisions that last: through undo, several people, folding, crashes."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from annotation_clips import ANNA, BEN, CORNER, FRAMES, SQUARE, corner, open_document, open_project, write_project_store

from engine.annotation import decisions
from engine.annotation.cells import Cell
from engine.annotation.project import HeldError, Project
from engine.errors import StoreError, UsageError
from engine.store import StoreReader, atomic


def judge(project: Project, frame: int, state: str = "accepted", who=ANNA, track: int = SQUARE) -> dict:
    return project.decide("clip", who, lambda d: decisions.judge(d, track, [frame], state))


def mend(project: Project, frame: int, who=ANNA) -> dict:
    cell = Cell.of_mask(corner(), "refined", score=0.5)
    return project.decide("clip", who, lambda d: decisions.mend(d, SQUARE, frame, cell))


def test_a_decision_is_there_after_opening_again(tmp_path: Path) -> None:
    path = write_project_store(tmp_path)
    with open_project(path) as project:
        judge(project, 0)
        mend(project, 1)
    with open_project(path) as project:
        document = project.document("clip")
        assert document.states(SQUARE)[:3] == ["accepted", "refined", "auto"]
        assert np.array_equal(document.mask(SQUARE, 1), corner())
        assert [e["who"] for e in project.changes(0)] == ["Anna", "Anna"]
        assert all(e["time"].endswith("+00:00") for e in project.changes(0))


def test_everything_can_be_taken_back_and_done_again(tmp_path: Path) -> None:
    path = write_project_store(tmp_path)
    with open_project(path) as project:
        document = project.document("clip")
        original = document.mask(SQUARE, 1)
        judge(project, 0)
        mend(project, 1)
        track = project.decide(
            "clip", ANNA, lambda d: decisions.add_track(d, 0, Cell.of_mask(corner(), "refined"), "new")
        )["track"]
        project.decide("clip", ANNA, lambda d: decisions.set_aside(d, SQUARE, False))
        for _ in range(4):
            project.undo("clip", ANNA)
        assert track not in document.tracks
        assert document.states(SQUARE) == ["auto"] * FRAMES
        assert np.array_equal(document.mask(SQUARE, 1), original)
        with pytest.raises(UsageError, match="nothing to take back"):
            project.undo("clip", ANNA)
        for _ in range(4):
            project.undo("clip", ANNA, again=True)
    with open_project(path) as project:
        document = project.document("clip")
        assert document.tracks[track].name == "new"
        assert document.tracks[SQUARE].status == "rejected"
        assert document.states(SQUARE)[:2] == ["accepted", "refined"]
        project.undo("clip", ANNA)
        assert document.tracks[SQUARE].status == "open"


def test_people_take_back_only_their_own(tmp_path: Path) -> None:
    with open_project(write_project_store(tmp_path)) as project:
        judge(project, 0)
        judge(project, 0, who=BEN, track=CORNER)
        project.undo("clip", ANNA)
        assert project.document("clip").state(SQUARE, 0) == "auto"
        assert project.document("clip").state(CORNER, 0) == "accepted"
        judge(project, 1)
        project.locks.release_all(ANNA.page)
        judge(project, 1, "rejected", who=BEN)
        project.locks.release_all(BEN.page)
        with pytest.raises(UsageError, match="was changed since"):
            project.undo("clip", ANNA)


def test_a_track_belongs_to_one_page_at_a_time(tmp_path: Path) -> None:
    with open_project(write_project_store(tmp_path)) as project:
        judge(project, 0)
        with pytest.raises(HeldError, match="Anna is working on it"):
            judge(project, 0, "rejected", who=BEN)
        assert project.document("clip").state(SQUARE, 0) == "accepted"
        assert len(project.changes(0)) == 1


def test_folding_puts_everything_into_the_store(tmp_path: Path) -> None:
    path = write_project_store(tmp_path, clips=("clip", "other"))
    with open_project(path) as project:
        assert not project.fold(), "there is nothing to fold"
        mend(project, 1)
        project.decide("clip", ANNA, lambda d: decisions.accept_rest(d, SQUARE, 0, {}))
        project.decide("clip", ANNA, lambda d: decisions.set_aside(d, CORNER, False))
        assert project.fold()
        assert project.unfolded == 0
    with StoreReader(path) as store:
        assert list(store.clips) == ["clip", "other"]
        clip = store.clip("clip")
        assert {t.id: t.review for t in clip.tracks} == {SQUARE: "mended", CORNER: "rejected"}
        assert np.array_equal(clip.mask(1, SQUARE), corner())
        assert clip.source == "frames"
        assert {t.review for t in store.clip("other").tracks} == {""}


def test_a_kill_between_the_journal_and_the_store_is_made_good(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_project_store(tmp_path)
    with open_project(path) as project:
        mend(project, 1)
        real = atomic.publish

        def killed(new: Path, old: Path) -> None:
            if old == path:
                raise KeyboardInterrupt
            real(new, old)

        with monkeypatch.context() as patch:
            patch.setattr(atomic, "publish", killed)
            with pytest.raises(KeyboardInterrupt):
                project.fold()
    with open_project(path) as project:
        assert project.unfolded == 1
        assert project.fold()
    with StoreReader(path) as store:
        assert np.array_equal(store.clip("clip").mask(1, SQUARE), corner())
    with open_project(path) as project:
        assert project.unfolded == 0


def test_a_folded_store_knows_its_states_without_the_journal(tmp_path: Path) -> None:
    path = write_project_store(tmp_path)
    with open_project(path) as project:
        judge(project, 0)
        judge(project, 2, "rejected")
        mend(project, 1)
        project.fold()
    with StoreReader(path) as store:
        document = open_document(store, "clip")
        assert document.states(SQUARE) == ["accepted", "refined", "rejected", "auto", "auto", "auto"]
    with open_project(path) as project:  # and with it, where all is said twice
        assert project.document("clip").states(SQUARE)[:3] == ["accepted", "refined", "rejected"]
        project.undo("clip", ANNA)
        assert project.document("clip").state(SQUARE, 1) == "auto"


def test_another_store_is_not_taken_for_the_one_that_was_annotated(tmp_path: Path) -> None:
    path = write_project_store(tmp_path)
    with open_project(path) as project:
        judge(project, 0)
    (tmp_path / "new").mkdir()
    write_project_store(tmp_path / "new", known=2).replace(path)
    with pytest.raises(StoreError, match="is another file than the one its decisions"):
        open_project(path)


def test_one_process_at_a_time(tmp_path: Path) -> None:
    path = write_project_store(tmp_path)
    with open_project(path), pytest.raises(StoreError, match="another process is writing to it"):
        open_project(path)
    open_project(path).close()


def test_a_process_that_is_killed_loses_nothing_it_said_was_saved(tmp_path: Path) -> None:
    path = write_project_store(tmp_path)
    folder = Path(__file__).parent
    paths = os.pathsep.join([str(folder), str(folder.parent), str(folder.parents[1])])
    said: dict[int, str] = {}
    seq = 0
    for rounds in (7, 18):
        command = [sys.executable, str(folder / "crash_worker.py"), str(path)]
        environment = {**os.environ, "PYTHONPATH": paths}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as worker:
            assert worker.stdout is not None
            for _ in range(rounds):
                number, frame, state = worker.stdout.readline().split()
                said[int(frame)], seq = state, int(number)
            worker.send_signal(signal.SIGKILL)
        with open_project(path) as project:
            document = project.document("clip")
            later = {
                c[1]
                for n in range(seq + 1, len(project.journal) + 1)
                for c in project.journal.entry(n).get("cells", ())
            }
            assert len(project.journal) >= seq
            assert {f: document.state(SQUARE, f) for f in said if f not in later} == {
                f: s for f, s in said.items() if f not in later
            }
            project.fold()
        with StoreReader(path) as store:
            assert len(list(store.clip("clip").records())) == 2 * FRAMES
