"""Data sets that come with a meta file or in forms of their own, through real files."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evaluation_sources import index_source, moving, source, square
from PIL import Image

from engine.errors import EvaluationError
from engine.evaluation import Report, evaluate
from engine.evaluation.inputs import meta_of, open_inputs
from engine.evaluation.meta import Meta, read_meta
from engine.store import export, open_source


def save_labels(root: Path, clips: dict[str, np.ndarray], digits: int = 5, step: int = 1) -> Path:
    for name, values in clips.items():
        (root / name).mkdir(parents=True)
        for frame, image in enumerate(values):
            Image.fromarray(image).save(root / name / f"{frame * step:0{digits}d}.png")
    return root


def save_tracks(root: Path, video: str, tracks: dict[str, dict[int, np.ndarray]]) -> Path:
    for name, masks in tracks.items():
        (root / video / name).mkdir(parents=True)
        for frame, mask in masks.items():
            Image.fromarray(mask.astype(np.uint8) * 255).save(root / video / name / f"{frame:05d}.png")
    return root


def labels(*offsets: int, frames: int = 5) -> np.ndarray:
    """Label images with an object for each offset."""
    values = np.zeros((frames, 40, 60), np.uint8)
    for id, offset in enumerate(offsets, 1):
        for frame in range(frames):
            values[frame][square(offset + frame)] = id
    return values


def write_json(path: Path, document: Any) -> Path:
    path.write_text(json.dumps(document))
    return path


def score(predicted: Path, truth: Path, protocol: str, **more: Any) -> Report:
    with open_inputs(str(predicted), str(truth), protocol) as inputs:
        meta, _ = meta_of(protocol, str(truth), more.pop("meta", None), more.pop("unseen", None))
        return evaluate(inputs.predictions, inputs.truth, protocol, meta=meta, **more)


# YouTube-VOS


def test_youtube_vos_judges_each_object_after_its_first_frame(tmp_path: Path) -> None:
    """Object 2 comes in frame 10; files stand for every fifth frame."""
    truth, found = labels(2, 25), labels(2, 25)
    truth[:2][truth[:2] == 2] = 0
    found[:3][found[:3] == 2] = 0
    found[4] = 0
    save_labels(tmp_path / "gt" / "Annotations", {"v": truth}, step=5)
    save_labels(tmp_path / "found", {"v": found}, step=5)
    objects = {"1": {"category": "dog", "frames": ["00000", "00005", "00010", "00015", "00020"]}}
    objects["2"] = {"category": "owl", "frames": ["00010", "00015", "00020"]}
    write_json(tmp_path / "gt" / "meta.json", {"videos": {"v": {"objects": objects}}})
    (tmp_path / "unseen.txt").write_text("owl\n")
    report = score(tmp_path / "found", tmp_path / "gt" / "Annotations", "youtube-vos", unseen=tmp_path / "unseen.txt")
    dog, owl = report.clips[0].tracks
    assert (dog.frames, owl.frames) == ((5, 10, 15, 20), (15, 20))
    assert (dog.group, owl.group) == ("seen", "unseen")
    assert (dog.mean.J, owl.mean.J) == (0.75, 0.5)
    assert report.mean.J == report.metrics["J-Mean"] == (0.75 + 0.5) / 2
    assert report.metrics["J-unseen-Mean"] == 0.5


def test_youtube_vos_without_a_meta_file_starts_where_the_object_is_first_seen() -> None:
    truth = labels(2, 25)
    truth[:2][truth[:2] == 2] = 0
    report = evaluate(index_source({"v": truth}), index_source({"v": truth}), "youtube-vos")
    assert [track.frames for track in report.tracks] == [(1, 2, 3, 4), (3, 4)]
    assert report.mean.J == 1 and any("--unseen" in note for note in report.notes)


# Referring


def test_sentences_are_judged_against_the_objects_they_mean(tmp_path: Path) -> None:
    save_labels(tmp_path / "gt", {"v": labels(2, 25)})
    tracks = {"0": moving(range(5), -3), "1": moving(range(5), 20), "2": moving(range(5), 22)}
    save_tracks(tmp_path / "found", "v", tracks)
    sentences = {"0": {"exp": "left", "obj_id": "1"}, "1": {"exp": "right", "obj_id": "2"}}
    sentences["2"] = {"exp": "the right one", "obj_id": "2"}
    meta = write_json(tmp_path / "meta_expressions.json", {"videos": {"v": {"expressions": sentences}}})
    report = score(tmp_path / "found", tmp_path / "gt", "referring", meta=meta)
    first, second, third = report.tracks
    assert [t.name for t in report.tracks] == ["0", "1", "2"] and [t.id for t in report.tracks] == [1, 2, 2]
    assert first.frames == (0, 1, 2, 3, 4), "all frames count"
    assert (first.mean.J, second.mean.J) == (1, 1) and third.mean.J < 1


def test_sentences_that_were_not_predicted_score_zero(tmp_path: Path) -> None:
    save_labels(tmp_path / "gt", {"v": labels(2)})
    save_tracks(tmp_path / "found", "v", {"0": moving(range(5), -3)})
    sentences = {"0": {"exp": "it", "obj_id": "1"}, "1": {"exp": "that", "obj_id": "1"}}
    meta = write_json(tmp_path / "m.json", {"videos": {"v": {"expressions": sentences}}})
    report = score(tmp_path / "found", tmp_path / "gt", "referring", meta=meta)
    assert [t.mean.J for t in report.tracks] == [1, 0] and "v: 1 track (1)" in report.problems[0].text


def test_sentences_with_a_truth_of_their_own_are_paired_by_name() -> None:
    truth = {"v": {"0": moving(range(4)), "1": moving(range(4), 9)}}
    report = evaluate(source(truth, "mugvos"), source(truth, "mugvos"), "referring")
    assert report.mean.J == 1 and report.tracks[0].frames == (0, 1, 2, 3)


def test_the_annotators_of_referring_davis_are_averaged(tmp_path: Path) -> None:
    save_labels(tmp_path / "gt", {"v": labels(2, 25)})
    for annotator, offset in enumerate((0, 1, 2, 3)):
        save_labels(tmp_path / "found" / f"anno_{annotator}", {"v": labels(2 + offset, 25)})
    report = score(tmp_path / "found", tmp_path / "gt", "referring")
    alone = [
        score(tmp_path / "found" / f"anno_{annotator}", tmp_path / "gt", "davis-unsupervised") for annotator in range(4)
    ]
    assert report.mean.j_and_f == pytest.approx(np.mean([one.mean.j_and_f for one in alone]), abs=1e-12)
    assert report.metrics["J&F anno_2"] == pytest.approx(alone[2].mean.j_and_f, abs=1e-12)
    assert [clip.name for clip in report.clips] == [f"anno_{annotator}/v" for annotator in range(4)]


# Long videos and lists of results


def test_long_videos_are_judged_where_they_are_annotated_and_decay_is_right(tmp_path: Path) -> None:
    frames = range(0, 1200, 4)
    truth = source({"v": {"1": {f: square(5) for f in frames}}})
    found = source({"v": {"1": {f: square(5 + (f > 900)) for f in range(1200)}}})
    report = evaluate(found, truth, "long-video")
    assert len(report.tracks[0].frames) == len(frames) - 2 > 256
    assert report.metrics["J-Decay"] > 0.1


def test_youtube_vis_results_are_paired_with_the_videos_of_the_truth_by_overlap(tmp_path: Path) -> None:
    save_tracks(tmp_path / "tree", "dog", {"track_1": moving(range(4)), "track_2": moving(range(4), 20)})
    export(tmp_path / "tree", tmp_path / "truth.json", "youtube-vis")
    document = json.loads((tmp_path / "truth.json").read_text())
    entries = [
        {"video_id": one["video_id"], "category_id": 1, "score": 0.5, "segmentations": one["segmentations"]}
        for one in reversed(document["annotations"])
    ]
    results = write_json(tmp_path / "results.json", entries)
    report = score(results, tmp_path / "truth.json", "mug")
    assert [clip.name for clip in report.clips] == ["dog"] and report.mean.J == 1


# Meta files


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "is no JSON"),
        ("[]", "no videos by name"),
        ('{"videos": {"v": {}}}', "neither objects nor expressions"),
        ('{"videos": {"v": {"objects": {"1": {"frame_range": {"start": "1"}}}}}}', "object '1' of video 'v'"),
        ('{"videos": {"v": {"objects": {"x": {}}}}}', "object 'x' of video 'v'"),
        ('{"videos": {"v": {"expressions": {"0": {"obj_id": "x"}}}}}', "expression '0' of video 'v'"),
    ],
)
def test_other_meta_files_are_refused_by_name(tmp_path: Path, content: str, words: str) -> None:
    (tmp_path / "meta.json").write_text(content)
    with pytest.raises(EvaluationError, match=rf"meta\.json: .*{words}"):
        read_meta(tmp_path / "meta.json")


def test_a_meta_file_that_is_not_there_is_told_from_one_that_is_no_text(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"gone\.json: no such file"):
        read_meta(tmp_path / "gone.json")
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(EvaluationError, match="cannot be read as text"):
        read_meta(tmp_path / "bytes.json")


def test_a_meta_file_that_names_frames_the_truth_lacks() -> None:
    from engine.evaluation.meta import MetaObject

    meta = Meta({"v": (MetaObject(1, frames=(0, 5, 10), count=3),)})
    with pytest.raises(EvaluationError, match=r"lacks 1 frame \(5\)"):
        evaluate(index_source({"v": labels(2)}), index_source({"v": labels(2)}), "lvos", meta=meta)


def test_meta_files_are_found_beside_the_truth(tmp_path: Path) -> None:
    save_labels(tmp_path / "valid" / "Annotations", {"v": labels(2)})
    file = write_json(tmp_path / "valid_meta.json", {"videos": {"v": {"objects": {}}}})
    (tmp_path / "unseen_videos.txt").write_text("v\n")
    meta, found = meta_of("lvos", str(tmp_path / "valid" / "Annotations"), None, None)
    assert found is not None and found.resolve() == file.resolve()
    assert meta.unseen == {"v"} and meta.group("v") == "unseen"


def test_sources_in_a_zip_are_opened_where_they_were_unpacked(tmp_path: Path) -> None:
    import shutil

    save_labels(tmp_path / "gt", {"v": labels(2)})
    shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "gt")
    with open_inputs(str(tmp_path / "packed.zip"), str(tmp_path / "gt")) as inputs:
        assert inputs.openers is not None
        again = inputs.openers[0]()
        assert list(again.clips) == ["v"] and again.format == "davis"
        assert evaluate(inputs.predictions, inputs.truth, inputs.protocol).mean.J == 1


def test_named_formats_are_taken_as_named(tmp_path: Path) -> None:
    save_labels(tmp_path / "gt", {"v": labels(2)})
    with open_inputs(str(tmp_path / "gt"), str(tmp_path / "gt"), None, "davis", "davis") as inputs:
        assert inputs.protocol == "davis"
    assert open_source(tmp_path / "gt").format == "davis"
