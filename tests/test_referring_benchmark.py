"""SgMg over data sets of referring segmentation, in miniature: predictions that `mugvos evaluate` scores."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from sgmg_golden import TINY_BPE
from text_toys import GREEN, RED, squares

from engine.models.sgmg.config import CONFIGS
from engine.models.sgmg.initial import random_sgmg
from engine.video import VideoWriter
from engine.weights.convert import save_weights

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
COUNT = 4


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    """An untrained network with the vocabulary of the small tokenizer."""
    config = CONFIGS["sgmg-tiny"]
    network = random_sgmg(replace(config, text=replace(config.text, vocabulary=412)))
    path = tmp_path_factory.mktemp("weights") / "small.safetensors"
    save_weights(path, network.state_dict(), {"model": "sgmg", "config": network.config.as_dict()})
    return path


def predict(monkeypatch, weights: Path, data: str, root: Path, out: Path) -> int:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    spec = importlib.util.spec_from_file_location("referring_benchmark", BENCHMARKS / "referring.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    given = [data, str(root), str(out), "--model", str(weights), "--text-encoder", str(TINY_BPE), "--short-side", "144"]
    monkeypatch.setattr(sys, "argv", ["referring.py", *given])
    return int(module.main())


def layout(root: Path, sentences: dict[str, dict[str, str]]) -> Path:
    """One video of the validation set as Ref-YouTube-VOS and Ref-DAVIS have it; returns the folder of truth."""
    frames, masks = squares(COUNT)
    for folder in ("JPEGImages", "Annotations"):
        (root / "valid" / folder / "video").mkdir(parents=True)
    names = [f"{at:05d}" for at in range(COUNT)]
    for at, name in enumerate(names):
        Image.fromarray(frames[at].image).save(root / f"valid/JPEGImages/video/{name}.jpg")
        label = Image.fromarray((masks[RED][at] + 2 * masks[GREEN][at]).astype(np.uint8), "P")
        label.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
        label.save(root / f"valid/Annotations/video/{name}.png")
    meta = root / "meta_expressions" / "valid" / "meta_expressions.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"videos": {"video": {"expressions": sentences, "frames": names}}}))
    return root / "valid" / "Annotations"


def test_masks_of_every_sentence(cli, monkeypatch, tmp_path: Path, weights: Path) -> None:
    said = {"0": {"exp": RED, "obj_id": "1"}, "1": {"exp": GREEN, "obj_id": "2"}}
    truth = layout(tmp_path / "data", said)
    assert predict(monkeypatch, weights, "ytvos", tmp_path / "data", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out/video/1").iterdir()) == [f"{at:05d}.png" for at in range(4)]
    meta = tmp_path / "data/meta_expressions/valid/meta_expressions.json"
    out = cli("evaluate", tmp_path / "out", "--gt", truth, "--protocol", "referring", "--meta", meta, "--json")
    assert out.status == 0, out.err
    (clip,) = json.loads(out.out)["clips"]
    assert [track["name"] for track in clip["tracks"]] == ["0", "1"]


def test_label_images_of_every_annotator(cli, monkeypatch, tmp_path: Path, weights: Path) -> None:
    said = {
        str(4 * k + a): {"exp": f"{name} {a}", "obj_id": str(k + 1)}
        for k, name in enumerate((RED, GREEN))
        for a in range(4)
    }
    truth = layout(tmp_path / "data", said)
    assert predict(monkeypatch, weights, "davis", tmp_path / "data", tmp_path / "out") == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [f"anno_{a}" for a in range(4)]
    out = cli("evaluate", tmp_path / "out", "--gt", truth, "--protocol", "referring", "--json")
    assert out.status in (0, 1), out.err
    assert [clip["name"] for clip in json.loads(out.out)["clips"]] == [f"anno_{a}/video" for a in range(4)]


def test_scored_masks_of_annotated_frames(cli, monkeypatch, tmp_path: Path, weights: Path) -> None:
    frames, masks = squares(COUNT)
    root = tmp_path / "a2d"
    clips, texts = root / "Release/Clips320H", root / "text_annotations"
    stored = texts / "a2d_annotation_with_instances" / "film"
    for folder in (clips, stored):
        folder.mkdir(parents=True)
    with VideoWriter(clips / "film.mp4", 25, 80, 48) as writer:
        for frame in frames:
            writer.write(frame.image)
    (root / "Release/videoset.csv").write_text("film,1,0,1,48,80,4,1,1\nother,1,0,1,48,80,4,1,0\n")
    (texts / "a2d_annotation.txt").write_text(f"video_id,instance_id,query\nfilm,0,{RED}\nfilm,1,{GREEN}\n")
    with h5py.File(stored / "00002.h5", "w") as file:
        file["instance"] = np.array([[0.0], [1.0]])
        file["reMask"] = np.stack([masks[RED][1].T, masks[GREEN][1].T]).astype(np.uint8)
    assert predict(monkeypatch, weights, "a2d", root, tmp_path / "out") == 0
    truth = json.loads((tmp_path / "out/truth.json").read_text())
    assert [image["id"] for image in truth["images"]] == ["v_film_f_2_i_0", "v_film_f_2_i_1"]
    assert [entry["area"] for entry in truth["annotations"]] == [int(masks[RED][1].sum()), int(masks[GREEN][1].sum())]
    assert len(json.loads((tmp_path / "out/predictions.json").read_text())) == 10
    given = (tmp_path / "out/predictions.json", "--gt", tmp_path / "out/truth.json")
    out = cli("evaluate", *given, "--protocol", "referring", "--json")
    assert out.status == 0, out.err
    assert 0 <= json.loads(out.out)["metrics"]["mean_iou"] <= 1


def test_windows_stay_inside_the_clip(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from referring_samples import window

    assert window(10, 0, 20) == ([8, 9, 10, 11, 12], 2)
    assert window(1, 1, 20) == ([1, 1, 1, 2, 3], 0)
    assert window(20, 1, 20) == ([18, 19, 20, 20, 20], 2)
