"""A fingerprint changes when the video does, and only then."""

import os
from pathlib import Path

import pytest
from small_videos import scene, write_frames, write_video

from engine.video.fingerprint import fingerprint


def test_a_file_is_known_by_path_size_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / "a.mp4", scene(2)[0])
    before = fingerprint(str(path))
    monkeypatch.chdir(tmp_path)
    assert fingerprint("a.mp4") == before
    os.utime(path, ns=(1, 1))
    assert fingerprint(str(path)) != before


def test_a_folder_changes_with_its_images_and_not_with_other_files(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "frames", scene(3)[0])
    before = fingerprint(str(folder))
    assert before["files"] == 3
    (folder / "notes.txt").write_text("nothing")
    (folder / "dead.png").symlink_to(folder / "nowhere.png")
    assert fingerprint(str(folder)) == before
    (folder / "00002.png").unlink()
    assert fingerprint(str(folder)) != before


@pytest.mark.parametrize("source", ["-", "frames/*.png"])
def test_what_is_no_path_is_known_by_name(source: str) -> None:
    assert fingerprint(source) == {"source": source}
