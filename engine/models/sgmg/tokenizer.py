"""Sentences as token ids: RoBERTa's byte-level BPE, from files that the user has.

SgMg's checkpoints hold the text encoder's weights and not its vocabulary. The files are looked for in a folder or in
the local cache of Hugging Face; nothing is ever fetched.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import CheckpointError, UsageError
from engine.models.sgmg.text import BEGIN, END, PAD

REPOSITORIES = ("FacebookAI/roberta-base", "roberta-base")
_PLAIN = ("vocab.json", "merges.txt")
_WHOLE = "tokenizer.json"
_HOW = (
    "fetch them with `hf download FacebookAI/roberta-base vocab.json merges.txt --local-dir roberta-base`, "
    "then give --text-encoder roberta-base"
)


def find_tokenizer(folder: str | Path | None = None) -> Path:
    """The folder with the tokenizer's files: the given one, or roberta-base in the cache of Hugging Face.

    Raises CheckpointError that names the files and how to fetch them.
    """
    if folder is not None:
        path = Path(folder).expanduser()
        if _complete(path):
            return path
        what = f"{path}: no such folder" if not path.is_dir() else f"{path}: no tokenizer in it"
        raise CheckpointError(f"{what}; {' and '.join(_PLAIN)} (or {_WHOLE}) of roberta-base are needed", _HOW)
    for path in _cached():
        if _complete(path):
            return path
    raise CheckpointError(
        f"roberta-base's {' and '.join(_PLAIN)} (or {_WHOLE}) are not in the Hugging Face cache ({_hub()})", _HOW
    )


class Tokenizer:
    """From sentences to ids."""

    def __init__(self, folder: Path) -> None:
        """Raises UsageError where `transformers` is missing, CheckpointError where the files are damaged."""
        try:
            from transformers import RobertaTokenizerFast
        except ImportError as error:
            raise UsageError("sentences need the package transformers", "pip install 'mugvos[text]'") from error
        self.folder = folder
        try:
            self._encode: Any = RobertaTokenizerFast.from_pretrained(str(folder), local_files_only=True)
        except Exception as error:  # the tokenizers library raises bare Exceptions
            raise CheckpointError(f"{folder}: its tokenizer cannot be read ({error})", _HOW) from error
        marks = self._encode.convert_tokens_to_ids(["<s>", "<pad>", "</s>"])
        if marks != [BEGIN, PAD, END]:
            raise CheckpointError(f"{folder}: its tokenizer is not RoBERTa's (<s>, <pad>, </s> are {marks})", _HOW)

    @property
    def vocabulary(self) -> int:
        """Number of tokens."""
        return len(self._encode)

    def check(self, rows: int, source: object) -> None:
        """Raises CheckpointError unless a text encoder with so many word embeddings belongs to it."""
        if self.vocabulary != rows:
            raise CheckpointError(
                f"{self.folder}: its tokenizer knows {self.vocabulary} tokens, the text encoder of {source} {rows}",
                "give the folder with the tokenizer that the weights were trained with, as --text-encoder",
            )

    def __call__(self, sentences: Sequence[str], positions: int = 514) -> Tensor:
        """Ids (B, L), right-padded with 1. positions: rows of the text encoder's position embeddings.

        Raises UsageError for sentences that are empty or too long.
        """
        rows = [torch.tensor(ids) for ids in self._encode(list(sentences))["input_ids"]]
        for sentence, ids in zip(sentences, rows, strict=True):
            if not sentence.strip():
                raise UsageError("an empty sentence names no object", "say what to look for")
            if len(ids) > positions - 2:
                what = f"the sentence {sentence[:40]!r}... has {len(ids)} tokens, at most {positions - 2} are possible"
                raise UsageError(what, "shorten it")
        return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=PAD)


def as_trained(sentence: str) -> str:
    """Lower case and single spaces: the only text that the weights have seen."""
    return " ".join(sentence.lower().split())


def _complete(folder: Path) -> bool:
    return (folder / _WHOLE).is_file() or all((folder / name).is_file() for name in _PLAIN)


def _hub() -> Path:
    """Where Hugging Face keeps its files, by its own rules."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub").expanduser()


def _cached() -> list[Path]:
    """Snapshots of roberta-base, the one that `main` points at first."""
    found: list[Path] = []
    for repository in REPOSITORIES:
        folder = _hub() / f"models--{repository.replace('/', '--')}"
        main = folder / "refs" / "main"
        if main.is_file():
            found.append(folder / "snapshots" / main.read_text().strip())
        snapshots = folder / "snapshots"
        found += sorted(snapshots.iterdir()) if snapshots.is_dir() else []
    return found
