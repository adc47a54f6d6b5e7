"""What MAVOS and BMVOS start from: weights of their own, an encoder that learned ImageNet, or nothing.

Their batch norms never learn. With a trained encoder they keep its statistics; an encoder that starts from nothing
gets those of drawn pictures, as without any its signals would die out.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from engine.errors import CheckpointError
from engine.models.bmvos.loading import load_bmvos
from engine.models.bmvos.network import BMVOS
from engine.models.mavos.config import CONFIGS
from engine.models.mavos.frozen_norm import FrozenNorm
from engine.models.mavos.loading import variant
from engine.models.mavos.network import MAVOS
from engine.runtime.seeds import torch_generator
from engine.training.settings import TrainSettings
from engine.training.synthesis import SynthesisConfig, Synthesizer
from engine.weights.find import find_weights
from engine.weights.load import load_state_dict
from engine.weights.recognise import recognise, strict_load

_MEMORY = "long_term_memory_attention."
_OWN = re.compile(r"(mean|std|norm[0-2]\.(weight|bias)|.*relative_position_index|.*num_batches_tracked)$")
"""Tensors of an encoder that files of ImageNet weights need not hold."""
_OLD_DENSENET = re.compile(r"(.*denselayer\d+\.(?:norm|relu|conv))\.((?:[12])\..*)$")
_PREFIXES = ("", "encoder.", "backbone.", "features.")


def initial_mavos(settings: TrainSettings, init: Path | None, encoder: str | None) -> MAVOS:
    """The network that a run begins with; draws from torch's global generator.

    init: weights of MAVOS, or of DeAOT, whose missing memory starts at random. encoder: name or file of ImageNet
    weights. What is trained already keeps its stem and first stage. Raises CheckpointError for files that do not fit.
    """
    network = MAVOS(CONFIGS[settings.model])
    if init is not None:
        _load_mavos(network, init, settings.model)
    if encoder is not None:
        begin_encoder(network.encoder, find_weights(encoder))
    if init is None and encoder is None:
        _measured(network.encoder, settings)
    else:
        for part in network.encoder.fixed():
            part.requires_grad_(False)
    if settings.freeze_encoder:
        network.encoder.requires_grad_(False)
    return network


def initial_bmvos(settings: TrainSettings, init: Path | None, encoder: str | None) -> BMVOS:
    """As `initial_mavos`; the encoder is frozen as a whole, or not at all."""
    network = BMVOS() if init is None else load_bmvos(init)
    if encoder is not None:
        begin_encoder(network.vos.encoder, find_weights(encoder))
    elif init is None:
        _measured(network.vos.encoder, settings)
    if settings.freeze_encoder:
        network.vos.encoder.requires_grad_(False)
    return network


def begin_encoder(encoder: nn.Module, path: Path) -> None:
    """Load an encoder from ImageNet weights as torchvision or Swin's authors write them; classifiers are left out."""
    state = {_OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in load_state_dict(path)[0].items()}
    wanted = encoder.state_dict()
    named = max((_without(state, prefix) for prefix in _PREFIXES), key=lambda names: len(names.keys() & wanted.keys()))
    found = {name: tensor for name, tensor in named.items() if name in wanted}
    missing = [name for name in wanted if name not in found and not _OWN.fullmatch(name)]
    misfits = [name for name in found if found[name].shape != wanted[name].shape]
    if missing or misfits:
        first = (missing + misfits)[0]
        raise CheckpointError(
            f"{path}: is no {type(encoder).__name__} ({len(missing)} tensors missing, {len(misfits)} of another shape, "
            f"such as {first}); it looks like {recognise(state)}",
            "give --encoder ImageNet weights of that network, as torchvision saves them",
        )
    encoder.load_state_dict(found, strict=False)


def _without(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in state.items() if name.startswith(prefix)}


def _load_mavos(network: MAVOS, path: Path, model: str) -> None:
    state, _ = load_state_dict(path)
    if variant(state) != model:
        raise CheckpointError(f"{path}: holds no {model}, it looks like {recognise(state)}", "choose another --init")
    if not any(name.startswith(_MEMORY) for name in state):
        fresh = {name: tensor for name, tensor in network.state_dict().items() if name.startswith(_MEMORY)}
        state = {**state, **fresh}
    strict_load(network, state, path, model)


def _measured(encoder: nn.Module, settings: TrainSettings) -> None:
    """Give every batch norm the statistics of what reaches it when the encoder sees drawn pictures."""
    drawn = SynthesisConfig(size=64, frames=2)
    images, _ = Synthesizer(drawn, None, torch_generator(settings.seed, "statistics")).batch(4)
    norms = [part for part in encoder.modules() if isinstance(part, FrozenNorm | nn.BatchNorm2d)]
    hooks = [norm.register_forward_pre_hook(_measure) for norm in norms]
    with torch.no_grad():
        encoder((images.flatten(0, 1) - 0.45) / 0.225)
    for hook in hooks:
        hook.remove()


def _measure(norm: nn.Module, inputs: tuple[Tensor]) -> None:
    (x,) = inputs
    norm.running_mean.copy_(x.mean((0, 2, 3)))  # type: ignore[operator]
    norm.running_var.copy_(x.var((0, 2, 3)))  # type: ignore[operator]
