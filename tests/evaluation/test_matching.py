"""Pairing of names and numbers."""

import pytest

from engine.evaluation.matching import Side, match_clips, match_frames, match_tracks
from engine.types import Track


def tracks(*names: str, first: int = 0) -> list[Track]:
    return [Track(i, name) for i, name in enumerate(names, start=first)]


@pytest.mark.parametrize(
    ("truth", "predicted", "pairs"),
    [
        pytest.param(["a", "b"], ["b", "c"], {"b": "b"}, id="by-name"),
        pytest.param(["bear"], ["480p/bear", "480p/cow"], {"bear": "480p/bear"}, id="by-last-part"),
        pytest.param(["bear"], ["video"], {"bear": "video"}, id="two-lone-clips"),
        pytest.param(["bear"], ["video", "other"], {}, id="nothing"),
    ],
)
def test_clips(truth: list[str], predicted: list[str], pairs: dict[str, str]) -> None:
    assert match_clips(truth, predicted) == pairs


@pytest.mark.parametrize(
    ("truth", "predicted", "labels", "pairs"),
    [
        pytest.param(tracks("a", "b"), tracks("b", "a"), None, {0: 1, 1: 0}, id="by-name"),
        pytest.param(tracks("a", "t_1"), tracks("b", "a", "x_1"), None, {0: 1}, id="never-two-rules"),
        pytest.param(tracks("t_002", "t_010"), tracks("10", "2"), None, {0: 1, 1: 0}, id="by-number"),
        pytest.param(
            tracks("t_000", "t_001"), tracks("1", "2", first=1), "predicted", {0: 1, 1: 2}, id="index-from-one"
        ),
        pytest.param(tracks("t_000", "t_001"), [Track(2, "2")], "predicted", {1: 2}, id="index-with-a-gap"),
        pytest.param(
            tracks("t_1", "t_2"), tracks("1", "2", first=1), "predicted", {0: 1, 1: 2}, id="index-numbers-agree"
        ),
        pytest.param(tracks("1", "2", first=1), tracks("t_000", "t_001"), "truth", {1: 0, 2: 1}, id="index-truth"),
        pytest.param(tracks("wheel", "car"), tracks("t_b", "t_a"), None, {0: 0, 1: 1}, id="by-order-of-names"),
        pytest.param(tracks("wheel", "car"), tracks("n"), None, {}, id="nothing"),
    ],
)
def test_tracks(truth: list[Track], predicted: list[Track], labels: Side | None, pairs: dict[int, int]) -> None:
    assert match_tracks(truth, predicted, labels) == pairs


@pytest.mark.parametrize(
    ("truth", "predicted", "pairs"),
    [
        pytest.param([0, 2, 4], [0, 1, 2], {0: 0, 2: 1, 4: 2}, id="every-second"),
        pytest.param([12, 13, 14], [0, 1, 2], {12: 0, 13: 1, 14: 2}, id="from-elsewhere"),
        pytest.param([0, 1, 2, 3], [0, 1, 3], {0: 0, 1: 1, 3: 3}, id="missing"),
        pytest.param([0, 1, 2, 3], [0, 1, 3, 4], {0: 0, 1: 1, 3: 3}, id="uneven-is-by-number"),
        pytest.param([0, 1], [0, 1, 2], {0: 0, 1: 1}, id="extra"),
    ],
)
def test_frames(truth: list[int], predicted: list[int], pairs: dict[int, int]) -> None:
    assert match_frames(truth, predicted) == pairs
