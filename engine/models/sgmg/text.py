"""The text branch: RoBERTa and two projections of what it says of words and of the whole sentence.

Knows token ids; the tokenizer is elsewhere. Liu et al., RoBERTa, 2019; the network is that of `transformers`, built
from sizes alone, so nothing is ever looked up on a hub.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from engine.errors import UsageError
from engine.models.sgmg.config import TextConfig
from engine.models.sgmg.position import position_1d

BEGIN, PAD, END = 0, 1, 2


class TextFeatures(NamedTuple):
    """Of B sentences: words (B, L, C), their positions likewise, padding bool (B, L), sentences (B, C)."""

    words: Tensor
    position: Tensor
    padding: Tensor
    sentence: Tensor

    def rows(self, index: Tensor) -> "TextFeatures":
        """The sentences of these numbers, which may repeat."""
        return TextFeatures(*(part[index] for part in self))


def build_roberta(config: TextConfig) -> nn.Module:
    """RoBERTa with pooler. Raises UsageError where `transformers` is not installed."""
    try:
        from transformers import RobertaConfig, RobertaModel
    except ImportError as error:
        raise UsageError("sentences need the package transformers", "pip install 'mugvos[text]'") from error
    return RobertaModel(
        RobertaConfig(
            vocab_size=config.vocabulary,
            hidden_size=config.width,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.feedforward,
            max_position_embeddings=config.positions,
            type_vocab_size=1,
            layer_norm_eps=1e-5,
            pad_token_id=PAD,
            bos_token_id=BEGIN,
            eos_token_id=END,
        )
    )


def read_words(roberta: nn.Module, ids: Tensor) -> tuple[Tensor, Tensor]:
    """ids (B, L), padded with 1 -> word features (B, L, W) and sentence features (B, W).

    Positions are given rather than taken from the module's buffers, which checkpoints do not hold.
    """
    present = (ids != PAD).long()
    positions = present.cumsum(1) * present + PAD
    out: Any = roberta(ids, attention_mask=present, token_type_ids=torch.zeros_like(ids), position_ids=positions)
    return out.last_hidden_state, out.pooler_output


class Projection(nn.Module):
    """From RoBERTa's width to the model's."""

    def __init__(self, inputs: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.fc = nn.Linear(inputs, outputs)
        self.layer_norm = nn.LayerNorm(outputs, eps=1e-12)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        return self.dropout(self.layer_norm(self.fc(x)))


def text_features(words: Tensor, sentence: Tensor, ids: Tensor) -> TextFeatures:
    """Projected features with what attention to them needs."""
    padding = ids == PAD
    return TextFeatures(words, position_1d(padding, words.shape[-1]), padding, sentence)
