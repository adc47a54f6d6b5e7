"""Lines that survive what happens to them, and those that must not be believed."""

from pathlib import Path

import pytest

from engine.annotation.journal import Journal
from engine.errors import OutputError, StoreError


def written(path: Path, count: int = 3) -> Path:
    journal = Journal(path)
    for number in range(count):
        journal.append({"action": "accepted", "note": f"né {number}\n"})
    journal.close()
    return path


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    journal = Journal(written(tmp_path / "journal"))
    assert [(e["seq"], e["note"]) for e in journal.entries()] == [(1, "né 0\n"), (2, "né 1\n"), (3, "né 2\n")]
    assert journal.append({"action": "undo"})["seq"] == 4
    assert journal.entry(4)["action"] == "undo"
    journal.close()


@pytest.mark.parametrize("left", range(1, 60, 7))
def test_a_line_cut_short_is_dropped_and_the_next_takes_its_place(tmp_path: Path, left: int) -> None:
    path = written(tmp_path / "journal")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:2]) + lines[2][:left])
    journal = Journal(path)
    assert len(journal) == 2
    journal.append({"action": "again"})
    journal.close()
    assert [e["action"] for e in Journal(path).entries()] == ["accepted", "accepted", "again"]


@pytest.mark.parametrize("line", [0, 1, 2])
def test_damage_is_not_passed_over(tmp_path: Path, line: int) -> None:
    path = written(tmp_path / "journal")
    lines = path.read_bytes().splitlines(keepends=True)
    lines[line] = lines[line].replace(b"accepted", b"rejected")
    path.write_bytes(b"".join(lines))
    with pytest.raises(StoreError, match=f"line {line + 1} is damaged"):
        Journal(path)


def test_a_missing_line_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "journal")
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + lines[2])
    with pytest.raises(StoreError, match="out of order"):
        Journal(path)


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(written(tmp_path / "journal"))
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", lambda file: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        with pytest.raises(OutputError, match="no space left"):
            journal.append({"action": "accepted"})
    assert journal.append({"action": "rejected"})["seq"] == 4
    journal.close()
    assert [e["action"] for e in Journal(tmp_path / "journal").entries()][2:] == ["accepted", "rejected"]
