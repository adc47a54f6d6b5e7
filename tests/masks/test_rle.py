"""Run lengths against pycocotools, and codes that no mask has."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from pycocotools import mask as oracle

from engine.errors import MaskError
from engine.masks import rle

MASKS = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, max_side=40))


def coco(mask: np.ndarray) -> dict:
    return oracle.encode(np.asfortranarray(mask.astype(np.uint8)))


@given(MASKS)
def test_equals_the_oracle(mask: np.ndarray) -> None:
    counts = rle.encode(mask)
    size = mask.shape
    assert counts == coco(mask)["counts"]
    assert np.array_equal(rle.decode(counts, *size), mask)
    assert rle.area(counts, *size) == mask.sum() == oracle.area(coco(mask))
    assert rle.box(counts, *size) == tuple(int(v) for v in oracle.toBbox(coco(mask)))
    assert rle.is_valid(counts, *size)


@given(MASKS)
def test_plain_runs(mask: np.ndarray) -> None:
    flat = mask.ravel(order="F")
    changes = np.flatnonzero(np.diff(flat)) + 1
    expected = np.diff([0, *([0] if flat[0] else []), *changes, flat.size])
    counts = rle.encode(mask)
    found = rle.runs(counts)
    assert found is not None
    assert found.tolist() == expected.tolist()
    assert rle.from_runs(expected.tolist()) == counts


@given(arrays(np.bool_, st.tuples(st.just(3), st.integers(1, 20), st.integers(1, 20))))
def test_overlap_and_union(masks: np.ndarray) -> None:
    first, second, third = masks
    codes = [rle.encode(mask) for mask in masks]
    size = first.shape
    both, either = (first & second).sum(), (first | second).sum()
    assert rle.overlap(codes[0], codes[1], *size) == both
    assert rle.iou(codes[0], codes[1], *size) == (both / either if either else 1.0)
    assert rle.merge(codes, *size) == rle.encode(first | second | third)
    assert rle.merge([], *size) == rle.empty(*size) == rle.encode(np.zeros(size, bool))


@given(st.lists(MASKS, min_size=1, max_size=5), st.data())
def test_many_at_once_equals_one_by_one(masks: list[np.ndarray], data: st.DataObject) -> None:
    size = masks[0].shape
    codes = [rle.encode(np.resize(mask, size)) for mask in masks]
    spoiled = data.draw(st.integers(0, len(codes)))
    if spoiled < len(codes):
        codes[spoiled] = data.draw(st.binary(min_size=1, max_size=12))
    lengths = np.array([len(code) for code in codes])
    assert rle.all_valid(b"".join(codes), lengths, *size) == all(rle.is_valid(code, *size) for code in codes)


def slow_is_valid(counts: bytes, height: int, width: int) -> bool:
    """COCO's decoding loop, number by number."""
    found: list[int] = []
    at = 0
    while at < len(counts):
        value, shift = 0, 0
        while True:
            if at >= len(counts) or shift >= 5 * rle.MAX_SYMBOLS or not 0 <= counts[at] - 48 < 64:
                return False
            symbol = counts[at] - 48
            at += 1
            value |= (symbol & 31) << shift
            shift += 5
            if not symbol & 32:
                value -= (1 << shift) if symbol & 16 else 0
                break
        found.append(value + (found[-2] if len(found) > 2 else 0))
    return bool(found) and min(found) >= 0 and sum(found) == height * width


@given(st.binary(max_size=30) | st.lists(st.integers(48, 111), max_size=30).map(bytes), st.integers(1, 30))
def test_any_bytes_are_judged_like_the_slow_loop(counts: bytes, side: int) -> None:
    assert rle.is_valid(counts, side, side) == slow_is_valid(counts, side, side)


@given(MASKS, st.data())
def test_damaged_codes_are_judged_like_the_slow_loop(mask: np.ndarray, data: st.DataObject) -> None:
    counts = bytearray(rle.encode(mask))
    counts[data.draw(st.integers(0, len(counts) - 1))] = data.draw(st.integers(0, 255))
    valid = rle.is_valid(bytes(counts), *mask.shape)
    assert valid == slow_is_valid(bytes(counts), *mask.shape)
    if valid:
        assert rle.decode(bytes(counts), *mask.shape).shape == mask.shape


@pytest.mark.parametrize("counts", [b"", b"P", b"o" * 20, b"0", bytes([111] * 9 + [48]), b"\x00", b"\xff"])
def test_hostile_codes_are_refused(counts: bytes) -> None:
    with pytest.raises(MaskError, match="does not describe a mask of 1000x1000"):
        rle.decode(counts, 1000, 1000)


def test_polygons_as_coco_draws_them() -> None:
    corners = [10.5, 3, 40, 12.2, 33, 44, 5, 30]
    expected = oracle.frPyObjects([corners], 50, 60)[0]["counts"]
    assert rle.from_polygon(corners, 50, 60) == expected


def test_masks_need_two_axes() -> None:
    with pytest.raises(MaskError, match="two axes"):
        rle.encode(np.zeros((2, 3, 4), bool))


def test_record_of_a_mask() -> None:
    mask = np.zeros((4, 6), bool)
    mask[1:3, 2:5] = True
    record = rle.record(7, 2, mask, 0.5)
    assert (record.frame, record.track, record.area, record.box, record.score) == (7, 2, 6, (2, 1, 3, 2), 0.5)
    assert rle.record(0, 0, np.zeros((4, 6), bool)).box == (0, 0, 0, 0)
