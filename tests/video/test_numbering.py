"""Frame numbers from the names of images."""

from pathlib import Path

import numpy as np
import pytest
from small_videos import scene, write_frames, write_video

from engine.video import frame_numbers, open_video


def numbers_of(folder: Path, names: list[str]) -> list[int] | None:
    write_frames(folder, [np.zeros((16, 16, 3), np.uint8)] * len(names), names)
    with open_video(folder) as reader:
        found = frame_numbers(reader)
    return None if found is None else list(found)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["00000", "00005", "00010"], [0, 5, 10]),
        (["1", "2", "10"], [1, 2, 10]),
        (["bear_0007", "bear_0008"], [7, 8]),
        (["s1_e2_0003", "s1_e2_0004"], [3, 4]),
        (["7"], [7]),
        (["a", "b"], None),
        (["a", "b1"], None),
        (["take1_v2", "take2_v2"], None),  # the last number is the same in both
        (["1699999999000000001", "1699999999000000002"], None),
    ],
)
def test_the_last_number_of_each_name_if_they_ascend(
    tmp_path: Path, names: list[str], expected: list[int] | None
) -> None:
    assert numbers_of(tmp_path / "frames", names) == expected


def test_frames_of_a_video_file_are_counted(tmp_path: Path) -> None:
    with open_video(write_video(tmp_path / "clip7.mp4", scene(2)[0])) as reader:
        assert frame_numbers(reader) is None
