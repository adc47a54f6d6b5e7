"""Foreign formats as others write them, hand-made here, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as oracle
from store_samples import HEIGHT, WIDTH, add_sample, disc, masks, masks_of, records, write_sample

from engine.errors import FormatError, OutputError
from engine.masks import rle
from engine.store import FORMATS, StoreWriter, export, open_source
from engine.store.formats.davis import palette
from engine.store.formats.mugvos import MugvosSource
from engine.types import Track

FIRST, SECOND = disc(6, 6, 4), disc(20, 10, 6)


def save(path: Path, values: np.ndarray, colours: bytes | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(values)
    if colours:
        image.putpalette(colours)
    image.save(path)
    return path


def grey(mask: np.ndarray) -> np.ndarray:
    return mask.astype(np.uint8) * 255


def code(mask: np.ndarray) -> dict[str, Any]:
    found = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": list(found["size"]), "counts": found["counts"].decode()}


def dump(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document))
    return path


# MUG-VOS


def test_mugvos_tree(tmp_path: Path) -> None:
    for frame, mask in ((40, FIRST), (41, SECOND)):
        save(tmp_path / "dog" / "track_000" / f"{frame:03d}.png", grey(mask))
    save(tmp_path / "dog" / "track_003" / "0041.png", grey(SECOND))
    with open_source(tmp_path) as source:
        clip = source.clip("dog")
        assert (source.format, list(clip.frames)) == ("mugvos", [40, 41])
        assert [(track.id, track.name, track.first_frame) for track in clip.tracks] == [
            (0, "track_000", 40),
            (3, "track_003", 41),
        ]
        assert np.array_equal(clip.mask(40, 0), FIRST) and np.array_equal(clip.mask(41, 3), SECOND)
        assert clip.mask(40, 3) is None and clip.void(40) is None


def test_mugvos_results_below_a_threshold(tmp_path: Path) -> None:
    save(tmp_path / "0.5" / "dog_agility_track_000" / "00000.png", grey(FIRST))
    save(tmp_path / "0.5" / "dog_agility_track_001" / "00000.png", grey(SECOND))
    with open_source(tmp_path) as source:
        assert (source.format, list(source.clips)) == ("mugvos", ["dog_agility"])
        assert np.array_equal(source.clip("dog_agility").mask(0, 1), SECOND)
    (tmp_path / "0.6").mkdir()
    with pytest.raises(FormatError, match=r"several thresholds \(0\.5, 0\.6\)"):
        open_source(tmp_path)


def test_mugvos_results_of_known_names(tmp_path: Path) -> None:
    save(tmp_path / "dog_left_ear" / "00000.png", grey(FIRST))
    source = MugvosSource(tmp_path, {"dog": ["left_ear", "tail"], "dog_left": ["ear"]})
    assert {name: [track.name for track in source.clip(name).tracks] for name in source.clips} == {
        "dog": ["left_ear"],
        "dog_left": ["ear"],
    }


def test_mugvos_values(tmp_path: Path) -> None:
    """0/1 and 0/255 by any value, smoothed above 127 with a note, palette and 1-bit by any value."""
    smooth = np.where(FIRST, 255, 0).astype(np.uint8)
    smooth[0, :3] = (1, 127, 128)
    save(tmp_path / "v" / "a" / "0.png", FIRST.astype(np.uint8))
    save(tmp_path / "v" / "b" / "0.png", smooth)
    save(tmp_path / "v" / "c" / "0.png", FIRST.astype(np.uint8) * 3, palette())
    save(tmp_path / "v" / "d" / "0.png", FIRST)
    source = MugvosSource(tmp_path)
    found = {track.name: source.clip("v").mask(0, track.id) for track in source.clip("v").tracks}
    assert all(np.array_equal(found[name], FIRST) for name in "acd")
    assert np.array_equal(found["b"], smooth > 127)
    assert len(source.notes) == 1 and "b/0.png" in source.notes[0]


def test_one_frame_twice(tmp_path: Path) -> None:
    for name in ("012.png", "00012.png"):
        save(tmp_path / "dog" / "track_000" / name, grey(FIRST))
    with pytest.raises(FormatError, match=r"'00012' and '012' are the same frame|'012' and '00012' are the same frame"):
        open_source(tmp_path, "mugvos").clip("dog")


def test_masks_of_two_sizes(tmp_path: Path) -> None:
    save(tmp_path / "dog" / "a" / "0.png", grey(FIRST))
    save(tmp_path / "dog" / "a" / "1.png", grey(FIRST)[:10])
    with pytest.raises(FormatError, match=r"1\.png: 31x10, other masks of dog are 31x20"):
        open_source(tmp_path).clip("dog").mask(1, 1)


# DAVIS


def index_map() -> np.ndarray:
    return (FIRST * 1 + SECOND * 38 * ~FIRST).astype(np.uint8)


@pytest.mark.parametrize("below", ["", "Annotations", "Annotations/480p"])
def test_davis_tree(tmp_path: Path, below: str) -> None:
    void = index_map()
    void[:2] = 255
    save(tmp_path / below / "dog" / "00000.png", index_map(), palette())
    save(tmp_path / below / "dog" / "00001.png", void, palette())
    with open_source(tmp_path) as source:
        clip = source.clip("dog")
        assert source.format == "davis" and [track.id for track in clip.tracks] == [1, 38]
        assert np.array_equal(clip.mask(0, 38), SECOND & ~FIRST)
        assert clip.void(0) is None and np.array_equal(clip.void(1), void == 255)
        assert clip.mask(2, 1) is None and clip.mask(0, 2) is None


def test_davis_2016_is_one_object(tmp_path: Path) -> None:
    save(tmp_path / "dog" / "00000.png", grey(FIRST))
    save(tmp_path / "dog" / "00001.png", grey(FIRST & ~FIRST))
    with open_source(tmp_path) as source:
        clip = source.clip("dog")
        assert [(track.id, track.name) for track in clip.tracks] == [(1, "1")]
        assert np.array_equal(clip.mask(0, 1), FIRST) and not clip.mask(1, 1).any()
        assert clip.void(0) is None


def test_one_folder_of_pngs_is_one_clip(tmp_path: Path) -> None:
    save(tmp_path / "dog" / "00000.png", index_map())
    with open_source(tmp_path / "dog") as source:
        assert (source.format, list(source.clips)) == ("davis", ["dog"])


def test_davis_keeps_palette_indices_and_void(tmp_path: Path) -> None:
    tracks = [track for track in open_sample(tmp_path).tracks if track.id != 4]
    kept = [record for record in open_sample(tmp_path).records() if record.track != 4]
    write_sample(tmp_path / "b.h5", tracks=tracks, records=kept, voids=[(1, disc(2, 2, 1))])
    export(tmp_path / "b.h5", tmp_path / "davis", "davis")
    image = Image.open(tmp_path / "davis" / "street" / "00003.png")
    assert image.mode == "P" and set(np.unique(np.array(image))) == {0, 1, 9}
    assert image.getpalette()[:12] == [0, 0, 0, 128, 0, 0, 0, 128, 0, 128, 128, 0]
    with open_source(tmp_path / "davis") as source:
        assert np.array_equal(source.clip("street").void(1), disc(2, 2, 1))


def open_sample(folder: Path) -> Any:
    path = folder / "sample.h5"
    return open_source(path if path.exists() else write_sample(path)).clip("street")


def test_davis_refuses_overlaps_and_leaves_nothing(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "a.h5")
    with pytest.raises(FormatError, match=r"tracks 1 and 4 overlap in frame 0: .*--flatten"):
        export(path, tmp_path / "davis", "davis")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.h5"]


# COCO, YouTube-VIS, SA-V, the pipeline


def test_coco_detection(tmp_path: Path) -> None:
    """Still images of one folder, the three forms of segmentation, no tracks."""
    plain = rle.runs(rle.encode(SECOND)).tolist()
    corners = [2.0, 2.0, 12.0, 2.0, 12.0, 9.0]
    document = {
        "images": [{"id": n, "file_name": f"street/{n:06d}.jpg", "height": HEIGHT, "width": WIDTH} for n in (5, 7)],
        "annotations": [
            {"id": 11, "image_id": 5, "category_id": 3, "segmentation": code(FIRST), "score": 0.5},
            {"id": 12, "image_id": 5, "category_id": 3, "segmentation": {"size": [HEIGHT, WIDTH], "counts": plain}},
            {"id": 13, "image_id": 7, "category_id": 4, "segmentation": [corners]},
        ],
        "categories": [{"id": 3, "name": "cat"}, {"id": 4, "name": "dog"}],
    }
    with open_source(dump(tmp_path / "a.json", document)) as source:
        clip = source.clip("street")
        assert source.format == "coco" and list(clip.frames) == [5, 7]
        assert [(track.id, track.name) for track in clip.tracks] == [(11, "cat 11"), (12, "cat 12"), (13, "dog 13")]
        assert np.array_equal(clip.mask(5, 11), FIRST) and np.array_equal(clip.mask(5, 12), SECOND)
        drawn = oracle.decode(oracle.frPyObjects([corners], HEIGHT, WIDTH))[..., 0]
        assert np.array_equal(clip.mask(7, 13), drawn)


def test_coco_images_of_several_sizes_are_clips_of_their_own(tmp_path: Path) -> None:
    images = [{"id": n, "file_name": f"{n}.jpg", "height": HEIGHT + n, "width": WIDTH} for n in range(2)]
    annotations = [{"id": 1, "image_id": 0, "segmentation": code(FIRST)}]
    with open_source(dump(tmp_path / "a.json", {"images": images, "annotations": annotations})) as source:
        assert list(source.clips) == ["0.jpg", "1.jpg"]
        assert np.array_equal(source.clip("0.jpg").mask(0, 1), FIRST)


def youtube_vis() -> dict[str, Any]:
    files = [f"a1b2/{n:05d}.jpg" for n in (0, 5, 10)]
    return {
        "videos": [{"id": 1, "height": HEIGHT, "width": WIDTH, "length": 3, "file_names": files}],
        "annotations": [
            {"id": 7, "video_id": 1, "category_id": 2, "segmentations": [None, code(FIRST), code(SECOND)]},
        ],
        "categories": [{"id": 2, "name": "cat"}],
    }


def test_youtube_vis(tmp_path: Path) -> None:
    with open_source(dump(tmp_path / "a.json", youtube_vis())) as source:
        clip = source.clip("a1b2")
        assert source.format == "youtube-vis" and list(clip.frames) == [0, 5, 10]
        assert [(track.id, track.name, track.first_frame) for track in clip.tracks] == [(7, "cat 7", 5)]
        assert clip.mask(0, 7) is None and np.array_equal(clip.mask(10, 7), SECOND)


def test_youtube_vis_with_categories_that_are_null(tmp_path: Path) -> None:
    with open_source(dump(tmp_path / "a.json", {**youtube_vis(), "categories": None})) as source:
        assert [track.name for track in source.clip("a1b2").tracks] == ["7"]


def test_sa_v(tmp_path: Path) -> None:
    document = {
        "video_id": "sav_000001",
        "video_frame_count": 5.0,
        "video_height": float(HEIGHT),
        "video_width": float(WIDTH),
        "masklet": [[code(FIRST), code(SECOND)], [code(SECOND), code(FIRST & ~FIRST)]],
        "masklet_id": [0, 3],
        "masklet_stability_score": [[0.9, 0.8], [0.7, 0.6]],
    }
    path = dump(tmp_path / "sav_000001_manual.json", document)
    with open_source(path) as source:
        clip = source.clip("sav_000001")
        assert source.format == "sa-v" and list(clip.frames) == [0, 4]
        assert [(track.id, track.name) for track in clip.tracks] == [(0, "000"), (3, "003")]
        assert np.array_equal(clip.mask(4, 0), SECOND) and not clip.mask(4, 3).any()
        assert next(clip.records(4, 0)).stability == 0.7
    dump(tmp_path / "sav_000002_manual.json", {**document, "video_id": "sav_000002"})
    with open_source(tmp_path) as source:
        assert list(source.clips) == ["sav_000001_manual", "sav_000002_manual"]


def test_pipeline_in_both_forms(tmp_path: Path) -> None:
    flat = {**code(FIRST), "id": 0, "point_coords": [[4, 5], [6, 7]], "iou": 0.875}
    single = {**code(SECOND), "id": 1, "point_coords": [20, 10], "iou": 0.5}
    nested = {"id": 0, "iou": 0.75, "area": 49, "segmentation": code(FIRST)}
    dump(tmp_path / "dog_bin0" / "origin" / "00000.json", [flat, single])
    dump(tmp_path / "dog_bin0" / "origin" / "00001.json", [nested])
    dump(tmp_path / "dog_bin0" / "warped" / "00000_warped.json", [flat])
    with open_source(tmp_path) as source:
        clip = source.clip("dog_bin0")
        assert source.format == "pipeline" and list(clip.frames) == [0, 1]
        first, second, third = clip.records()
        assert [(p.x, p.y) for p in first.points] == [(4, 5), (6, 7)] and first.score == 0.875
        assert [(p.x, p.y) for p in second.points] == [(20, 10)] and np.array_equal(clip.mask(0, 1), SECOND)
        assert (third.frame, third.track, third.score, third.points) == (1, 0, 0.75, ())


def spoiled(**changes: Any) -> dict[str, Any]:
    document = youtube_vis()
    document["annotations"][0] |= changes
    return document


BAD_JSON: dict[str, tuple[Any, str]] = {
    "counts of another size": (spoiled(segmentations=[None, None, code(FIRST[:5])]), "a mask of size"),
    "counts cut": (
        spoiled(segmentations=[None, None, {"size": [HEIGHT, WIDTH], "counts": code(FIRST)["counts"][:-2]}]),
        "do not fill a mask of 31x20",
    ),
    "counts no text": (spoiled(segmentations=[None, None, {"size": [HEIGHT, WIDTH], "counts": 5}]), "neither text nor"),
    "counts of negative runs": (
        spoiled(segmentations=[None, None, {"size": [HEIGHT, WIDTH], "counts": [-5, 625]}]),
        "neither text nor",
    ),
    "no list": (spoiled(segmentations="x"), "'segmentations' is missing or has another type"),
    "too few frames": (spoiled(segmentations=[None]), "1 segmentations for 3 frames"),
    "huge size": ({**youtube_vis(), "videos": [{**youtube_vis()["videos"][0], "height": 10**9}]}, "cannot be"),
}


@pytest.mark.parametrize("case", BAD_JSON)
def test_bad_documents(tmp_path: Path, case: str) -> None:
    document, message = BAD_JSON[case]
    with pytest.raises(FormatError, match=message), open_source(dump(tmp_path / "a.json", document)) as source:
        list(source.clip("a1b2").records())


# Names and outputs

HOSTILE = ["../../x", "/etc/x", "..", ".", "a/../b", "nul\0", "c:\\x", ".hidden", "~root", "%2e%2e", "con\n"]


@pytest.mark.parametrize("format", ["mugvos", "davis", "pipeline", "sa-v"])
def test_names_stay_inside_the_output(tmp_path: Path, format: str) -> None:
    with StoreWriter(tmp_path / "a.h5") as writer:
        for name in HOSTILE:
            add_sample(writer, name, tracks=[Track(3, name)], records=[rle.record(0, 3, FIRST)], frame_count=1)
    output = tmp_path / "deep" / "er" / "out"
    export(tmp_path / "a.h5", output, format)
    made = [path for path in tmp_path.rglob("*") if path.suffix in (".png", ".json")]
    assert len(made) == len(HOSTILE) and all(output in path.parents for path in made)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["a.h5", "deep"]
    with open_source(output) as source:
        assert len(source.clips) == len(HOSTILE)
        assert all(next(source.clip(name).records()).counts == rle.encode(FIRST) for name in source.clips)


def test_names_that_no_file_can_have(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "a.h5", "x" * 300)
    with pytest.raises(FormatError, match="cannot be the name of a file"):
        export(path, tmp_path / "out", "mugvos")


def test_outputs_are_replaced_only_when_asked_and_only_masks(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "a.h5")
    export(path, tmp_path / "out", "mugvos")
    with pytest.raises(OutputError, match="exists already"):
        export(path, tmp_path / "out", "mugvos")
    export(path, tmp_path / "out", "mugvos", overwrite=True)
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match=r"holds thesis\.txt, which is no mask"):
        export(path, tmp_path / "out", "mugvos", overwrite=True)
    assert (tmp_path / "out" / "thesis.txt").exists()


def test_only_some_clips(tmp_path: Path) -> None:
    with StoreWriter(tmp_path / "a.h5") as writer:
        for name in ("one", "two", "three"):
            add_sample(writer, name)
    seen: list[tuple[int, int]] = []
    export(tmp_path / "a.h5", tmp_path / "b.h5", clips=["three", "one"], on_progress=lambda *done: seen.append(done))
    with open_source(tmp_path / "b.h5") as source:
        assert sorted(source.clips) == ["one", "three"]
    assert seen == [(1, 2), (2, 2)]


@pytest.mark.parametrize("format", [name for name in FORMATS if name != "davis"])
def test_every_format_keeps_the_masks(tmp_path: Path, format: str) -> None:
    path = write_sample(tmp_path / "a.h5", records=[r for r in records() if not r.points])
    suffix = {"store": ".h5", "ndjson": ".ndjson", "coco": ".json", "youtube-vis": ".json", "sa-v": ".json"}
    output = tmp_path / f"out{suffix.get(format, '')}"
    export(path, output, format)
    with open_source(output) as source:
        found = {(frame, counts) for (frame, _), counts in masks_of(source.clip(source.clips[0])).items()}
    expected = {(frame, rle.encode(mask)) for (frame, track), mask in masks().items() if (frame, track) != (0, 4)}
    blank = {(frame, rle.empty(HEIGHT, WIDTH)) for frame in range(6)} if format == "sa-v" else set()
    assert found - blank == expected - blank


def test_background_points_have_no_place_in_json(tmp_path: Path) -> None:
    path = write_sample(tmp_path / "a.h5")
    with pytest.raises(FormatError, match="a background point"):
        export(path, tmp_path / "a.json", "coco")
    assert not (tmp_path / "a.json").exists()
