"""Masks of everything on a picture: SAM asked at every point of a grid, as its automatic mask generator does.

A mask stays if the network trusts it, if it hardly changes with its threshold, if it is not cut by a crop's border, and
if no better one has nearly the same box, or nearly the same pixels. Masks that fail the first test are never upsampled.
What stays may be rid of small holes and specks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import nms

from engine.masks import rle
from engine.masks.boxed import BoxedMask
from engine.models.sam.config import SAMConfig
from engine.models.sam.crops import Crop, crops_of, grid_points
from engine.models.sam.prompting import Embedding, Prompter
from engine.models.sam.regions import without_small_regions
from engine.runtime.onednn import product
from engine.types import BoolArray, FloatArray, UInt8Array

_POINTS_AT_ONCE = 64
_EDGE = 20.0  # pixels; a mask so near to the border of a crop is taken for cut off


@dataclass(frozen=True)
class ProposalSettings:
    """The generator's parameters, with segment-anything's defaults.

    points_per_side: of the grid. predicted_iou: masks have to be above. stability: masks have to reach it, measured on
    logits of the picture's size between threshold - offset and threshold + offset. box_nms: IoU of boxes above which
    the less trusted mask goes; mask_nms: of masks, at half the decoder's resolution; None for no such test.
    crop_layers: layer i asks again in 4^i crops, overlapping by crop_overlap of the shorter side; crop_nms decides
    between crops; crop_points_divisor thins the grid from layer to layer. least_region: holes and specks of a smaller
    share of the picture go (min_mask_region_area, which counts pixels).
    """

    points_per_side: int = 32
    predicted_iou: float = 0.88
    stability: float = 0.95
    stability_offset: float = 1.0
    box_nms: float | None = 0.7
    crop_layers: int = 0
    crop_nms: float = 0.7
    crop_overlap: float = 512 / 1500
    crop_points_divisor: int = 1
    mask_nms: float | None = None
    least_region: float = 0.0


def nms_of(config: SAMConfig, box_nms: float | None = None) -> tuple[float | None, float | None]:
    """box_nms and mask_nms of a SAM. box_nms: what was asked for; boxes then decide whatever the SAM."""
    usual = ProposalSettings.box_nms
    if box_nms is None and config.compares_masks:
        return None, usual
    return (usual if box_nms is None else box_nms), None


@dataclass(frozen=True)
class Proposal:
    """A mask of the picture. score: predicted IoU. point: (x, y) that was asked. crop: (x0, y0, x1, y1), seen in it."""

    mask: BoxedMask
    score: float
    stability: float
    point: tuple[float, float]
    crop: tuple[int, int, int, int]


@dataclass(frozen=True)
class _Found:
    """A proposal before suppression, its mask as run lengths. box: x0, y0, x1, y1 of the picture, pixels included.

    cells: every other cell of the decoder's mask in both directions, flat and packed, where masks are compared.
    """

    code: bytes
    box: tuple[int, int, int, int]
    score: float
    stability: float
    point: tuple[float, float]
    crop: Crop
    cells: UInt8Array


def propose(
    prompter: Prompter,
    image: UInt8Array,
    settings: ProposalSettings | None = None,
    embedding: Embedding | None = None,
    where: BoolArray | None = None,
    on_points: Callable[[int], None] | None = None,
) -> list[Proposal]:
    """The masks of uint8 (H, W, 3), most trusted first, or most trusted and stable with mask_nms.

    embedding: of the whole picture, if it is known already. where: bool (H, W), points outside are not asked.
    on_points: told how many points were asked since the last time.
    """
    settings = settings or ProposalSettings()
    height, width = image.shape[:2]
    found: list[_Found] = []
    crops = crops_of(height, width, settings.crop_layers, settings.crop_overlap)
    for crop in crops:
        part = np.ascontiguousarray(image[crop.y0 : crop.y1, crop.x0 : crop.x1])
        known = embedding if crop.layer == 0 and embedding is not None else prompter.embed(part)
        count = int(settings.points_per_side / settings.crop_points_divisor**crop.layer)
        points = grid_points(count) * (part.shape[1], part.shape[0])
        if where is not None:
            at = points.astype(np.int64) + np.array([crop.x0, crop.y0])
            points = points[where[at[:, 1], at[:, 0]]]
        in_crop: list[_Found] = []
        for start in range(0, len(points), _POINTS_AT_ONCE):
            group = points[start : start + _POINTS_AT_ONCE]
            in_crop += _ask(prompter, known, group, crop, (height, width), settings)
            if on_points is not None:
                on_points(len(group))
        if settings.mask_nms is not None:
            in_crop = _without_twins(in_crop, settings.mask_nms)
        if settings.box_nms is not None:
            in_crop = _suppressed(in_crop, [f.score for f in in_crop], settings.box_nms)
        found += in_crop
    if len(crops) > 1:
        found = _suppressed(found, [1 / f.crop.area for f in found], settings.crop_nms)
    if settings.least_region > 0:
        found = _smoothed(found, (height, width), settings)
    return [_proposal(entry) for entry in found]


def _ask(
    prompter: Prompter,
    embedding: Embedding,
    points: FloatArray,
    crop: Crop,
    size: tuple[int, int],
    settings: ProposalSettings,
) -> list[_Found]:
    """What some points (P, 2) of a crop give."""
    decoded = prompter.decode(embedding, points[:, None])
    scores = decoded.scores.flatten().cpu().numpy()
    trusted = np.flatnonzero(scores > settings.predicted_iou) if settings.predicted_iou > 0 else np.arange(len(scores))
    logits = decoded.logits.flatten(0, 1)[torch.from_numpy(trusted).to(decoded.logits.device)]
    threshold, offset = prompter.threshold, settings.stability_offset
    extents = embedding.upsampler.extents(logits, threshold - offset)
    cells = _cells(logits, embedding, threshold)
    found = []
    for low, extent, index, own in zip(logits, extents, trusted, cells, strict=True):
        if extent[1] < 0 or extent[3] < 0:
            continue
        window = embedding.upsampler.window(extent)
        part = embedding.upsampler.part(low, window)
        outer = int((part > threshold - offset).sum())
        stability = int((part > threshold + offset).sum()) / outer if outer else 0.0
        mask = BoxedMask.of((part > threshold).cpu().numpy(), window[0].start + crop.y0, window[1].start + crop.x0)
        box = (mask.left, mask.top, mask.right - 1, mask.bottom - 1)
        if mask.crop.size == 0 or stability < settings.stability or crop.cuts(box, *size, _EDGE):
            continue
        x, y = points[index // 3] + (crop.x0, crop.y0)
        code = rle.encode(mask.crop)
        found.append(_Found(code, box, float(scores[index]), stability, (float(x), float(y)), crop, own))
    return found


def _suppressed(found: Sequence[_Found], scores: Sequence[float], threshold: float) -> list[_Found]:
    """Those that stay when of two with overlapping boxes the lower score goes, highest score first."""
    if not found:
        return []
    boxes = torch.tensor([entry.box for entry in found], dtype=torch.float32)
    kept = nms(boxes, torch.tensor(scores, dtype=torch.float32), threshold)
    return [found[index] for index in kept.tolist()]


def _cells(logits: Tensor, embedding: Embedding, threshold: float) -> UInt8Array:
    """What twins are told by: (N, rows, columns) -> bits (N, bytes)."""
    rows, columns = embedding.upsampler.rows.cells, embedding.upsampler.columns.cells
    above = (logits[:, :rows:2, :columns:2] > threshold).flatten(1)
    return np.packbits(above.cpu().numpy(), axis=1)


def _without_twins(found: Sequence[_Found], threshold: float) -> list[_Found]:
    """Those that are no more alike than the threshold (IoU) to a better one that stays, the best first.

    Better is a higher score times stability: where a network's trust in its masks is weak, both say more than one.
    """
    if not found:
        return []
    order = sorted(found, key=lambda entry: -entry.score * entry.stability)
    planes = torch.from_numpy(np.unpackbits(np.stack([entry.cells for entry in order]), axis=1)).float()
    with torch.inference_mode():
        shared = product(planes, planes).numpy()
    areas = shared.diagonal()
    alike = shared > threshold * (areas[:, None] + areas - shared)
    gone = np.zeros(len(order), np.bool_)
    kept = []
    for index, entry in enumerate(order):
        if not gone[index]:
            kept.append(entry)
            gone |= alike[index]
    return kept


def _smoothed(found: Sequence[_Found], size: tuple[int, int], settings: ProposalSettings) -> list[_Found]:
    """Without small holes and specks; where boxes are compared, then once more, and masks that had none come first."""
    least = settings.least_region * size[0] * size[1]
    smooth = [_with_mask(entry, without_small_regions(_mask(entry), size, least)) for entry in found]
    if settings.box_nms is None:
        return smooth
    unchanged = [float(after.code == before.code) for after, before in zip(smooth, found, strict=True)]
    return _suppressed(smooth, unchanged, max(settings.box_nms, settings.crop_nms))


def _mask(found: _Found) -> BoxedMask:
    x0, y0, x1, y1 = found.box
    return BoxedMask(y0, x0, rle.decode_checked(found.code, y1 - y0 + 1, x1 - x0 + 1))


def _with_mask(found: _Found, mask: BoxedMask) -> _Found:
    return replace(found, code=rle.encode(mask.crop), box=(mask.left, mask.top, mask.right - 1, mask.bottom - 1))


def _proposal(found: _Found) -> Proposal:
    corners = (found.crop.x0, found.crop.y0, found.crop.x1, found.crop.y1)
    return Proposal(_mask(found), found.score, found.stability, found.point, corners)
