"""Random weights as published training begins with: Deformable DETR's, and the authors' for the heads."""

import math

import torch
from torch import Tensor, nn

from engine.models.sgmg.config import SgMgConfig
from engine.models.sgmg.deformable import DeformableAttention
from engine.models.sgmg.network import SgMg
from engine.models.sgmg.transformer import BoxHead

_RARE = -math.log(99)  # one query in a hundred is the object
_SMALL = -2.0


def random_sgmg(config: SgMgConfig, seed: int = 0) -> SgMg:
    """A network that was never trained, the same for the same seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = SgMg(config)
        initialise(network)
    return network


@torch.no_grad()
def initialise(network: SgMg) -> None:
    """Draw all weights whose published beginning differs from torch's own."""
    transformer = network.transformer
    for part in (transformer.encoder, transformer.decoder.layers, transformer.reference_points):
        _xavier(part)
    for module in network.modules():
        if isinstance(module, DeformableAttention):
            module.begin()
    nn.init.normal_(transformer.level_embed)
    for drawn in (network.input_proj, network.controller):
        _xavier(drawn)
        _zero_biases(drawn)
    for at, head in enumerate(network.bbox_embed):
        assert isinstance(head, BoxHead)
        _begin_boxes(head, first=at == 0)
    begin_scores(network)
    for name, parameter in network.swin.named_parameters():
        if name.endswith("relative_position_bias_table"):
            nn.init.trunc_normal_(parameter, std=0.02)


@torch.no_grad()
def begin_scores(network: SgMg) -> None:
    """New class heads: published fine-tuning draws them again."""
    for head in network.class_embed:
        assert isinstance(head, nn.Linear)
        head.reset_parameters()
        nn.init.constant_(head.bias, _RARE)


def _begin_boxes(head: BoxHead, first: bool) -> None:
    """Boxes stay where the references are; those of the first layer begin small."""
    last = head.layers[2]
    assert isinstance(last, nn.Linear)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    if first:
        last.bias[2:] = _SMALL


def _xavier(part: nn.Module) -> None:
    for parameter in part.parameters():
        if parameter.dim() > 1:
            nn.init.xavier_uniform_(parameter)


def _zero_biases(part: nn.Module) -> None:
    for module in part.modules():
        bias = getattr(module, "bias", None)
        if isinstance(bias, Tensor):
            nn.init.zeros_(bias)
