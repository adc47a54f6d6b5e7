"""What a user means by --mask: names, frames, folders, label maps, and file names that look like all of these."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from small_videos import write_mask

from engine.errors import MaskError
from engine.propagation.prompts import MaskPrompt, parse_mask_prompt, read_prompts

SIZE = (12, 16)


def square(top: int = 2) -> np.ndarray:
    mask = np.zeros(SIZE, np.bool_)
    mask[top : top + 4, 3:9] = True
    return mask


@pytest.fixture
def masks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, the current one, with a few masks whose names are ordinary and not."""
    for name in ("car.png", "a=b.png", "x@3", "x@3.png", "deep/m.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(square().astype(np.uint8) * 255).save(tmp_path / name, "PNG")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    ("text", "path", "frame", "name"),
    [
        ("car.png", "car.png", 0, None),
        ("car.png@120", "car.png", 120, None),
        ("wheel=car.png", "car.png", 0, "wheel"),
        ("wheel=car.png@7", "car.png", 7, "wheel"),
        ("deep/m.png@7", "deep/m.png", 7, None),
        ("a=b.png", "a=b.png", 0, None),
        ("a=b.png@5", "a=b.png", 5, None),
        ("n=a=b.png@5", "a=b.png", 5, "n"),
        ("x@3", "x@3", 0, None),
        ("x@3@4", "x@3", 4, None),
        ("n=x@3", "x@3", 0, "n"),
        ("n=x@3.png@9", "x@3.png", 9, "n"),
        ("ein Name=car.png", "car.png", 0, "ein Name"),
    ],
)
def test_parsing_prefers_files_that_exist(masks: Path, text: str, path: str, frame: int, name: str | None) -> None:
    assert parse_mask_prompt(text) == [MaskPrompt(Path(path), frame, name)]


@pytest.mark.parametrize("text", ["no.png", "n=no.png@3", "no.png@-1", "car.png@1234567890", "", " "])
def test_missing_files_are_named(masks: Path, text: str) -> None:
    with pytest.raises(MaskError, match=r"no (such )?mask file"):
        parse_mask_prompt(text)


def test_a_folder_gives_a_track_an_image_in_natural_order(tmp_path: Path) -> None:
    for name in ("10", "9", "van"):
        write_mask(tmp_path / f"{name}.png", square())
    write_mask(tmp_path / "._9.png", square())
    (tmp_path / "notes.txt").write_text("no mask")
    assert [(p.path.stem, p.name) for p in parse_mask_prompt(str(tmp_path))] == [
        ("9", "9"),
        ("10", "10"),
        ("van", "van"),
    ]
    with pytest.raises(MaskError, match="cannot all be called"):
        parse_mask_prompt(f"n={tmp_path}")


def test_a_folder_of_track_folders_gives_the_first_image_of_each(tmp_path: Path) -> None:
    for track in ("wheel", "car"):
        (tmp_path / track).mkdir()
        for frame in ("10", "2"):
            write_mask(tmp_path / track / f"{frame}.png", square())
    found = parse_mask_prompt(f"{tmp_path}@6")
    assert [(p.path.parent.name, p.path.stem, p.frame, p.name) for p in found] == [
        ("car", "2", 6, "car"),
        ("wheel", "2", 6, "wheel"),
    ]


def test_a_folder_of_frames_is_not_taken_for_a_folder_of_objects(tmp_path: Path) -> None:
    for frame in range(3):
        write_mask(tmp_path / f"{frame:05d}.png", square())
    with pytest.raises(MaskError, match=r"named like frames \(00000, 00001, \.\.\.\).*00000\.png"):
        parse_mask_prompt(str(tmp_path))


def test_an_empty_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(MaskError, match="no mask images"):
        parse_mask_prompt(str(tmp_path / "empty"))


def test_a_known_name_corrects_and_a_new_one_begins(tmp_path: Path) -> None:
    first, later = write_mask(tmp_path / "car.png", square(2)), write_mask(tmp_path / "later.png", square(5))
    found = read_prompts([MaskPrompt(later, 9, "car"), MaskPrompt(later, 4), MaskPrompt(first)], SIZE)
    assert [(track.id, track.name, track.first_frame) for track in found.tracks] == [(1, "car", 0), (2, "later", 4)]
    assert {frame: list(given) for frame, given in found.masks.items()} == {0: [1], 4: [2], 9: [1]}
    assert np.array_equal(found.masks[9][1], square(5))


def test_label_maps_keep_their_numbers(tmp_path: Path) -> None:
    values = np.zeros(SIZE, np.uint8)
    values[1:4, 1:5], values[6:10, 6:12] = 3, 7
    Image.fromarray(values).save(tmp_path / "labels.png")
    found = read_prompts([MaskPrompt(tmp_path / "labels.png")], SIZE)
    assert [(track.id, track.name) for track in found.tracks] == [(3, "3"), (7, "7")]
    named = read_prompts([MaskPrompt(tmp_path / "labels.png", 0, "herd")], SIZE)
    assert [track.name for track in named.tracks] == ["herd:3", "herd:7"]


def test_two_label_maps_on_one_frame_make_tracks_of_their_own(tmp_path: Path) -> None:
    values = np.zeros(SIZE, np.uint8)
    values[1:4, 1:5], values[6:10, 6:12] = 1, 2
    for name in ("a", "b"):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    found = read_prompts([MaskPrompt(tmp_path / "a.png"), MaskPrompt(tmp_path / "b.png")], SIZE)
    assert [track.name for track in found.tracks] == ["1", "2", "b:1", "b:2"]
    assert len({track.id for track in found.tracks}) == 4


def test_one_name_twice_on_a_frame_is_refused(tmp_path: Path) -> None:
    path = write_mask(tmp_path / "car.png", square())
    with pytest.raises(MaskError, match=r"car\.png.*already.*NAME=FILE"):
        read_prompts([MaskPrompt(path), MaskPrompt(path)], SIZE)


def test_another_size_is_named_with_both_sizes(tmp_path: Path) -> None:
    path = write_mask(tmp_path / "car.png", square())
    with pytest.raises(MaskError, match=r"car\.png: the mask is 16x12, the video 20x12"):
        read_prompts([MaskPrompt(path)], (12, 20))


def test_the_digest_tells_names_frames_and_pixels_apart(tmp_path: Path) -> None:
    car, other = write_mask(tmp_path / "car.png", square()), write_mask(tmp_path / "other.png", square(3))
    copy = write_mask(tmp_path / "copy.png", square())
    sets = [[MaskPrompt(car)], [MaskPrompt(car, 1)], [MaskPrompt(car, 0, "van")], [MaskPrompt(other, 0, "car")]]
    digests = [read_prompts(prompts, SIZE).digest() for prompts in sets]
    assert len(set(digests)) == 4
    assert read_prompts([MaskPrompt(copy, 0, "car")], SIZE).digest() == digests[0]
