"""Packed networks against the ones they are made from."""

import dataclasses

import pytest
import torch
from segment_anything.modeling.image_encoder import Block
from torch import nn

from engine.models.mmpm.config import CONFIGS
from engine.models.mmpm.network import MMPM
from engine.models.mmpm.packing import packed_mmpm
from engine.nn.aggregate import alone, soft_aggregate
from engine.nn.blocks import FusionBlock
from engine.nn.conv_encoder import ConvEncoder
from engine.nn.fused_vit import FusedBlock
from engine.nn.packed import PackedConv, packed
from engine.nn.packed_fusion import PackedFusion
from engine.nn.packed_vit import PackedBlock


def with_statistics(network: nn.Module) -> nn.Module:
    """Batch norms that do something, biases and positions that are not zero."""
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
        elif tensor.is_floating_point() and (tensor.dim() < 2 or "rel_pos" in name):
            tensor.normal_(0.2, 0.3)
    return network.eval()


@torch.inference_mode()
def test_normalisation_is_folded() -> None:
    torch.manual_seed(0)
    encoder = with_statistics(ConvEncoder((8, 16, 16, 24, 24), 16))
    fast = packed(encoder, torch.float32, {})
    assert isinstance(fast.stem, PackedConv) and not any(isinstance(m, nn.BatchNorm2d) for m in fast.modules())
    image = torch.randn(1, 3, 64, 96)
    wanted, found = encoder.features(image), fast.features(image)
    torch.testing.assert_close(found.coarse, wanted.coarse, atol=1e-4, rtol=1e-4)
    for ours, theirs in zip(found.fine, wanted.fine, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize("outputs", [24, 16])
def test_fusion_works_the_image_out_once(outputs: int) -> None:
    torch.manual_seed(1)
    block = FusionBlock(8, 16, outputs)
    image, objects = torch.randn(1, 8, 9, 7), torch.randn(1, 3, 16, 9, 7)
    torch.testing.assert_close(PackedFusion(block, torch.float32)(image, objects), block(image, objects))


@torch.inference_mode()
@pytest.mark.parametrize(("window", "side"), [(0, 5), (0, 24), (4, 10), (5, 10)])
def test_vit_blocks(window: int, side: int) -> None:
    torch.manual_seed(2)
    block = with_statistics(Block(24, 3, use_rel_pos=True, window_size=window, input_size=(side, side)))
    x = torch.randn(2, side, side, 24)
    torch.testing.assert_close(PackedBlock(block, torch.float32)(x), block(x), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(FusedBlock(block)(x), block(x), atol=1e-5, rtol=1e-4)
    wide = torch.randn(1, side, side, 24)[:, : side - 1]  # pictures need not be square
    if window:
        torch.testing.assert_close(FusedBlock(block)(wide), block(wide), atol=1e-5, rtol=1e-4)


@torch.inference_mode()
def test_half_the_bits_give_nearly_the_same() -> None:
    torch.manual_seed(3)
    network = with_statistics(MMPM(dataclasses.replace(CONFIGS["mmpm-tiny"], image_side=96)))
    assert isinstance(network, MMPM)
    image = torch.randn(1, 3, 64, 96)
    exact, half = network.encode_image(image).coarse, packed_mmpm(network, torch.bfloat16).encode_image(image).coarse
    assert half.dtype == torch.bfloat16
    assert float((half - exact).abs().mean() / exact.abs().mean()) < 0.03


def test_the_original_stays_as_it_is() -> None:
    network = MMPM(CONFIGS["mmpm-tiny"])
    before = list(network.state_dict())
    packed_mmpm(network, torch.float32)
    assert list(network.state_dict()) == before and network.training


def test_an_object_alone_needs_no_softmax() -> None:
    logits = torch.linspace(-30, 30, 601).view(1, 1, 601, 1)
    torch.testing.assert_close(alone(logits), soft_aggregate(logits.sigmoid()).softmax(1)[:, 1:], atol=1e-6, rtol=1e-4)
