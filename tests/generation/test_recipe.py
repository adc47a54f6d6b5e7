"""What a run is made with where nothing else is asked for."""

import pytest

from engine.generation.recipe import Wishes
from engine.models.sam.config import CONFIGS


@pytest.mark.parametrize(
    ("sam", "wishes", "keep", "prompts"),
    [
        ("sam-vit-h", Wishes(), None, 5),
        ("sam-vit-h", Wishes(keep_warped=0.8), 0.8, 5),
        ("sam-tiny", Wishes(), 0.9, 1),
        ("sam-tiny", Wishes(prompts=3), 0.9, 3),
        ("sam-tiny", Wishes(keep_warped=0.7), 0.7, 5),
        ("sam-tiny", Wishes(keep_warped=0), 0, 5),
        ("sam-tiny", Wishes(min_iou=0.4), None, 5),
    ],
)
def test_flow_carries_tracks_of_a_sam_that_does_not_find_them_again(
    sam: str, wishes: Wishes, keep: float | None, prompts: int
) -> None:
    settings = wishes.settings(CONFIGS[sam])
    assert settings.link.keep_warped == keep
    assert settings.prompts == prompts


def test_masks_of_a_small_sam_lose_their_specks() -> None:
    shares = [Wishes(least_region=asked).settings(CONFIGS[sam]).proposals.least_region for sam, asked in _REGIONS]
    assert shares == [0.0, 0.001, 0.0, 0.01]


_REGIONS = (("sam-vit-b", None), ("sam-tiny", None), ("sam-tiny", 0.0), ("sam-vit-b", 0.01))
