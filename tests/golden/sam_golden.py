"""The recorded inputs and outputs of SAM and of the data pipeline, and the small SAM they were recorded with."""

from functools import cache, partial

import golden_files
import numpy as np
import torch
import torch.nn.functional as F
from seeded_weights import fill
from segment_anything.modeling import Sam
from torch import Tensor

from engine.models.sam.config import SAMConfig
from engine.models.sam.network import build_sam

FOLDER = golden_files.HERE / "sam"
case = partial(golden_files.arrays, "sam")
CONFIG = SAMConfig(
    "sam-golden", image_side=256, embed_dim=96, depth=4, num_heads=3, global_attn_indexes=(1, 3), window_size=14
)


@cache
def golden_sam() -> Sam:
    """The network with seeded weights, edited so that its masks listen to prompts."""
    sam = build_sam(CONFIG)
    state = sam.state_dict()
    fill(state)
    calibrate(state)
    return sam.eval()


def calibrate(state: dict[str, Tensor]) -> None:
    """In place: smooth and strong positions, flat upscaling kernels, larger mask logits, predicted IoU near 0.7."""
    with torch.no_grad():
        position = state["image_encoder.pos_embed"]
        side, channels = position.shape[1], position.shape[3]
        coarse = position[:, :: side // 4, :: side // 4].permute(0, 3, 1, 2)
        smooth = F.interpolate(coarse, (side, side), mode="bilinear", align_corners=True).permute(0, 2, 3, 1)
        position.copy_(smooth * (2 * (side * side * channels) ** 0.5))
        state["prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"].mul_(11.3)
        for layer in (0, 3):
            weight = state[f"mask_decoder.output_upscaling.{layer}.weight"]
            weight.copy_(2 * weight.mean(dim=(2, 3), keepdim=True).expand_as(weight))
        for layer in (0, 1):
            state[f"mask_decoder.transformer.layers.{layer}.cross_attn_image_to_token.out_proj.weight"].mul_(0.3)
        for token in range(4):
            state[f"mask_decoder.output_hypernetworks_mlps.{token}.layers.2.weight"].mul_(80)
        state["mask_decoder.iou_prediction_head.layers.2.bias"].add_(torch.tensor([0.7, 0.35, 0.95, 0.85]))


def unpacked(packed: np.ndarray, height: int, width: int) -> np.ndarray:
    """Masks stored as bits -> bool (N, height, width)."""
    bits = np.unpackbits(packed, axis=1)[:, : height * width]
    return bits.reshape(-1, height, width).astype(bool)
