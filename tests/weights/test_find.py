"""From names and paths to files."""

import pytest

from engine.errors import CheckpointError
from engine.weights import CATALOGUE, fetch, find_weights
from engine.weights import find as find_module


def test_a_path(tmp_path):
    path = tmp_path / "w.pth"
    path.write_bytes(b"x")
    assert find_weights(path) == path
    assert find_weights(str(path)) == path


def test_a_bundled_name(tmp_path, monkeypatch):
    monkeypatch.setattr(find_module, "BUNDLED", tmp_path)
    with pytest.raises(CheckpointError, match="install mugvos again"):
        find_weights("mmpm-tiny")
    (tmp_path / "mmpm-tiny.safetensors").write_bytes(b"x")
    assert find_weights("mmpm-tiny") == tmp_path / "mmpm-tiny.safetensors"


def test_a_fetched_name(folder):
    with pytest.raises(CheckpointError, match=r"375 MB.*mugvos models fetch sam-vit-b"):
        find_weights("sam-vit-b")
    folder.mkdir()
    (folder / "sam_vit_b_01ec64.pth").write_bytes(b"x")
    assert find_weights("sam-vit-b") == folder / "sam_vit_b_01ec64.pth"


def test_an_own_file_in_the_weights_folder(folder):
    folder.mkdir()
    (folder / "mine.safetensors").write_bytes(b"x")
    assert find_weights("mine") == folder / "mine.safetensors"
    assert find_weights("mine.safetensors") == folder / "mine.safetensors"


@pytest.mark.parametrize(
    ("text", "hint"), [("mmpm-tinny", "did you mean mmpm-tiny"), ("qqq", "use one of"), ("x/y.pth", "no such file")]
)
def test_not_there(folder, text, hint):
    with pytest.raises(CheckpointError, match=hint):
        find_weights(text)


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(CheckpointError, match="is a folder"):
        find_weights(tmp_path)


def test_the_cache_is_the_default(monkeypatch):
    monkeypatch.delenv("MUGVOS_WEIGHTS", raising=False)
    assert find_module.weights_folder().parts[-2:] == ("mugvos", "weights")


def test_catalogue_is_consistent():
    for name, entry in CATALOGUE.items():
        assert entry.name == name
        assert entry.licence and entry.citation and entry.about
        published = entry.sha256 is not None and len(entry.sha256) == 64 and entry.size
        # GitHub knows no digests of older releases; names and shapes are checked when such a file is read.
        release = entry.url is not None and entry.url.startswith("https://github.com/")
        known = published or len(entry.sha256_begins) == 8
        assert entry.bundled or known or release or entry.page.startswith("https://")


def test_weights_that_a_person_has_to_fetch(monkeypatch, tmp_path):
    monkeypatch.setenv("MUGVOS_WEIGHTS", str(tmp_path))
    for look in (find_weights, lambda name: fetch(CATALOGUE[name])):
        with pytest.raises(CheckpointError, match=rf"fetch it by hand from https://drive.* put it at {tmp_path}"):
            look("sgmg-t")
    (tmp_path / CATALOGUE["sgmg-t"].file).touch()
    assert find_weights("sgmg-t") == fetch(CATALOGUE["sgmg-t"]) == tmp_path / CATALOGUE["sgmg-t"].file
