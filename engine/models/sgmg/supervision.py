"""The training pass of SgMg: all queries of all frames and layers, the matched one refined, the losses.

Knows the network and its targets; knows nothing of data or optimizers.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from engine.models.sgmg.heads import unfold_patches
from engine.models.sgmg.losses import LayerOutput, Targets, all_losses, match
from engine.models.sgmg.network import Seen, SgMg, features_of
from engine.models.sgmg.transformer import Decoded


class Supervised(NamedTuple):
    """losses: by name, not weighted. matched: int64 (layers, B). masks: logits (B, T, H, W) of the last layer's matched
    query. outputs: of every layer."""

    losses: dict[str, Tensor]
    matched: Tensor
    masks: Tensor
    outputs: list[LayerOutput]


def supervise(
    network: SgMg, clips: Tensor, padding: Tensor, sizes: Tensor, ids: Tensor, targets: Targets
) -> Supervised:
    """clips (B, T, 3, H, W) and bool padding (B, T, H, W), see `preprocess.padded`; sizes (B, 2), height and width of
    the unpadded pictures; ids (B, L), token ids."""
    b, t = clips.shape[:2]
    frames = torch.arange(b, device=clips.device).repeat_interleave(t)
    seen = network.look(network.swin(clips), padding.flatten(0, 1))
    decoded = network.refer(seen, network.read(ids).rows(frames))
    features, each = features_of(decoded), sizes[frames]
    outputs, refined, matched = [], [], []
    for layer in range(len(decoded.states)):
        patches = network.patches(decoded, features, each, layer).float()
        outputs.append(_layer(network, decoded, patches, layer, (b, t)))
        matched.append(match(outputs[-1], targets))
        refined.append(_refined(network, patches, seen, matched[-1][frames], (b, t)))
    return Supervised(all_losses(outputs, refined, matched, targets), torch.stack(matched), refined[-1], outputs)


def _layer(network: SgMg, decoded: Decoded, patches: Tensor, layer: int, shape: tuple[int, int]) -> LayerOutput:
    return LayerOutput(
        network.scores(decoded, layer).float().unflatten(0, shape),
        decoded.boxes[layer].float().unflatten(0, shape),
        unfold_patches(patches).unflatten(0, shape),
    )


def _refined(network: SgMg, patches: Tensor, seen: Seen, query: Tensor, shape: tuple[int, int]) -> Tensor:
    chosen = patches[torch.arange(len(query), device=query.device), query]
    return network.refined(chosen, seen).float().unflatten(0, shape)
