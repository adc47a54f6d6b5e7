"""What a run starts from: random weights, an MMPM, SAM's image encoder, SAM's ViT with planes for masks.

As published (docs/train.md): the image encoder is SAM's and frozen; the value encoder is SAM's ViT-B whose patch
convolution sees one or two more planes, drawn as one orthogonal matrix, and so is the fifth plane of a network that
followed one object; key projection and gates draw their own weights (engine.models.mmpm).
"""

from dataclasses import replace
from pathlib import Path

import torch
from segment_anything.modeling import Sam
from torch import Tensor, nn

from engine.errors import CheckpointError, UsageError
from engine.models.mmpm.config import CONFIGS, ConvConfig, MMPMConfig, ViTConfig
from engine.models.mmpm.loading import PATCH, read_mmpm, with_others_plane
from engine.models.mmpm.network import MMPM
from engine.models.sam.config import SAMConfig
from engine.models.sam.loading import load_sam
from engine.training.settings import TrainSettings
from engine.weights.find import find_weights
from engine.weights.recognise import strict_load

_VALUE = "value_encoder.network."


def initial_mmpm(
    settings: TrainSettings,
    init: Path | None = None,
    encoder: str | None = None,
    value_encoder: str | None = None,
) -> MMPM:
    """The network that a run begins with; draws from torch's global generator.

    init: weights of an MMPM. encoder: name or file of a SAM, whose image encoder takes the place of what is there.
    value_encoder: name or file of the SAM that begins the value encoder where there is no `init`; by default that of
    `encoder` if it has the right shape, else sam-vit-b. Raises CheckpointError for files that do not fit, UsageError
    for several objects in a network of one.
    """
    config, state = (CONFIGS[settings.model], None) if init is None else read_mmpm(init, settings.model)
    sam = load_sam(find_weights(encoder)) if encoder is not None else None
    config = _for_stage(config, settings)
    if sam is not None:
        config = _around(config, sam[1], encoder)
    network = MMPM(config)
    if state is not None:
        strict_load(network, _with_drawn_plane(state, config), init, config.name)
    elif config.form == "vit" and (sam is not None or value_encoder is not None):
        _begin_values(network, config, _value_source(config, sam, value_encoder))
    if sam is not None:
        # SAM's convolutional encoder has one layer more, for its own decoder.
        own = network.image_encoder.state_dict()
        network.image_encoder.load_state_dict({k: v for k, v in sam[0].image_encoder.state_dict().items() if k in own})
    if settings.freeze_encoder:
        network.image_encoder.requires_grad_(False)
    return network


def _for_stage(config: MMPMConfig, settings: TrainSettings) -> MMPMConfig:
    """The published form follows one object in the first stage and is made for several in the second."""
    if config.form == "vit" and settings.stage:
        config = replace(config, single_object=settings.stage == "static")
    if settings.objects > 1 and config.single_object:
        raise UsageError(
            f"--objects {settings.objects}, but this {config.name} follows one object", "leave --objects out"
        )
    return config


def _around(config: MMPMConfig, sam: SAMConfig, source: object) -> MMPMConfig:
    """The same network around SAM's image encoder: its sizes decide."""
    if config.form != sam.form or (config.form == "conv" and config.stride != sam.stride):
        kinds = {"vit": "a ViT", "conv": "convolutions"}
        raise UsageError(
            f"{source}: SAM encodes with {kinds[sam.form]} at stride {sam.stride}, {config.name} with "
            f"{kinds[config.form]} at stride {config.stride}",
            "choose mmpm-vit-b, -l or -h for SAM's ViTs and mmpm-tiny for sam-tiny",
        )
    if config.form == "conv":
        return replace(config, feature_dim=sam.prompt_dim, conv=ConvConfig(widths=sam.widths))
    return replace(
        config,
        image_side=sam.image_side,
        stride=sam.stride,
        feature_dim=sam.prompt_dim,
        image_encoder=_vit_of(sam),
    )


def _vit_of(sam: SAMConfig) -> ViTConfig:
    return ViTConfig(sam.embed_dim, sam.depth, sam.num_heads, sam.global_attn_indexes, sam.window_size)


def _fits_values(sam: SAMConfig, config: MMPMConfig) -> bool:
    """Whether a SAM's ViT has the shape of the value encoder's."""
    sizes = (sam.image_side, sam.stride, sam.prompt_dim)
    return _vit_of(sam) == config.value_encoder and sizes == (config.image_side, config.stride, config.feature_dim)


def _value_source(config: MMPMConfig, sam: tuple[Sam, SAMConfig] | None, named: str | None) -> nn.Module:
    """The ViT that begins the value encoder."""
    if named is None and sam is not None and _fits_values(sam[1], config):
        return sam[0].image_encoder
    path = find_weights(named or "sam-vit-b")
    found = load_sam(path)
    if not _fits_values(found[1], config):
        raise CheckpointError(
            f"{path}: {found[1].name} has not the shape of the value encoder", "give SAM's ViT-B with --value-encoder"
        )
    return found[0].image_encoder


def _begin_values(network: MMPM, config: MMPMConfig, vit: nn.Module) -> None:
    """SAM's ViT with planes for masks behind its three for colours."""
    state = dict(vit.state_dict())
    colours = state["patch_embed.proj.weight"]
    state["patch_embed.proj.weight"] = torch.cat([colours, orthogonal_planes(colours, config.mask_channels)], 1)
    network.value_encoder.network.load_state_dict(state)  # type: ignore[union-attr]


def orthogonal_planes(like: Tensor, planes: int) -> Tensor:
    """Input planes for a patch convolution (D, C, p, p): one orthogonal matrix, D x (planes * p * p), gain 1."""
    return nn.init.orthogonal_(like.new_empty(like.shape[0], planes, *like.shape[2:]))


def _with_drawn_plane(state: dict[str, Tensor], config: MMPMConfig) -> dict[str, Tensor]:
    """Four input planes become five where the network is made for several objects."""
    weight = state.get(PATCH)
    plane = orthogonal_planes(weight.float(), 1).to(weight.dtype) if weight is not None else None
    return with_others_plane(state, config, plane)
