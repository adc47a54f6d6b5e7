"""One set of segments for a few neighbouring frames: those that the frames agree on (DEVA, section 3.2.1).

All maps show the same frame, each what another frame's segments are there. Chosen is the set that has most support and
contains no segment twice. Knows label maps; how they came to show one frame is the tracker's business.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from engine.propagation.detections import Detection, Segment, counts, overlaps

_SAME = 0.5  # IoU above which two frames' segments are one
_EQUAL = 1e-6  # sums of weights that differ by less are ties


def numbered(clip: Sequence[Detection]) -> list[Detection]:
    """The same detections with ids 1, 2, ... through all frames, in the order of their lists."""
    result, start = [], 1
    for labels, segments in clip:
        table = np.zeros(max([int(labels.max(initial=0)), *(s.id for s in segments)]) + 1, np.int64)
        renamed = []
        for number, segment in enumerate(segments, start):
            table[segment.id] = number
            renamed.append(replace(segment, id=number))
        start += len(segments)
        result.append(Detection(table[labels], tuple(renamed)))
    return result


def vote(clip: Sequence[Detection]) -> Detection:
    """What the frames of a clip agree on. clip: `numbered`, all maps (H, W) of one frame.

    A segment that no other frame supports is never chosen, so one frame alone agrees on nothing.
    """
    segments = [segment for _, own in clip for segment in own]
    iou, matches = agreement(clip, len(segments))
    chosen = heaviest(2 * iou.sum(1) - 1, matches)
    areas = np.zeros(len(segments), np.int64)
    for labels, own in clip:
        for segment in own:
            areas[segment.id - 1] = np.count_nonzero(labels == segment.id)
    result = np.zeros(clip[0].labels.shape, np.int64)
    for index in sorted(chosen, key=lambda index: -areas[index]):
        for labels, own in clip:
            if any(segment.id == index + 1 for segment in own):
                result[labels == index + 1] = index + 1
    return Detection(result, tuple(_with_matches(index, segments, matches) for index in chosen))


def agreement(clip: Sequence[Detection], total: int) -> tuple[NDArray[np.float64], list[list[int]]]:
    """IoU (S, S) of the segments that are the same thing in two frames, 0 elsewhere, and each one's partners."""
    iou = np.zeros((total, total))
    matches: list[list[int]] = [[] for _ in range(total)]
    for at, (labels, own) in enumerate(clip):
        for other, others in clip[at + 1 :]:
            of_pair = overlaps(counts(labels, other))
            free = list(others)
            for segment in own:
                equals = (s for s in free if s.thing is segment.thing)
                partner = next((s for s in equals if _iou(of_pair, segment, s) > _SAME), None)
                if partner is None:
                    continue
                free.remove(partner)
                i, j = segment.id - 1, partner.id - 1
                iou[i, j] = iou[j, i] = of_pair[segment.id, partner.id]
                matches[i].append(j)
                matches[j].append(i)
    return iou, matches


def heaviest(weights: NDArray[np.float64], rivals: Sequence[Sequence[int]]) -> list[int]:
    """The independent set of largest weight, in ascending order; of equal ones the one with the lowest indices.

    rivals: for each vertex those that it excludes. Exact, component by component; these are small.
    """
    left, chosen = set(range(len(weights))), []
    while left:
        component, edge = set(), {min(left)}
        while edge:
            component |= edge
            edge = {rival for vertex in edge for rival in rivals[vertex]} - component
        left -= component
        chosen += _best(sorted(component), weights, rivals)[1]
    return sorted(chosen)


def _best(
    vertices: list[int], weights: NDArray[np.float64], rivals: Sequence[Sequence[int]]
) -> tuple[float, list[int]]:
    """Weight and members of the best set among `vertices`: with the first one, or, where that is better, without."""
    positive = [vertex for vertex in vertices if weights[vertex] > -_EQUAL]
    if not positive:
        return 0.0, []
    first, *rest = positive
    if not set(rivals[first]) & set(rest):
        weight, members = _best(rest, weights, rivals)
        return weight + float(weights[first]), [first, *members]
    with_it, members = _best([vertex for vertex in rest if vertex not in rivals[first]], weights, rivals)
    without_it, others = _best(rest, weights, rivals)
    if with_it + weights[first] >= without_it - _EQUAL:
        return with_it + float(weights[first]), [first, *members]
    return without_it, others


def _iou(of_pair: NDArray[np.float64], first: Segment, second: Segment) -> float:
    rows, columns = of_pair.shape
    return float(of_pair[first.id, second.id]) if first.id < rows and second.id < columns else 0.0


def _with_matches(index: int, segments: Sequence[Segment], matches: Sequence[Sequence[int]]) -> Segment:
    """A chosen segment with what the detections said that it stands for."""
    group = [segments[index], *(segments[other] for other in matches[index])]
    return replace(
        segments[index],
        categories=tuple(category for entry in group for category in entry.categories),
        scores=tuple(score for entry in group for score in entry.scores),
    )
