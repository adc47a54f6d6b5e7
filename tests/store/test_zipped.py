"""Archives of masks: what is around them, what they are not, and that nothing is left behind."""

import json
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pytest
from store_samples import masks_of, same_records, write_sample

from engine.errors import FormatError, StoreError
from engine.store import export, open_source


def packed(path: Path, root: Path, around: str = "") -> Path:
    """Everything below `root` as a zip, below a folder `around`."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in [root] if root.is_file() else sorted(root.rglob("*")):
            if file.is_file():
                inside = file.name if root.is_file() else str(file.relative_to(root))
                archive.write(file, f"{around}/{inside}" if around else inside)
    return path


@pytest.fixture
def left_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files of this test."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.mark.parametrize("format", ["store", "mugvos", "coco", "youtube-vis", "sa-v", "pipeline", "ndjson"])
def test_every_format_is_read_from_a_zip(tmp_path: Path, left_over: Path, format: str) -> None:
    made = tmp_path / {"store": "a.h5", "coco": "a.json", "youtube-vis": "a.json", "ndjson": "a.ndjson"}.get(
        format, "a"
    )
    export(write_sample(tmp_path / "sample.h5"), tmp_path / "no-points", "mugvos")
    export(tmp_path / "no-points", made, format)
    with open_source(made) as plain, open_source(packed(tmp_path / "a.zip", made)) as source:
        assert source.format == plain.format == format and list(source.clips) == list(plain.clips)
        for name in plain.clips:
            assert masks_of(source.clip(name)) == masks_of(plain.clip(name))
        assert list(left_over.iterdir())
    assert not list(left_over.iterdir()), "nothing is left behind"


@pytest.mark.parametrize("around", ["", "a", "results", "results/deep"])
def test_a_folder_around_the_tree_does_not_matter(tmp_path: Path, around: str) -> None:
    export(write_sample(tmp_path / "sample.h5"), tmp_path / "tree", "mugvos")
    with open_source(packed(tmp_path / "a.zip", tmp_path / "tree", around)) as source:
        assert (source.format, list(source.clips)) == ("mugvos", ["street"])


def test_label_images_below_a_folder_of_the_archive_s_name(tmp_path: Path) -> None:
    export(write_sample(tmp_path / "sample.h5"), tmp_path / "tree", "davis", flatten=True)
    for around in ("", "a", "a/Annotations/480p"):
        (tmp_path / "a.zip").unlink(missing_ok=True)
        with open_source(packed(tmp_path / "a.zip", tmp_path / "tree", around)) as source:
            assert (source.format, list(source.clips)) == ("davis", ["street"])


def test_pictures_and_hidden_files_are_passed_over(tmp_path: Path) -> None:
    export(write_sample(tmp_path / "sample.h5"), tmp_path / "tree", "mugvos")
    archive = packed(tmp_path / "a.zip", tmp_path / "tree")
    with zipfile.ZipFile(archive, "a") as more:
        more.writestr("__MACOSX/street/._000.png", b"x")
        more.writestr("frames/000.jpg", b"x")
    with open_source(archive) as source:
        assert list(source.clips) == ["street"]


def test_names_that_lead_elsewhere_are_not_unpacked(tmp_path: Path, left_over: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("../../outside.json", json.dumps({"videos": [], "annotations": []}))
    with pytest.raises(FormatError, match="holds no masks"):
        open_source(tmp_path / "a.zip")
    assert not list(tmp_path.rglob("outside.json"))


def test_archives_without_masks_and_damaged_ones_are_named(tmp_path: Path, left_over: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.md", "nothing")
    with pytest.raises(FormatError, match=r"a\.zip: the archive holds no masks"):
        open_source(tmp_path / "a.zip")
    made = packed(tmp_path / "b.zip", write_sample(tmp_path / "sample.h5"))
    data = bytearray(made.read_bytes())
    data[60:200] = bytes(140)
    made.write_bytes(data)
    with pytest.raises(FormatError, match=r"b\.zip: the archive cannot be unpacked"):
        open_source(made)
    made.write_bytes(data[:500])
    with pytest.raises(StoreError, match="a ZIP archive that is cut short"):
        open_source(made)
    assert not list(left_over.iterdir())


def test_what_an_archive_holds_is_named_by_the_archive(tmp_path: Path, left_over: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.json", '{"weights": 1}')
    with pytest.raises(FormatError, match=r"a\.zip: is JSON of a kind that is not known"):
        open_source(tmp_path / "a.zip")
    assert not list(left_over.iterdir())


def test_records_of_a_store_in_a_zip(tmp_path: Path) -> None:
    made = write_sample(tmp_path / "sample.h5")
    with open_source(made) as plain, open_source(packed(tmp_path / "a.zip", made)) as source:
        assert same_records(list(plain.clip("street").records()), list(source.clip("street").records()))
        assert np.array_equal(source.clip("street").mask(0, 1), plain.clip("street").mask(0, 1))
