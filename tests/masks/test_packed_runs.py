"""Codes straight to bits: what decoding and packing gives, at every height, for full and empty masks and bad codes."""

import numpy as np
import pytest

from engine.masks import rle
from engine.masks.packed_runs import packed_columns

SHAPES = [(1, 1), (7, 5), (8, 9), (64, 3), (61, 130), (480, 33)]


def masks_of(height: int, width: int) -> list[np.ndarray]:
    rng = np.random.default_rng(height * width)
    blocks = np.kron(rng.random((-(-height // 6), -(-width // 6))) < 0.4, np.ones((6, 6), bool))[:height, :width]
    corner = np.zeros((height, width), bool)
    corner[-1, -1] = True
    return [rng.random((height, width)) < 0.5, blocks, np.ones_like(corner), ~corner, np.zeros_like(corner), corner]


@pytest.mark.parametrize(("height", "width"), SHAPES)
def test_bits_are_those_of_the_decoded_masks(height: int, width: int) -> None:
    masks = masks_of(height, width)
    codes = [rle.encode(mask) for mask in masks]
    packed = packed_columns(b"".join(codes), np.array([len(code) for code in codes]), height, width)
    assert packed is not None
    for found, mask in zip(packed, masks, strict=True):
        np.testing.assert_array_equal(found, np.packbits(mask.T, axis=-1, bitorder="little"))


def test_runs_of_no_length_change_nothing() -> None:
    code = rle.from_runs([0, 3, 0, 2, 4, 0, 0, 1, 0])
    packed = packed_columns(code, np.array([len(code)]), 5, 2)
    assert packed is not None
    np.testing.assert_array_equal(
        np.unpackbits(packed[0], axis=-1, count=5, bitorder="little"), [[1] * 5, [0] * 4 + [1]]
    )


@pytest.mark.parametrize("code", [rle.encode(np.ones((4, 4), bool)), b"", b"\xff\xff", b"0P"])
def test_a_code_of_another_size_or_none_at_all_is_refused(code: bytes) -> None:
    assert packed_columns(code, np.array([len(code)]), 5, 5) is None
