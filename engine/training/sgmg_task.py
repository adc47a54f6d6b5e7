"""SgMg in training: the sentence's object in every frame of a clip (docs/sgmg.md).

Rates differ by part as published: half for the backbone, a tenth for the text encoder, which fine-tuning leaves alone.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine.errors import CheckpointError, UsageError
from engine.models.sgmg.beginnings import begin_backbone, begin_text
from engine.models.sgmg.config import CONFIGS
from engine.models.sgmg.initial import initialise
from engine.models.sgmg.loading import load_sgmg
from engine.models.sgmg.losses import Targets, weight_of
from engine.models.sgmg.network import SgMg
from engine.models.sgmg.supervision import supervise
from engine.models.sgmg.tokenizer import Tokenizer, find_tokenizer
from engine.training.settings import TrainSettings
from engine.training.task import Outcome
from engine.weights.load import load_state_dict


class SgMgTask:
    """Batches are those of SentenceClips."""

    draws_per_clip = False
    rate_shares: Mapping[str, float] = {"backbone.": 0.5, "text_encoder.": 0.1}

    def __init__(self, model: SgMg, settings: TrainSettings) -> None:
        self.model = model
        self.settings = settings

    def step(self, batch: tuple[Tensor, ...], generator: torch.Generator, step: int) -> Outcome:
        """Losses of all decoder layers; `iou` is that of the last layer's masks where the object is."""
        images, sizes, ids, boxes, masks, valid = batch
        targets = Targets(boxes, masks, valid)
        found = supervise(self.model, images, padding_of(sizes, masks), sizes, ids, targets)
        loss = torch.stack([weight_of(name) * value for name, value in found.losses.items()]).sum()
        layers = len(found.outputs)
        parts = {
            name.removeprefix("loss_"): sum(float(found.losses[key].detach()) for key in keys) / layers
            for name, keys in _by_kind(found.losses).items()
        }
        return Outcome(loss, _iou(found.masks.detach(), targets), parts)

    def description(self) -> dict[str, Any]:
        """Kind and sizes."""
        return {"model": "sgmg", "config": self.model.config.as_dict()}


def sgmg_task(
    settings: TrainSettings,
    init: Path | None,
    device: torch.device,
    encoder: str | None = None,
    text_encoder: Path | None = None,
) -> SgMgTask:
    """The network that a run begins with; draws from torch's global generator.

    init: weights of an SgMg. encoder: a file of Video-Swin trained on Kinetics. text_encoder: folder with the
    tokenizer and, where there is no `init`, perhaps RoBERTa's weights; a text encoder that begins at random is trained
    whatever the settings say. Raises CheckpointError for files that do not
    fit.
    """
    tokenizer = Tokenizer(find_tokenizer(text_encoder))
    if init is not None:
        network, reads = _begun(init, settings.model), True
        tokenizer.check(network.config.text.vocabulary, init)
    else:
        config = CONFIGS[settings.model]
        network = SgMg(replace(config, text=replace(config.text, vocabulary=tokenizer.vocabulary)))
        initialise(network)
        reads = begin_text(network, tokenizer.folder)
    if encoder is not None:
        begin_backbone(network, load_state_dict(encoder)[0], encoder)
    if settings.freeze_encoder and reads:
        network.text_encoder.requires_grad_(False)
    return SgMgTask(network.to(device), settings)


def _begun(init: Path, model: str) -> SgMg:
    network = load_sgmg(init).network
    if network.config.name != model:
        raise CheckpointError(f"{init}: holds {network.config.name}, not {model}", "choose the model with --model")
    return network


def check_settings(settings: TrainSettings) -> None:
    """Raises UsageError for what SgMg cannot be trained with."""
    if settings.stage:
        raise UsageError(f"--stage {settings.stage} is for mmpm-... models, not for {settings.model}", "leave it out")
    if settings.clips.size < 144:
        raise UsageError(f"--size {settings.clips.size}", f"{settings.model} needs pictures of at least 144 pixels")


def padding_of(sizes: Tensor, masks: Tensor) -> Tensor:
    """bool (B, T, H, W), True outside the pictures."""
    height, width = masks.shape[-2:]
    down = torch.arange(height, device=sizes.device)[None, :, None] >= sizes[:, 0, None, None]
    right = torch.arange(width, device=sizes.device)[None, None] >= sizes[:, 1, None, None]
    return (down | right).unsqueeze(1).expand(-1, masks.shape[1], -1, -1)


def _by_kind(losses: dict[str, Tensor]) -> dict[str, list[str]]:
    """Names of losses by what they are of, whatever the layer."""
    kinds: dict[str, list[str]] = {}
    for name in losses:
        kinds.setdefault(name.rstrip("0123456789").removesuffix("_"), []).append(name)
    return kinds


def _iou(logits: Tensor, targets: Targets) -> float:
    """Mean IoU over the frames that have the object; 1 where none has."""
    found, wanted = logits > 0, targets.masks > 0.5
    union = (found | wanted).sum((2, 3)).clamp(min=1)
    each = (found & wanted).sum((2, 3)) / union
    there = targets.valid > 0
    return float(each[there].mean()) if bool(there.any()) else 1.0
