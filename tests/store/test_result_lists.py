"""Lists of results, as servers take them: with the videos of the truth, and alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from store_samples import HEIGHT, WIDTH, masks_of, write_sample

from engine.errors import FormatError
from engine.store import export, open_source
from engine.store.formats.youtube_vis import YouTubeVisSource


def results(tmp_path: Path) -> tuple[Path, Path]:
    """A YouTube-VIS document and the list of its annotations without names and ids."""
    truth = tmp_path / "truth.json"
    export(write_sample(tmp_path / "a.h5"), truth, "youtube-vis")
    document = json.loads(truth.read_text())
    entries = [
        {"video_id": a["video_id"], "score": 0.5, "category_id": 1, "segmentations": a["segmentations"]}
        for a in document["annotations"]
    ]
    (tmp_path / "results.json").write_text(json.dumps(entries))
    return tmp_path / "results.json", truth


def test_youtube_vis_results_with_the_videos_of_the_truth(tmp_path: Path) -> None:
    path, truth = results(tmp_path)
    with open_source(truth) as known, YouTubeVisSource(path, known.listed) as source:
        assert list(source.clips) == list(known.clips) and source.anonymous and not known.anonymous
        name = known.clips[0]
        found = [masks for (_, masks) in sorted(masks_of(source.clip(name)).items())]
        assert sorted(found) == sorted(masks_of(known.clip(name)).values())


def test_youtube_vis_results_alone_are_named_by_number(tmp_path: Path) -> None:
    path, _ = results(tmp_path)
    with open_source(path) as source:
        assert (source.format, list(source.clips)) == ("youtube-vis", ["1"])
        clip = source.clip("1")
        assert (clip.height, clip.width, list(clip.frames)) == (HEIGHT, WIDTH, list(range(6)))
        assert len(clip.tracks) == 3 and np.isclose(next(clip.records()).score, 0.5)


def test_coco_results_alone(tmp_path: Path) -> None:
    code = json.loads(results(tmp_path)[0].read_text())[0]["segmentations"][0]
    path = tmp_path / "coco.json"
    path.write_text(json.dumps([{"image_id": 7, "category_id": 1, "score": 0.25, "segmentation": code}] * 2))
    with open_source(path) as source:
        assert source.format == "coco" and source.anonymous
        assert len(source.clip(source.clips[0]).tracks) == 2


def test_lists_of_something_else(tmp_path: Path) -> None:
    path, _ = results(tmp_path)
    entries = json.loads(path.read_text())
    path.write_text(json.dumps([{**entries[0], "segmentations": [None]}]))
    with pytest.raises(FormatError, match="size is unknown"):
        open_source(path)
    path.write_text(json.dumps([{"image_id": 1, "segmentation": {"counts": "x"}}]))
    with pytest.raises(FormatError, match="without size"):
        open_source(path)
    path.write_text(json.dumps([{"bbox": [1, 2, 3, 4]}]))
    with pytest.raises(FormatError, match="list of masks"):
        open_source(path)
