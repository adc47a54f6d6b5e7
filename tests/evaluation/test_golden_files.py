"""The reference cases once more, through real files: PNG trees and stores on either side."""

from collections.abc import Callable
from pathlib import Path

import evaluation_golden as golden
import numpy as np
import pytest
from PIL import Image

from engine.evaluation import Report, evaluate
from engine.store import StoreWriter, open_source

GRANULAR = ("case_granular_0", "case_granular_1")
OBJECTS = {name: case["davis_semi_supervised"] for name, case in golden.document("case_objects").items()}
SIDES = [("", ""), (".h5", ""), ("", ".h5"), (".h5", ".h5")]


def write_tracks(root: Path, side: int) -> None:
    for case in GRANULAR:
        for k, masks in enumerate(golden.masks(case)[1 + side]):
            folder = root / case / f"track_{k:03d}"
            folder.mkdir(parents=True)
            for frame, mask in enumerate(masks):
                Image.fromarray(mask.astype(np.uint8) * 255).save(folder / f"{frame:03d}.png")


def write_labels(root: Path, values: np.ndarray) -> None:
    (root / "v").mkdir(parents=True)
    for frame, image in enumerate(values):
        picture = Image.fromarray(image)
        picture.putpalette([0, 0, 0, *range(1, 256)] + [0] * 510)
        picture.save(root / "v" / f"{frame:05d}.png")


def convert(tree: Path) -> None:
    """The same masks as a store beside the tree."""
    with open_source(tree) as source, StoreWriter(tree.with_suffix(".h5")) as store:
        for name in source.clips:
            clip = source.clip(name)
            store.add_clip(name, clip.width, clip.height, len(clip.frames), clip.tracks, clip.records())


def score(root: Path, suffixes: tuple[str, str], protocol: str) -> Report:
    with open_source(f"{root}/pred{suffixes[0]}") as pred, open_source(f"{root}/truth{suffixes[1]}") as truth:
        return evaluate(pred, truth, protocol)


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """The folder of one case, with `pred` and `truth` as trees and as stores; made once."""
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = root = tmp_path_factory.mktemp(name)
            z = np.load(golden.GOLDEN / "case_objects.npz")
            for side, key in enumerate(("pred", "truth")):
                if name == "granular":
                    write_tracks(root / key, side)
                else:
                    write_labels(root / key, z[f"{('pred', 'gt')[side]}_{name}"])
                convert(root / key)
        return made[name]

    return make


@pytest.mark.parametrize("suffixes", SIDES)
def test_mug_through_files(trees: Callable[[str], Path], suffixes: tuple[str, str]) -> None:
    report = score(trees("granular"), suffixes, "mug")
    assert report.complete
    wanted = golden.document("case_granular")["mean_over_tracks, frames 1..T-2"]
    assert report.mean.as_dict() == pytest.approx({"J&F": wanted["JF"], "J": wanted["J"], "F": wanted["F"]}, abs=1e-9)
    for clip, case in zip(report.clips, GRANULAR, strict=True):
        z = np.load(golden.GOLDEN / f"{case}.npz")
        for k, track in enumerate(clip.tracks):
            assert np.array_equal(track.J, z["J"][k, 1:-1]) and np.array_equal(track.F, z["F"][k, 1:-1])


@pytest.mark.parametrize("suffixes", SIDES)
@pytest.mark.parametrize("name", [name for name, wanted in OBJECTS.items() if "exit" not in wanted])
def test_davis_through_files(trees: Callable[[str], Path], name: str, suffixes: tuple[str, str]) -> None:
    report = score(trees(name), suffixes, "davis")
    assert report.complete == (name != "object_3_never_predicted")
    tracks = report.clips[0].tracks
    for measure, values in (("J", [t.region.mean for t in tracks]), ("F", [t.boundary.mean for t in tracks])):
        wanted = OBJECTS[name][measure]["M_per_object"]
        assert values == pytest.approx(list(wanted.values()) if isinstance(wanted, dict) else wanted, abs=1e-9)
