"""Tokens: the recorded ids, where files are looked for, and files that do not fit."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from sgmg_golden import TINY_BPE
from tokenizers import ByteLevelBPETokenizer

from engine.errors import CheckpointError, UsageError
from engine.models.sgmg.tokenizer import Tokenizer, as_trained, find_tokenizer

KNOWN = json.loads((TINY_BPE.parent / "case_tokenizer.json").read_text())
SENTENCES = ["the dog on the left", "a red car that turns right", "the person in white"]


def test_recorded_ids() -> None:
    tokenizer = Tokenizer(TINY_BPE)
    assert tokenizer.vocabulary == KNOWN["vocab_size"]
    for entry in KNOWN["single"]:
        assert tokenizer([entry["text"]])[0].tolist() == entry["input_ids"]


def test_batches_are_padded_to_the_longest() -> None:
    ids = Tokenizer(TINY_BPE)(["the dog", "the dog on the left"])
    assert ids.shape == (2, 7) and ids[0, 4:].tolist() == [1, 1, 1]
    assert ids[:, 0].tolist() == [0, 0] and int((ids == 2).sum()) == 2


def test_a_tokenizer_trained_on_the_spot(tmp_path: Path) -> None:
    trained = ByteLevelBPETokenizer()
    trained.train_from_iterator(SENTENCES, 400, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"])
    trained.save_model(str(tmp_path))
    tokenizer = Tokenizer(find_tokenizer(tmp_path))
    assert tokenizer.vocabulary == trained.get_vocab_size()
    ids = tokenizer(SENTENCES[:1])[0].tolist()
    assert ids == [0, *trained.encode(SENTENCES[0]).ids, 2]
    with pytest.raises(CheckpointError, match=r"tokens, the text encoder of w.pth 50265: give the folder"):
        tokenizer.check(50265, "w.pth")
    tokenizer.check(tokenizer.vocabulary, "w.pth")


def test_text_as_in_training() -> None:
    assert as_trained("  The Dog\ton  the LEFT ") == "the dog on the left"


@pytest.mark.parametrize("repository", ["roberta-base", "FacebookAI--roberta-base"])
def test_the_cache_of_hugging_face(monkeypatch, tmp_path: Path, repository: str) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(CheckpointError, match=r"vocab.json and merges.txt .*hf download .* --text-encoder"):
        find_tokenizer()
    snapshot = tmp_path / f"models--{repository}" / "snapshots" / "e2da8e2f"
    shutil.copytree(TINY_BPE, snapshot)
    assert find_tokenizer() == snapshot


@pytest.mark.parametrize("damage", ["{", '{"a": "b"}'])
def test_damaged_files(tmp_path: Path, damage: str) -> None:
    (tmp_path / "vocab.json").write_text(damage)
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    with pytest.raises(CheckpointError, match=r"its tokenizer (cannot be read|is not RoBERTa's)"):
        Tokenizer(find_tokenizer(tmp_path))
    with pytest.raises(CheckpointError, match="no tokenizer in it"):
        (tmp_path / "merges.txt").unlink()
        find_tokenizer(tmp_path)


def test_sentences_that_cannot_be_asked() -> None:
    tokenizer = Tokenizer(TINY_BPE)
    with pytest.raises(UsageError, match="an empty sentence"):
        tokenizer([" "])
    with pytest.raises(UsageError, match="at most 4 are possible"):
        tokenizer(["the dog on the left"], positions=6)
    assert tokenizer(["the dog"], positions=6).dtype == torch.long
