"""J and F of single mask pairs: the reference values to the last bit, the edge rules, a naive second implementation."""

import evaluation_golden as golden
import evaluation_naive as naive
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from engine.errors import EvaluationError
from engine.evaluation.metrics import boundary_tolerance, count_pixels, score_masks

COUNTS = (
    "intersection",
    "union",
    "boundary_predicted",
    "boundary_truth",
    "matched_predicted",
    "matched_truth",
)


@pytest.mark.parametrize("case", ["case_half", "case_full", "case_granular_0", "case_granular_1"])
def test_scores_equal_the_reference_to_the_last_bit(case: str) -> None:
    z, predicted, truth = golden.masks(case)
    for k in range(len(truth)):
        counts = count_pixels(predicted[k], truth[k])
        assert np.array_equal(np.stack([getattr(counts, name) for name in COUNTS], axis=1), z["counts"][k])
        assert np.array_equal(counts.region(), z["J"][k])
        assert np.array_equal(counts.boundary(), z["F"][k])


def test_sizes_from_one_pixel_to_full_hd_equal_the_reference() -> None:
    z = np.load(golden.GOLDEN / "case_sizes.npz")
    for i, (height, width) in enumerate(z["shape"]):
        shape = (1, int(height), int(width))
        j, f = score_masks(golden.bits(z[f"pred_{i}"], shape), golden.bits(z[f"gt_{i}"], shape))
        assert (j[0], f[0]) == (z["J"][i], z["F"][i]), z["kind"][i]
        assert boundary_tolerance(height, width) == z["bound_pix"][i]


def test_frames_scored_together_equal_frames_scored_alone() -> None:
    _, predicted, truth = golden.masks("case_granular_0")
    together = np.stack(score_masks(predicted[2], truth[2]))
    alone = np.concatenate(
        [np.stack(score_masks(p[None], g[None])) for p, g in zip(predicted[2], truth[2], strict=True)], axis=1
    )
    assert np.array_equal(together, alone)


EMPTY, FULL = np.zeros((1, 9, 14), bool), np.ones((1, 9, 14), bool)
PART = EMPTY.copy()
PART[:, 3:6, 4:9] = True


@pytest.mark.parametrize(
    ("predicted", "truth", "j", "f"),
    [
        pytest.param(EMPTY, EMPTY, 1, 1, id="both-empty"),
        pytest.param(FULL, FULL, 1, 1, id="both-full"),
        pytest.param(PART, PART, 1, 1, id="equal"),
        pytest.param(EMPTY, PART, 0, 0, id="nothing-predicted"),
        pytest.param(PART, EMPTY, 0, 0, id="nothing-there"),
        pytest.param(EMPTY, FULL, 0, 1, id="full-truth-has-no-boundary"),
        pytest.param(~PART, PART, 0, 1, id="complement-has-the-same-boundary"),
        pytest.param(FULL, PART, 15 / 126, 0, id="full-prediction-has-no-boundary"),
    ],
)
def test_edge_rules(predicted: np.ndarray, truth: np.ndarray, j: float, f: float) -> None:
    assert [s[0] for s in score_masks(predicted, truth)] == [j, f]


def test_void_is_taken_out_of_both_sides_first() -> None:
    rng = np.random.default_rng(3)
    predicted, truth, void = rng.random((3, 4, 40, 71)) < 0.4
    assert np.array_equal(score_masks(predicted, truth, void), score_masks(predicted & ~void, truth & ~void))


def test_other_sizes_are_refused() -> None:
    with pytest.raises(EvaluationError, match=r"\(1, 9, 14\)"):
        score_masks(EMPTY, np.zeros((1, 9, 15), bool))


SMALL = hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=70)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Two blocky masks of one size; blocks give real shapes, single pixels give speckle."""
    shape = draw(SMALL)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    block, fill = draw(st.integers(1, 12)), draw(st.floats(0.02, 0.6))
    coarse = rng.random((2, -(-shape[0] // block), -(-shape[1] // block))) < fill
    both = coarse.repeat(block, 1).repeat(block, 2)[:, : shape[0], : shape[1]]
    return both[0], both[1]


@settings(max_examples=80, deadline=None)
@given(pairs())
def test_equals_the_naive_implementation(pair: tuple[np.ndarray, np.ndarray]) -> None:
    P, G = pair
    j, f = score_masks(P[None], G[None])
    assert j[0] == naive.region(P, G)
    assert f[0] == naive.boundary(P, G)


@settings(max_examples=60, deadline=None)
@given(pairs())
def test_symmetric_and_in_range(pair: tuple[np.ndarray, np.ndarray]) -> None:
    P, G = pair
    scores = np.stack(score_masks(P[None], G[None]))
    assert np.allclose(scores, np.stack(score_masks(G[None], P[None])), rtol=1e-15)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (np.stack(score_masks(P[None], P[None])) == 1).all()


@settings(max_examples=60, deadline=None)
@given(pairs())
def test_transposed_masks_score_the_same(pair: tuple[np.ndarray, np.ndarray]) -> None:
    P, G = pair
    assert np.array_equal(score_masks(P[None], G[None]), score_masks(P.T[None], G.T[None]))


@settings(max_examples=60, deadline=None)
@given(pairs(), st.integers(1, 9), st.integers(1, 9))
def test_a_background_margin_changes_nothing_at_equal_tolerance(
    pair: tuple[np.ndarray, np.ndarray], above: int, left: int
) -> None:
    """Where both masks stay off the image edge and the margin leaves the tolerance as it was."""
    P, G = (np.pad(mask, 1) for mask in pair)
    wide_P, wide_G = (np.pad(mask, ((above, 1), (left, 2))) for mask in (P, G))
    if boundary_tolerance(*P.shape) != boundary_tolerance(*wide_P.shape):
        return
    assert np.array_equal(score_masks(P[None], G[None]), score_masks(wide_P[None], wide_G[None]))
