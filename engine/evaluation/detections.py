"""Scored masks of single frames, as A2D-Sentences, JHMDB-Sentences and RefCOCO ask: mAP, precision at K, IoU.

The truth is a COCO document with one annotation an image; the predictions are COCO results, several scored masks an
image. Average precision as COCO's mask evaluation computes it with categories ignored and at most 100 masks an image.
Masks stay run lengths. Knows JSON documents and numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import EvaluationError, FormatError
from engine.evaluation.plan import Problem
from engine.evaluation.report import ClipScore, Mean, Report, TrackScore
from engine.evaluation.words import some
from engine.masks import rle
from engine.store.formats import base, documents
from engine.store.formats.json_stream import JsonFile, JsonReader

THRESHOLDS = np.linspace(0.5, 0.95, 10)
RECALLS = np.linspace(0, 1, 101)
PRECISION_AT = (0.5, 0.6, 0.7, 0.8, 0.9)
AREAS = {"": (0, 1e10), " S": (0, 32**2), " M": (32**2, 96**2), " L": (96**2, 1e10)}
MOST_MASKS = 100
_EPSILON = 1e-6
_ALMOST_ONE = 1 - 1e-10

ImageId = int | str


@dataclass(frozen=True)
class Sample:
    """One image: area of its true mask, and per prediction score, area and pixels shared with the truth, as listed."""

    id: ImageId
    area: int
    scores: list[float] = field(default_factory=list)
    areas: list[int] = field(default_factory=list)
    shared: list[int] = field(default_factory=list)

    @property
    def ious(self) -> np.ndarray:
        """IoU of each prediction, float64; 0 where either mask is empty."""
        shared = np.array(self.shared, np.float64)
        return shared / np.maximum(np.array(self.areas) + self.area - shared, 1)

    @property
    def best(self) -> int | None:
        """The prediction of highest score, the last of equal ones; None without predictions."""
        if not self.scores:
            return None
        return max(range(len(self.scores)), key=lambda at: (self.scores[at], at))

    @property
    def overlap(self) -> tuple[int, int]:
        """Intersection and union of the best prediction with the truth; nothing predicted is an empty mask."""
        at = self.best
        shared, area = (0, 0) if at is None else (self.shared[at], self.areas[at])
        return shared, area + self.area - shared

    @property
    def iou(self) -> float:
        """IoU of the best prediction, 1 where both masks are empty, 0 where there is none."""
        shared, union = self.overlap
        return 0.0 if self.best is None else (shared + _EPSILON) / (union + _EPSILON)


def are_results(path: str | Path) -> bool:
    """Whether a path is a JSON list of scored masks of images."""
    file = Path(path)
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        head = stream.read(1 << 16).lstrip()
    return head[:1] == b"[" and b'"image_id"' in head and b'"segmentation"' in head


def evaluate_detections(predictions: str | Path, truth: str | Path, strict: bool = False) -> Report:
    """All figures of a list of scored masks against a COCO document.

    `mean` holds mean IoU as J and no F; everything else is in `metrics`. Raises EvaluationError or FormatError.
    """
    if not Path(truth).is_file():
        raise EvaluationError(
            f"{truth}: is no COCO file, which scored masks of single frames are judged against",
            "name one with --gt, or another protocol for masks of videos",
        )
    samples = read_samples(Path(predictions), Path(truth))
    missing = [sample.id for sample in samples if sample.best is None]
    if missing and strict:
        raise EvaluationError(f"{some(missing, 'image')} without prediction", "complete them, or leave out --strict")
    problems = (Problem(f"{some(missing, 'image')} without prediction", "scored as 0"),) if missing else ()
    clips = tuple(_clip(sample) for sample in samples)
    figures = metrics(samples)
    notes = ("judged: every image on its own; J is IoU, boundaries are not judged",)
    return Report("referring", clips, problems, notes, Mean(figures["mean_iou"], float("nan")), figures)


def metrics(samples: Sequence[Sample]) -> dict[str, float]:
    """Every figure by the name that the reference gives it, in [0, 1]; -1 for an area range without a true mask."""
    ious = np.array([sample.iou for sample in samples])
    overlaps = np.array([sample.overlap for sample in samples])
    whole = average_precision(samples, AREAS[""])
    found = {"mAP 0.5:0.95": _mean(whole), "AP 0.5": float(whole[0]), "AP 0.75": float(whole[5])}
    found |= {f"AP 0.5:0.95{name}": _mean(average_precision(samples, AREAS[name])) for name in (" S", " M", " L")}
    found |= {f"P@{level}": float(np.mean(ious > level)) for level in PRECISION_AT}
    return {**found, "overall_iou": float(overlaps[:, 0].sum() / max(1, overlaps[:, 1].sum())), "mean_iou": _mean(ious)}


def average_precision(samples: Sequence[Sample], limits: tuple[float, float]) -> np.ndarray:
    """AP at each of THRESHOLDS, float64 (10,), for true areas within limits, both ends included; -1 without any.

    A truth outside of the limits is ignored with the prediction that takes it, and so are untaken predictions of other
    areas.
    """
    ordered = sorted(samples, key=lambda sample: sample.id)
    wanted = sum(_within(sample.area, limits) for sample in ordered)
    if not wanted:
        return np.full(len(THRESHOLDS), -1.0)
    taken, ignored, scores = (np.concatenate(parts, axis=-1) for parts in zip(*_matches(ordered, limits), strict=True))
    order = np.argsort(-scores, kind="stable")
    right, wrong = (taken & ~ignored)[:, order], (~taken & ~ignored)[:, order]
    curves = zip(np.cumsum(right, axis=1), np.cumsum(wrong, axis=1), strict=True)
    return np.array([_area_below(tp, fp, wanted) for tp, fp in curves])


def _matches(samples: Sequence[Sample], limits: tuple[float, float]) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """For each image: whether a prediction takes the truth (thresholds, predictions), is ignored, and its score."""
    found = []
    for sample in samples:
        order = np.argsort(-np.array(sample.scores, np.float64), kind="stable")[:MOST_MASKS]
        enough = sample.ious[order][None] >= np.minimum(THRESHOLDS, _ALMOST_ONE)[:, None]
        first = enough & (np.cumsum(enough, axis=1) == 1)
        other = np.array([not _within(sample.areas[at], limits) for at in order], bool)
        ignored = np.where(first, not _within(sample.area, limits), other[None])
        found.append((first, ignored.astype(bool), np.array(sample.scores, np.float64)[order]))
    return found


def _area_below(tp: np.ndarray, fp: np.ndarray, wanted: int) -> float:
    """Mean of the precision at 101 recalls, made non-increasing from the right."""
    if not len(tp):
        return 0.0
    precision = tp / (tp + fp + np.spacing(1))
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    at = np.searchsorted(tp / wanted, RECALLS, side="left")
    return float(np.mean(np.append(precision, 0.0)[np.minimum(at, len(precision))]))


def read_samples(predictions: Path, truth: Path) -> list[Sample]:
    """The images of the truth with their predictions. Raises FormatError, EvaluationError for what does not fit.

    Both files are read mask by mask; only numbers are kept.
    """
    with JsonFile(truth) as true_file, JsonFile(predictions) as file:
        known = _Truth(true_file)
        samples = {image: Sample(image, rle.area(known.code(image), *known.sizes[image])) for image in known.places}
        results = documents.objects(file.read(), "results", str(predictions))
        for number, (_, entry) in enumerate(results):
            documents.check_ids(entry, f"{predictions}: entry {number}")
            image, where = entry.get("image_id"), f"{predictions}: entry {number}"
            if image not in samples:
                raise EvaluationError(
                    f"{where}: image {image!r} is not in the truth", "check that both belong together"
                )
            counts, size = _counts(entry, known.sizes[image], where), known.sizes[image]
            samples[image].scores.append(_score(entry, where))
            samples[image].areas.append(rle.area(counts, *size))
            samples[image].shared.append(rle.overlap(counts, known.code(image), *size))
    return list(samples.values())


class _Truth:
    """The true masks, which stay in their file: `sizes` of the images, `places` of their one annotation."""

    def __init__(self, file: JsonFile) -> None:
        self._file, self._where = file, str(file.path)
        self._last: tuple[ImageId, bytes] | None = None
        self.sizes: dict[ImageId, tuple[int, int]] = {}
        self.places: dict[ImageId, int] = {}
        reader, found = file.read(), set[str]()
        for key in reader.names():
            found.add(key)
            if key == "images":
                self._read_images(documents.few(reader, key, self._where, ("id", "height", "width")))
            elif key == "annotations":
                self._read_annotations(reader)
        documents.complete(found, ("images", "annotations"), self._where)
        unlisted = next((image for image in self.places if image not in self.sizes), None)
        if unlisted is not None:
            raise self._fault(unlisted, "not listed")
        if not self.places:
            raise EvaluationError(f"{self._where}: no annotation in it", "check the path given with --gt")

    def code(self, image: ImageId) -> bytes:
        """The run lengths of the true mask of an image."""
        if self._last is None or self._last[0] != image:
            annotation = self._file.value(self.places[image])
            self._last = image, _counts(annotation, self.sizes[image], f"{self._where}: image {image!r}")
        return self._last[1]

    def _read_images(self, images: list[dict[str, Any]]) -> None:
        for image in images:
            where = f"{self._where}: image {image.get('id')!r}"
            self.sizes[image.get("id", "")] = base.check_size(image.get("height"), image.get("width"), where)

    def _read_annotations(self, reader: JsonReader) -> None:
        for offset, annotation in documents.objects(reader, "annotations", self._where):
            documents.check_ids(annotation, self._where)
            image: Any = annotation.get("image_id")
            if image in self.places:
                raise self._fault(image, "annotated twice")
            self.places[image] = offset

    def _fault(self, image: Any, fault: str) -> EvaluationError:
        return EvaluationError(f"{self._where}: image {image!r} is {fault}", "one annotation an image is expected")


def _counts(entry: dict[str, Any], size: tuple[int, int], where: str) -> bytes:
    return base.checked_record(0, 0, entry.get("segmentation"), *size, where).counts


def _score(entry: dict[str, Any], where: str) -> float:
    score = documents.number(entry.get("score"))
    if not np.isfinite(score):
        raise FormatError(f"{where}: 'score' is missing or no number", "every predicted mask needs a score")
    return score


def _clip(sample: Sample) -> ClipScore:
    missing = (0,) if sample.best is None else ()
    iou, none = np.array([sample.iou]), np.array([np.nan])
    return ClipScore(str(sample.id), (TrackScore(1, str(sample.id), (0,), iou, none, missing, not missing),))


def _within(area: float, limits: tuple[float, float]) -> bool:
    return limits[0] <= area <= limits[1]


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values))
