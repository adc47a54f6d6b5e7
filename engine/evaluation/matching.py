"""Which prediction belongs to which truth: clips by name, tracks by name, number or order, frames by number.

Knows names and numbers. Knows nothing of masks. One rule is chosen for all tracks of a clip, never a mixture: two rules
in one clip would pair tracks that have nothing to do with each other.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from engine.names import natural_key
from engine.types import Track

Side = Literal["truth", "predicted"]
Rule = Literal["auto", "name", "number"]


def match_clips(truth: Sequence[str], predicted: Sequence[str]) -> dict[str, str]:
    """True clip -> predicted clip: by name, else by the last part of a path-like name; two lone clips always match."""
    known = set(predicted)
    pairs = {name: name for name in truth if name in known}
    if not pairs:
        ends = {name.rsplit("/", 1)[-1]: name for name in predicted}
        pairs = {name: ends[last] for name in truth if (last := name.rsplit("/", 1)[-1]) in ends}
    if not pairs and len(truth) == len(predicted) == 1:
        pairs = {truth[0]: predicted[0]}
    return pairs


def match_tracks(
    truth: Sequence[Track], predicted: Sequence[Track], labels: Side | None = None, rule: Rule = "auto"
) -> dict[int, int]:
    """True track id -> predicted track id. rule: "name" or "number" alone, or "auto":

    By name if any name agrees; else by the number at the end of the names (`track_003` and `3`). `labels` says which
    side has the values of label images for ids: value i is then the i-th track by name of the other side, from 1,
    unless all numbers agree. What has neither names nor numbers in common is paired in order if both sides have equally
    many tracks.
    """
    if rule == "name":
        return _by_key({t.name: t.id for t in truth}, {t.name: t.id for t in predicted})
    if rule == "number":
        return _by_number(truth, predicted, whole=False)
    return (
        _by_key({t.name: t.id for t in truth}, {t.name: t.id for t in predicted})
        or _by_number(truth, predicted, whole=labels is not None)
        or _by_value(truth, predicted, labels)
        or _by_order(truth, predicted)
    )


def match_frames(truth: Sequence[int], predicted: Sequence[int]) -> dict[int, int]:
    """True frame number -> predicted frame number, for those that have one.

    By number. If numbers are missing but both sides are equally many and evenly spaced, the two only count differently
    (every second frame of a video against 0, 1, 2, ...): then in order.
    """
    held = set(predicted)
    if not held.issuperset(truth) and len(truth) == len(predicted) and _step(truth) and _step(predicted):
        return dict(zip(truth, predicted, strict=True))
    return {number: number for number in truth if number in held}


def _by_key(truth: dict[str, int], predicted: dict[str, int]) -> dict[int, int]:
    return {truth[key]: predicted[key] for key in truth if key in predicted}


def _by_number(truth: Sequence[Track], predicted: Sequence[Track], whole: bool) -> dict[int, int]:
    """Pairs by the number at the end of the name; with `whole` only if every true track finds one."""
    sides = [{number: t.id for t in side if (number := _number(t.name)) is not None} for side in (truth, predicted)]
    pairs = {sides[0][number]: sides[1][number] for number in sides[0] if number in sides[1]}
    unique = all(len(numbers) == len(side) for numbers, side in zip(sides, (truth, predicted), strict=True))
    return pairs if unique and (len(pairs) == len(truth) or not whole) else {}


def _by_value(truth: Sequence[Track], predicted: Sequence[Track], labels: Side | None) -> dict[int, int]:
    """Pairs where one side is numbered from 1 and the other only has an order."""
    if labels is None:
        return {}
    valued, ordered = (predicted, truth) if labels == "predicted" else (truth, predicted)
    ids = {t.id for t in valued}
    ranked = enumerate(_in_order(ordered), start=1)
    pairs = {rank: t.id for rank, t in ranked if rank in ids}
    return {other: rank for rank, other in pairs.items()} if labels == "predicted" else pairs


def _by_order(truth: Sequence[Track], predicted: Sequence[Track]) -> dict[int, int]:
    if len(truth) != len(predicted):
        return {}
    return {t.id: p.id for t, p in zip(_in_order(truth), _in_order(predicted), strict=True)}


def _in_order(tracks: Sequence[Track]) -> list[Track]:
    return sorted(tracks, key=lambda t: natural_key(t.name))


def _number(name: str) -> int | None:
    digits = re.search(r"(\d+)$", name)
    return int(digits[1]) if digits else None


def _step(numbers: Sequence[int]) -> int | None:
    """The one distance between neighbours, None if there are several or no neighbours."""
    steps = {b - a for a, b in pairwise(numbers)}
    return steps.pop() if len(steps) == 1 else None
