"""mAP, precision at K and IoU of scored masks: the reference figures, pycocotools on random cases, bad documents."""

import contextlib
import io
import json
from pathlib import Path
from typing import Any

import evaluation_golden as golden
import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from engine.errors import EvaluationError, FormatError
from engine.evaluation.detections import are_results, evaluate_detections
from engine.masks import rle

Scored = list[tuple[float, np.ndarray]]


def code(mask: np.ndarray) -> dict[str, Any]:
    return {"size": list(mask.shape), "counts": rle.encode(mask).decode()}


def write(folder: Path, truth: dict[str, np.ndarray], found: dict[str, Scored]) -> tuple[Path, Path]:
    images = [{"id": name, "height": mask.shape[0], "width": mask.shape[1]} for name, mask in truth.items()]
    annotations = [
        {"id": i, "image_id": name, "category_id": 1, "segmentation": code(mask), "area": int(mask.sum()), "iscrowd": 0}
        for i, (name, mask) in enumerate(truth.items(), 1)
    ]
    results = [
        {"image_id": name, "category_id": 1, "segmentation": code(mask), "score": score}
        for name, masks in found.items()
        for score, mask in masks
    ]
    categories = [{"id": 1, "name": "object"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    (folder / "truth.json").write_text(json.dumps(document))
    (folder / "results.json").write_text(json.dumps(results))
    return folder / "results.json", folder / "truth.json"


def reference_case() -> tuple[dict[str, np.ndarray], dict[str, Scored]]:
    z = np.load(golden.GOLDEN / "case_a2d.npz")
    images, queries, height, width = z["shape"]
    truth = golden.bits(z["gt"], (images, height, width))
    found = golden.bits(z["pred"], (images, queries, height, width))
    names = [f"v_clip{i:02d}_f_{10 + i}_i_1" for i in range(images)]
    scores = z["score"].tolist()
    return dict(zip(names, truth, strict=True)), {
        name: list(zip(scores[i], found[i], strict=True)) for i, name in enumerate(names)
    }


def test_every_figure_equals_the_reference(tmp_path: Path) -> None:
    report = evaluate_detections(*write(tmp_path, *reference_case()))
    for name, wanted in golden.document("case_a2d")["metrics"].items():
        within = 1e-6 if name == "mean_iou" else 1e-9
        assert report.metrics[name] == pytest.approx(wanted, abs=within), name
    assert report.metrics["mean_iou"] == report.mean.J and report.complete


@pytest.mark.parametrize("seed", range(6))
def test_average_precision_equals_pycocotools(tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    truth, found = {}, {}
    for i in range(20):
        big = rng.random((2, 2)) < 0.5
        mask = big.repeat(rng.integers(4, 70), 0).repeat(rng.integers(4, 70), 1)
        truth[f"i{i:02d}"] = mask
        noise = [np.roll(mask, rng.integers(0, 8), rng.integers(0, 2)) for _ in range(rng.integers(0, 4))]
        found[f"i{i:02d}"] = [(round(float(rng.random()), 1), one) for one in noise]
    results, document = write(tmp_path, truth, found)
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO(str(document))
        judge = COCOeval(known, known.loadRes(str(results)), "segm")
        judge.params.useCats = 0
        judge.evaluate(), judge.accumulate(), judge.summarize()
    got = evaluate_detections(results, document).metrics
    names = ("mAP 0.5:0.95", "AP 0.5", "AP 0.75", "AP 0.5:0.95 S", "AP 0.5:0.95 M", "AP 0.5:0.95 L")
    assert [got[name] for name in names] == pytest.approx(judge.stats[:6].tolist(), abs=1e-9)


def test_images_without_prediction_score_zero_and_are_listed(tmp_path: Path) -> None:
    truth, found = reference_case()
    first = next(iter(truth))
    del found[first]
    paths = write(tmp_path, truth, found)
    report = evaluate_detections(*paths)
    assert first in report.problems[0].text and not report.complete
    assert report.clips[0].tracks[0].mean.J == 0
    with pytest.raises(EvaluationError, match=first):
        evaluate_detections(*paths, strict=True)


def test_results_are_recognised(tmp_path: Path) -> None:
    results, document = write(tmp_path, *reference_case())
    assert are_results(results) and not are_results(document) and not are_results(tmp_path / "nowhere")


def test_documents_that_do_not_fit_are_named(tmp_path: Path) -> None:
    results, document = write(tmp_path, *reference_case())
    entries = json.loads(results.read_text())
    results.write_text(json.dumps([{**entries[0], "image_id": "other"}]))
    with pytest.raises(EvaluationError, match="'other' is not in the truth"):
        evaluate_detections(results, document)
    results.write_text(json.dumps([{"image_id": entries[0]["image_id"], "segmentation": entries[0]["segmentation"]}]))
    with pytest.raises(FormatError, match="'score'"):
        evaluate_detections(results, document)
    document.write_text(json.dumps({"images": [], "annotations": []}))
    with pytest.raises(EvaluationError, match="no annotation"):
        evaluate_detections(results, document)
