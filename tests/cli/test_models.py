"""`mugvos models`."""

import json

import pytest
import torch

from engine.weights import load_state_dict


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MUGVOS_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def test_list_shows_size_and_licence(cli):
    done = cli("models")
    assert done.status == 0
    assert done.out == cli("models", "list").out
    line = next(line for line in done.out.splitlines() if line.startswith("sam-vit-b"))
    assert "375.0 MB" in line and "Apache-2.0" in line and "to fetch" in line


def test_list_as_json(cli, folder):
    document = json.loads(cli("models", "list", "--json").out)
    assert document["schema"] == 1 and document["folder"] == str(folder)
    entry = next(entry for entry in document["models"] if entry["name"] == "sam-vit-h")
    assert entry["bytes"] == 2564550879 and entry["path"] is None and entry["url"].endswith("sam_vit_h_4b8939.pth")
    assert json.loads(cli("models", "--json").out) == document


def test_show_says_all_that_is_known(cli, folder):
    done = cli("models", "show", "sam-vit-b", "cotracker3")
    assert done.status == 0
    for part in (
        "sam_vit_b_01ec64.pth",
        "375.0 MB",
        "Apache-2.0",
        "Kirillov et al.",
        "ec2df62732614e57",
        "no (to fetch)",
    ):
        assert part in done.out
    assert "https://huggingface.co/facebook/cotracker3/resolve/main/scaled_offline.pth" in done.out
    assert "CC BY-NC 4.0" in done.out
    assert cli("models", "show", "nonsense").status == 2


def test_a_converted_file_takes_the_place_of_the_published_one(cli, folder):
    folder.mkdir()
    torch.save({"image_encoder.pos_embed": torch.ones(1, 2, 2, 768)}, folder / "sam_vit_b_01ec64.pth")
    assert cli("models", "convert", "sam-vit-b", folder / "sam-vit-b.safetensors").status == 0
    (folder / "sam_vit_b_01ec64.pth").unlink()
    assert str(folder / "sam-vit-b.safetensors") in cli("models", "show", "sam-vit-b").out


def test_what_is_here_is_not_fetched(cli, folder):
    folder.mkdir()
    (folder / "sam_vit_b_01ec64.pth").write_bytes(b"x")
    done = cli("models", "fetch", "sam-vit-b")
    assert (done.status, done.out) == (0, f"{folder / 'sam_vit_b_01ec64.pth'}\n")
    assert "here already" in done.err


def test_fetch_of_an_unknown_name_fetches_nothing(cli):
    done = cli("models", "fetch", "sam-vit-b", "nonsense")
    assert done.status == 2
    assert "no weights are called 'nonsense'" in done.err and done.err.count("\n") == 1


def test_fetch_without_a_network_is_one_line(cli, monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    done = cli("models", "fetch", "sam-vit-b", "-q")
    assert done.status == 2
    assert "the connection failed" in done.err and done.err.count("\n") == 1


def test_convert(cli, tmp_path):
    torch.save({"state_dict": {"module.x": torch.ones(2)}}, tmp_path / "a.pth")
    done = cli("models", "convert", tmp_path / "a.pth", tmp_path / "b.safetensors")
    assert done.status == 0 and "looks like unknown" in done.err
    assert load_state_dict(tmp_path / "b.safetensors")[0].keys() == {"x"}
    again = cli("models", "convert", tmp_path / "a.pth", tmp_path / "b.safetensors")
    assert again.status == 2 and "--overwrite" in again.err


def test_convert_of_no_checkpoint(cli, tmp_path):
    (tmp_path / "a.pth").write_text("hello")
    done = cli("models", "convert", tmp_path / "a.pth", tmp_path / "b.safetensors")
    assert done.status == 2 and "is no file of weights" in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "b.safetensors").exists()
