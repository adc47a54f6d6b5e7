"""The demonstration clip: exact masks that nest, and an object that gets hidden in part."""

import numpy as np

from engine.rendering.demo_clip import TRACKS, DemoClip

SMALL = DemoClip(width=160, height=96, frames=12)


def test_the_same_values_give_the_same_clip() -> None:
    for (image, masks), (again, masks_again) in zip(SMALL.draw(), SMALL.draw(), strict=True):
        assert np.array_equal(image, again)
        assert all(np.array_equal(masks[track], masks_again[track]) for track in masks)
    other = next(DemoClip(width=160, height=96, frames=12, seed=8).draw())[0]
    assert not np.array_equal(other, next(SMALL.draw())[0])


def test_every_frame_has_every_track_and_the_size_asked_for() -> None:
    drawn = list(SMALL.draw())
    assert len(drawn) == 12
    for image, masks in drawn:
        assert image.shape == (96, 160, 3)
        assert image.dtype == np.uint8
        assert set(masks) == {track.id for track in TRACKS}
        assert all(mask.shape == (96, 160) and mask.dtype == np.bool_ for mask in masks.values())
    assert all(mask.any() for mask in drawn[0][1].values())


def test_the_wheel_is_a_part_of_the_van_and_nothing_else_overlaps() -> None:
    for _, masks in SMALL.draw():
        van, wheel, shadow, road = (masks[track] for track in (1, 2, 3, 4))
        assert not (wheel & ~van).any()
        assert van.sum() > wheel.sum()
        assert not (van & shadow).any()
        assert not (road & (van | shadow)).any()


def test_the_post_hides_a_part_of_the_van_and_belongs_to_no_track() -> None:
    post = np.array((72, 60, 52))
    crossed = 0
    for image, masks in DemoClip(width=320, height=180, frames=24).draw():
        hidden = (image == post).all(-1)
        assert not any((mask & hidden).any() for mask in masks.values())
        columns = np.flatnonzero(hidden.any(0))
        van = np.flatnonzero(masks[1].any(0))
        crossed += bool(len(columns) and van.min() < columns.min() and columns.max() < van.max())
    assert crossed >= 2


def test_the_van_moves() -> None:
    centres = [np.nonzero(masks[1])[1].mean() for _, masks in SMALL.draw()]
    assert centres[-1] - centres[0] > 0.3 * SMALL.width
