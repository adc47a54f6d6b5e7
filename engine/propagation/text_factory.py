"""From the name of a model and sentences to somebody who answers them.

Knows models and weights by name. Random weights are used only when asked for, and the result says so.
"""

import difflib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch

from engine.errors import UsageError
from engine.models.sgmg.config import CONFIGS
from engine.models.sgmg.initial import random_sgmg
from engine.models.sgmg.loading import load_sgmg
from engine.models.sgmg.network import SgMg
from engine.models.sgmg.tokenizer import Tokenizer, as_trained, find_tokenizer
from engine.propagation.sentences import SgMgAsker
from engine.weights.catalogue import CATALOGUE, Entry
from engine.weights.find import SUFFIXES, find_weights

USUAL = "sgmg-t"
TEXT_MODELS = tuple(dict.fromkeys([*(name for name, entry in CATALOGUE.items() if entry.kind == "sgmg"), *CONFIGS]))
"""Everything that --model may be called for sentences."""


class MadeAsker(NamedTuple):
    """An asker and where it comes from.

    ids: the sentences as token ids, without padding. published: the catalogue's entry where the weights are not this
    project's. random_weights: it was never trained, its masks mean nothing.
    """

    asker: SgMgAsker
    model: str
    weights: Path | None
    ids: list[list[int]]
    published: Entry | None
    random_weights: bool


class TextOptions(NamedTuple):
    """raw: sentences go to the tokenizer as they are typed; otherwise in lower case and with single spaces, as in
    training. short_side: of the network's input in pixels; None: the model's. encoder: folder with the tokenizer."""

    exclusive: bool = False
    raw: bool = False
    short_side: int | None = None
    encoder: Path | None = None


def make_text_asker(
    model: str,
    sentences: Sequence[str],
    options: TextOptions,
    device: torch.device | str = "cpu",
    precision: torch.dtype = torch.float32,
    random_weights: bool = False,
) -> MadeAsker:
    """Somebody who answers these sentences, by the name of a model or a file of weights.

    Raises UsageError for unknown models and unusable sentences, CheckpointError for weights or tokenizer files that are
    missing or unfit.
    """
    is_file = Path(model).suffix in SUFFIXES or Path(model).is_file()
    name = None if is_file else _known(model)
    path = None if random_weights else find_weights(model)
    tokenizer = Tokenizer(find_tokenizer(options.encoder))
    if path is None:
        network, ours = _random(name or USUAL, tokenizer), True
    else:
        network, ours = load_sgmg(path)
        tokenizer.check(network.config.text.vocabulary, path)
    said = sentences if options.raw else [as_trained(sentence) for sentence in sentences]
    ids = tokenizer(said, network.config.text.positions)
    asker = SgMgAsker(network, ids, device, precision, options.exclusive, options.short_side)
    published = None if ours else CATALOGUE.get(model, CATALOGUE[USUAL])
    return MadeAsker(asker, network.config.name, path, _plain(tokenizer, said), published, path is None)


def _plain(tokenizer: Tokenizer, sentences: Sequence[str]) -> list[list[int]]:
    return [tokenizer([sentence])[0].tolist() for sentence in sentences]


def _known(model: str) -> str:
    """The name itself. Raises UsageError where nothing that reads sentences is called so."""
    if model not in TEXT_MODELS:
        near = difflib.get_close_matches(model, TEXT_MODELS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(TEXT_MODELS)}, or a file of weights"
        raise UsageError(f"no model that reads sentences is called {model!r}", hint)
    return model


def _random(name: str, tokenizer: Tokenizer) -> SgMg:
    """The architecture of a name, with the tokenizer's vocabulary."""
    config = CONFIGS[CATALOGUE[name].model if name in CATALOGUE else name]
    return random_sgmg(replace(config, text=replace(config.text, vocabulary=tokenizer.vocabulary)))
