"""What a folder is taken for."""

import numpy as np
from PIL import Image

from engine.store import open_source


def test_a_folder_of_tracks_is_one_video(tmp_path):
    for track in ("track_000", "track_001"):
        folder = tmp_path / "bear" / track
        folder.mkdir(parents=True)
        mask = np.zeros((6, 8), np.uint8)
        mask[1:3, 2:5] = 255
        Image.fromarray(mask).save(folder / "000.png")
    source = open_source(tmp_path / "bear")
    assert source.format == "mugvos"
    assert list(source.clips) == ["bear"]
    assert [track.name for track in source.clip("bear").tracks] == ["track_000", "track_001"]
    assert source.clip("bear").mask(0, 1).sum() == 6
