"""`mugvos propagate --text`: the whole command, with a checkpoint in the published form and with untrained networks."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from sgmg_golden import TINY_BPE, case, golden_network
from small_videos import scene, write_frames

from engine.models.sgmg.inference import exclusive_labels
from engine.store import StoreReader

UNTRAINED = ("--random-weights", "--model", "sgmg-tiny", "--text-encoder", TINY_BPE)
WORDS = "text_encoder.text_backbone.embeddings.word_embeddings.weight"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A checkpoint as its authors save them: old form, options of the training script, left-overs of tools."""
    state = dict(golden_network().state_dict())
    state[WORDS] = state[WORDS][:412]  # the rows that the small tokenizer has
    state["text_encoder.text_backbone.embeddings.position_ids"] = torch.arange(514)[None]
    state["backbone.0.body.total_ops"] = torch.zeros(1, dtype=torch.float64)
    path = tmp_path / "checkpoint.pth"
    content = {"model": state, "epoch": 5, "args": argparse.Namespace(lr=1e-4, dataset_file="ytvos")}
    torch.save(content, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    return write_frames(tmp_path / "frames", scene(8)[0])


def test_the_published_loop_over_a_video(cli, tmp_path: Path, published: Path) -> None:
    """Three sentences, two windows, a checkpoint as published: masks and scores as recorded."""
    data = case("propagate")
    video = write_frames(tmp_path / "video", list(data["frames"]))
    known = json.loads((TINY_BPE.parent / "case_tokenizer.json").read_text())
    sentences = [entry["text"] for entry in known["single"][:3]]
    out = cli(
        *("propagate", video, "-o", tmp_path / "out.h5", "--model", published, "--text-encoder", TINY_BPE),
        *(word for sentence in sentences for word in ("--text", sentence)),
        *("--raw-text", "--window", data["clip"], "--short-side", data["short_side"], "--json"),
    )
    assert out.status == 0, out.err
    assert "sgmg-t: licence CC BY-NC 4.0" in out.err and out.err.count("CC BY-NC") == 1
    document = json.loads(out.out)
    chosen = [[sentence["query"] for sentence in window["sentences"]] for window in document["windows"]]
    assert np.array_equal(np.transpose(chosen), data["selected"])
    with StoreReader(tmp_path / "out.h5") as store:
        clip = store.clip("video")
        assert [track.name for track in clip.tracks] == sentences
        masks = np.array([[clip.mask(frame, track) for frame in range(6)] for track in (1, 2, 3)])
        scores = [[clip.record(frame, track).score for frame in range(6)] for track in (1, 2, 3)]
    assert (masks == data["binary"]).mean() > 0.999
    assert np.allclose(scores, 1 / (1 + np.exp(-data["scores"])), atol=1e-5)


def test_labels_of_sentences_that_compete_are_the_recorded_ones() -> None:
    data = case("propagate")
    labels = torch.stack([exclusive_labels(frame) for frame in torch.from_numpy(data["probs"]).transpose(0, 1)])
    assert (labels.numpy() == data["labels"][:, ::2, ::2]).mean() > 0.999


def test_untrained_networks_say_so_and_the_tracks_are_complete(cli, tmp_path: Path, frames: Path) -> None:
    out = cli("propagate", frames, "--text", "A  Dog", "--text", "the cat", *UNTRAINED, "-o", tmp_path / "out.h5")
    assert out.status == 0, out.err
    assert "random weights" in out.err and "licence" not in out.err
    assert out.err.rstrip().endswith("out.h5: 2 tracks, 8 frames") and out.out == ""
    with StoreReader(tmp_path / "out.h5") as store:
        clip = store.clip("frames")
        assert clip.rows == 16
        assert clip.provenance["text"] == ["A  Dog", "the cat"]
        assert all(0 < record.score < 1 for record in clip.records())
    again = cli("propagate", frames, "--text", "a dog", *UNTRAINED, "-o", tmp_path / "out.h5")
    assert again.status == 2 and "exists" in again.err


def test_lines_with_and_without_a_tracker_behind(cli, frames: Path) -> None:
    for more in ((), ("--then", "dis", "--exclusive")):
        out = cli("propagate", frames, "--text", "a dog", *UNTRAINED, "--ndjson", *more)
        assert out.status == 0, out.err
        lines = [json.loads(line) for line in out.out.splitlines()]
        assert sorted(line["frame"] for line in lines) == list(range(8))
        assert {line["name"] for line in lines} == {"a dog"}


def test_a_mask_is_handed_over(cli, tmp_path: Path, frames: Path) -> None:
    out = cli("propagate", frames, "--text", "a dog", *UNTRAINED, "--then", "dis", "--json", "-o", tmp_path / "out.h5")
    assert out.status == 0, out.err
    handed = json.loads(out.out)["handed_over"]
    with StoreReader(tmp_path / "out.h5") as store:
        clip = store.clip("frames")
        assert clip.rows == 8 and clip.provenance["then"]["model"] == "dis"
        if handed:
            assert clip.record(handed["1"]["frame"], 1).score == pytest.approx(handed["1"]["score"])
    assert [path.name for path in tmp_path.glob("out.h5*")] == ["out.h5"]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (("--text", "a", "--mask", "m.png"), "--text finds its objects itself"),
        (("--then", "mmpm", "--mask", "m.png"), "--then goes with --text"),
        (("--text", "a", "--json", "--ndjson"), "--ndjson and --json all write to standard output"),
        (("--text", " ", *UNTRAINED), "an empty sentence"),
        (("--text", "a", "--text", "a", *UNTRAINED), "'a' is given twice"),
        (("--text", "word " * 200, *UNTRAINED), "at most 128 are possible"),
        (("--text", "a", "--model", "sgmg-x"), "did you mean sgmg-t?"),
        (("--text", "a", "--random-weights", "--text-encoder", "nowhere"), "nowhere: no such folder; vocab.json and"),
        (
            ("--text", "a", "--random-weights"),
            "are not in the Hugging Face cache .*hf download FacebookAI/roberta-base",
        ),
        (("--text", "a"), "sgmg-t is not on this machine: fetch it by hand"),
    ],
)
def test_one_line_says_what_is_wrong(cli, monkeypatch, tmp_path: Path, frames: Path, given, message: str) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("MUGVOS_WEIGHTS", str(tmp_path / "weights"))
    out = cli("propagate", frames, *given, "-o", tmp_path / "out.h5")
    assert out.status == 2
    (line,) = [line for line in out.err.splitlines() if "error" in line]
    import re

    assert re.search(message, line), line
    assert not (tmp_path / "out.h5").exists()
