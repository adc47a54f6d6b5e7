"""Tracks of stores and other files as what a propagation begins with."""

from pathlib import Path

import numpy as np
import pytest

from engine.errors import MaskError, MugvosError
from engine.masks import rle
from engine.propagation.prompts import MaskPrompt, parse_mask_prompt, read_prompts
from engine.store import StoreWriter, export, open_source
from engine.types import Track

HEIGHT, WIDTH = 12, 16


def box(left: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.bool_)
    mask[2:9, left : left + 4] = True
    return mask


NOTHING = np.zeros((HEIGHT, WIDTH), np.bool_)
# A car from the beginning, a wheel that is empty at first, and two tracks of one name.
MASKS = {
    (0, 1): box(0),
    (1, 1): box(1),
    (0, 2): NOTHING,
    (1, 2): box(5),
    (0, 7): box(8),
    (1, 7): box(9),
    (1, 9): box(3),
}
TRACKS = [Track(1, "car"), Track(2, "wheel", 0, 1, 1), Track(7, "leaf"), Track(9, "leaf", 1, 2, 2)]


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two clips with the same tracks."""
    records = [rle.record(frame, track, mask, 0.5) for (frame, track), mask in sorted(MASKS.items())]
    with StoreWriter(tmp_path / "tracks.h5") as writer:
        for name in ("street", "field"):
            writer.add_clip(name, WIDTH, HEIGHT, 2, TRACKS, records)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "tracks.h5"


def given(text: str, video: str = "street") -> dict[tuple[int, str], np.ndarray]:
    """Masks by frame and name."""
    found = read_prompts(parse_mask_prompt(text), (HEIGHT, WIDTH), video=video)
    names = {track.id: track.name for track in found.tracks}
    return {(frame, names[track]): mask for frame, of in found.masks.items() for track, mask in of.items()}


def test_every_track_begins_with_its_first_mask(store: Path) -> None:
    found = given("tracks.h5")
    wanted = {(0, "car"): (0, 1), (0, "leaf:7"): (0, 7), (1, "wheel"): (1, 2), (1, "leaf:9"): (1, 9)}
    assert found.keys() == wanted.keys()
    for key, where in wanted.items():
        np.testing.assert_array_equal(found[key], MASKS[where])


def test_ids_stay(store: Path) -> None:
    found = read_prompts(parse_mask_prompt("tracks.h5"), (HEIGHT, WIDTH), video="field")
    assert {track.id: (track.name, track.first_frame) for track in found.tracks} == {
        1: ("car", 0),
        7: ("leaf:7", 0),
        2: ("wheel", 1),
        9: ("leaf:9", 1),
    }


def test_places_in_the_tree_stay_where_parents_came_along(store: Path) -> None:
    found = read_prompts(parse_mask_prompt("tracks.h5"), (HEIGHT, WIDTH), video="field")
    assert {track.id: (track.parent, track.level) for track in found.tracks} == {
        1: (None, 0),
        2: (1, 1),
        7: (None, 0),
        9: (2, 2),
    }
    twice = read_prompts(
        [prompt for text in ("tracks.h5", "b=tracks.h5@1") for prompt in parse_mask_prompt(text)],
        (HEIGHT, WIDTH),
        video="field",
    )
    ids = {track.name: track.id for track in twice.tracks}
    parents = {track.name: track.parent for track in twice.tracks}
    assert parents["b:wheel"] == ids["b:car"] != ids["car"] and parents["wheel"] == ids["car"]
    alone = read_prompts(parse_mask_prompt("tracks.h5@0"), (HEIGHT, WIDTH), video="field")
    assert {track.parent for track in alone.tracks} == {None}


def test_one_frame_of_all_tracks(store: Path) -> None:
    assert given("tracks.h5@1").keys() == {(1, name) for name in ("car", "wheel", "leaf:7", "leaf:9")}
    assert given("n=tracks.h5@0").keys() == {(0, "n:car"), (0, "n:leaf:7")}
    assert parse_mask_prompt("n=tracks.h5") == [MaskPrompt(Path("tracks.h5"), None, "n")]


def test_other_files_with_tracks(store: Path) -> None:
    with open_source(store) as source:
        export(source, store.parent / "tracks.ndjson", "ndjson")
    assert given("tracks.ndjson").keys() == given("tracks.h5").keys()


def test_a_single_clip_needs_no_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with StoreWriter(tmp_path / "one.h5") as writer:
        writer.add_clip("some", WIDTH, HEIGHT, 1, TRACKS[:1], [rle.record(0, 1, box(0), 0.5)])
    assert given("car2=one.h5", video="other").keys() == {(0, "car2")}


@pytest.mark.parametrize(
    ("text", "video", "size", "said"),
    [
        ("tracks.h5", "lake", (HEIGHT, WIDTH), r"none of its 2 clips is called 'lake' \(field, street\)"),
        ("tracks.h5@5", "street", (HEIGHT, WIDTH), "no mask on frame 5"),
        ("tracks.h5", "street", (HEIGHT, 99), "the mask is 16x12, the video 99x12"),
    ],
)
def test_what_does_not_fit_is_named(store: Path, text: str, video: str, size: tuple[int, int], said: str) -> None:
    with pytest.raises(MaskError, match=said):
        read_prompts(parse_mask_prompt(text), size, video=video)


def test_damaged_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "broken.h5").write_bytes(b"not a store")
    with pytest.raises(MugvosError, match=r"broken\.h5"):
        read_prompts(parse_mask_prompt(str(tmp_path / "broken.h5")), (HEIGHT, WIDTH))


def test_a_part_whose_whole_is_not_there_goes_to_the_next_larger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tracks = [Track(1, "whole"), Track(2, "part", 0, 1, 1), Track(3, "detail", 0, 2, 2)]
    masks = [rle.record(0, 1, box(0), 0.5), rle.record(0, 2, NOTHING, 0.5), rle.record(0, 3, box(1), 0.5)]
    with StoreWriter(tmp_path / "t.h5") as writer:
        writer.add_clip("street", WIDTH, HEIGHT, 1, tracks, masks)
    found = read_prompts(parse_mask_prompt("t.h5"), (HEIGHT, WIDTH), video="street")
    assert [(track.name, track.parent, track.level) for track in found.tracks] == [("whole", None, 0), ("detail", 1, 1)]
