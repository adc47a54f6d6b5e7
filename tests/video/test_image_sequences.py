"""Videos made of still images: folders, globs, list files, single images."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from video_clips import picture

from engine.errors import VideoError
from engine.video import open_video


def test_folder_in_natural_order(folder_of_frames: Path) -> None:
    reader = open_video(folder_of_frames)
    frames = list(reader)
    assert [frame.name for frame in frames] == [str(number) for number in range(1, 13)]
    assert all(np.array_equal(frame.image, picture(frame.index)) for frame in frames)
    assert (reader.info.name, reader.info.frame_count, reader.count()) == ("bear", 12, 12)
    assert reader.info.fps is None and frames[0].time is None


def test_range_of_a_folder(folder_of_frames: Path) -> None:
    assert [frame.index for frame in open_video(folder_of_frames).frames(2, 100, 4)] == [2, 6, 10]


def test_glob(folder_of_frames: Path) -> None:
    reader = open_video(str(folder_of_frames / "1*.png"))
    assert [frame.name for frame in reader] == ["1", "10", "11", "12"]
    assert reader.info.name == "bear"
    assert open_video(str(folder_of_frames.parent / "**" / "*.png")).count() == 12


def test_a_file_whose_name_looks_like_a_pattern(tmp_path: Path) -> None:
    Image.fromarray(picture(0)).save(tmp_path / "a[1].png")
    assert open_video(tmp_path / "a[1].png").count() == 1


def test_list_file_keeps_its_order(folder_of_frames: Path) -> None:
    listing = folder_of_frames.parent / "list.txt"
    listing.write_text(f"bear/3.png\n\n  bear/1.png\r\n{folder_of_frames / '2.png'}\n", encoding="utf-8-sig")
    assert [frame.name for frame in open_video(listing)] == ["3", "1", "2"]


def test_grey_and_alpha_images_among_colour(tmp_path: Path) -> None:
    Image.new("L", (5, 4), 9).save(tmp_path / "1.png")
    Image.new("RGBA", (5, 4), (9, 9, 9, 0)).save(tmp_path / "2.png")
    Image.new("RGB", (5, 4), (1, 2, 3)).save(tmp_path / "3.webp", lossless=True)
    assert [tuple(frame.image[0, 0]) for frame in open_video(tmp_path)] == [(9, 9, 9), (0, 0, 0), (1, 2, 3)]


def test_the_first_image_of_another_size_is_named(folder_of_frames: Path) -> None:
    for name in ("7.png", "9.png"):
        Image.new("RGB", (32, 32)).save(folder_of_frames / name)
    frames = iter(open_video(folder_of_frames))
    assert [next(frames).name for _ in range(6)] == ["1", "2", "3", "4", "5", "6"]
    with pytest.raises(VideoError, match=r"7\.png: 32x32 pixels, but the first image 1\.png has 64x48"):
        next(frames)


def test_bad_folders_lists_and_patterns(tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "clip.mp4").write_bytes(b"x")
    (tmp_path / "pairs").mkdir()
    for name in ("00000.jpg", "00000.png"):
        Image.new("RGB", (4, 4)).save(tmp_path / "pairs" / name)
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "wrong.txt").write_text("pairs/00000.jpg\npairs/9.jpg\n")
    (tmp_path / "binary.txt").write_bytes(b"\xff\xfe\xfa")
    reasons = {
        "none": "a folder without images",
        "pairs": r"holds both 00000\.jpg and 00000\.png: .*\*\.jpg",
        "empty.txt": "an empty list",
        "wrong.txt": r"line 2: no such file: pairs/9\.jpg",
        "binary.txt": "not a text file",
        "*.png": "matches nothing",
        "*.txt": "matches 3 files, none of them an image",
    }
    for name, reason in reasons.items():
        with pytest.raises(VideoError, match=reason):
            open_video(str(tmp_path / name))
