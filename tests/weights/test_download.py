"""Fetching from a server on this machine: whole, wrong, missing, refused, broken off."""

import hashlib
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from engine.errors import CheckpointError
from engine.weights.catalogue import CATALOGUE, Entry
from engine.weights.download import fetch

CONTENT = bytes(range(256)) * 5000


@pytest.fixture
def entry(site) -> Entry:
    site.files["/w.pth"] = CONTENT
    digest = hashlib.sha256(CONTENT).hexdigest()
    return replace(CATALOGUE["sam-vit-b"], file="w.pth", url=f"{site.address}/w.pth", sha256=digest, size=len(CONTENT))


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_a_whole_file_arrives_with_progress(entry, folder):
    calls = []
    place = fetch(entry, lambda done, total: calls.append((done, total)))
    assert place == folder / "w.pth"
    assert place.read_bytes() == CONTENT
    assert calls[-1] == (len(CONTENT), len(CONTENT))
    assert _left(folder) == ["w.pth"]


def test_what_is_there_is_not_fetched_again(entry, folder, site):
    fetch(entry)
    site.files.clear()
    assert fetch(entry).read_bytes() == CONTENT


def test_without_a_known_digest_the_file_is_taken(entry, folder):
    assert fetch(replace(entry, sha256=None)).read_bytes() == CONTENT


def test_another_file_is_refused_and_nothing_is_kept(entry, folder):
    with pytest.raises(CheckpointError, match="checksum differs"):
        fetch(replace(entry, sha256="0" * 64))
    assert _left(folder) == []


def test_the_first_digits_are_checked_where_only_these_are_known(entry, folder):
    known = replace(entry, sha256=None, sha256_begins=hashlib.sha256(CONTENT).hexdigest()[:8])
    assert fetch(known).read_bytes() == CONTENT
    (folder / "w.pth").unlink()
    with pytest.raises(CheckpointError, match="checksum differs"):
        fetch(replace(known, sha256_begins="01234567"))
    assert _left(folder) == []


def test_missing_at_the_server(entry, folder, site):
    site.files.clear()
    with pytest.raises(CheckpointError, match="404"):
        fetch(entry)
    assert _left(folder) == []


def test_nobody_answers(entry, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    with pytest.raises(CheckpointError, match="connection refused"):
        fetch(replace(entry, url=f"http://127.0.0.1:{port}/w.pth"))


@pytest.mark.parametrize("ranges", [True, False])
def test_broken_off_then_continued(entry, folder, site, ranges):
    site.breaks, site.ranges = 700_000, ranges
    with pytest.raises(CheckpointError, match="run the same command again"):
        fetch(entry)
    assert "w.pth" not in _left(folder)
    site.breaks = None
    assert fetch(entry).read_bytes() == CONTENT
    assert site.asked[-1] is not None, "the second attempt asks for the rest only"
    assert _left(folder) == ["w.pth"]


def test_a_part_that_is_already_whole_is_started_afresh(entry, folder):
    folder.mkdir()
    (folder / "w.pth.part").write_bytes(CONTENT)
    assert fetch(entry).read_bytes() == CONTENT


def test_a_damaged_part_does_not_survive(entry, folder):
    folder.mkdir()
    (folder / "w.pth.part").write_bytes(b"x" * 1000)
    with pytest.raises(CheckpointError, match="checksum differs"):
        fetch(entry)
    assert fetch(entry).read_bytes() == CONTENT
