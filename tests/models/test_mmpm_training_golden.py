"""One training step of MMPM against the published one: losses, gradients and the change of the weights."""

import copy

import numpy as np
import pytest
import torch
from golden_files import largest
from mmpm_golden import case, golden_network
from torch import Tensor

from engine.models.mmpm.losses import bootstrapped_cross_entropy, dice_loss, kept_fraction
from engine.models.mmpm.network import MMPM, probabilities
from engine.models.mmpm.preprocess import normalise, pad_to


def clip_loss(network: MMPM, data: dict[str, np.ndarray]) -> tuple[Tensor, dict[str, float], Tensor]:
    """Three frames: the total loss, its terms, and the masks of the last frame cropped to the unpadded size."""
    images = normalise(pad_to(torch.tensor(data["in_frames"]).float(), (256, 256)))
    labels = torch.tensor(data["in_cls_gt"]).long()[:, :, 0]
    selector = torch.tensor([[1.0, 1], [1, 0]])
    fraction = kept_fraction(int(data["in_it"]), *data["in_start_end_warm"].tolist())
    with torch.no_grad():
        features = [network.encode_image(images[:, t]) for t in range(3)]
    keys = [network.project(f) for f in features]
    masks = pad_to(torch.tensor(data["in_first_frame_gt"])[:, 0].float(), (256, 256))
    hidden = network.empty_hidden(2, 2, (256, 256))
    value, hidden = network.encode_value(images[:, 0], features[0], hidden, masks, deep=True)
    values, total, terms = [value.flatten(3)], torch.zeros(()), {"p": fraction}
    for t in (1, 2):
        key, shrinkage = (torch.cat([part[i] for part in keys[:t]], 2) for i in (0, 1))
        read = network.read(keys[t], key, shrinkage, torch.cat(values, 3)).unflatten(3, (16, 16))
        logits, updated = network.decode(features[t], read, hidden, update=t == 1)
        aggregated, masks = probabilities(logits, selector)
        entropy = bootstrapped_cross_entropy(aggregated[..., :192, :], labels[:, t], [2, 1], fraction)
        truth = torch.stack([labels[:, t] == slot for slot in (1, 2)], 1).float()
        dice = dice_loss(masks[..., :192, :], truth)
        terms |= {f"ce_loss_{t}": entropy.item(), f"dice_loss_{t}": dice.item()}
        total = total + entropy + dice
        if updated is not None:
            value, hidden = network.encode_value(images[:, t], features[t], updated, masks, deep=True)
            values.append(value.flatten(3))
    return total, terms | {"total_loss": total.item()}, masks[..., :192, :]


def sampled(tensor: Tensor) -> np.ndarray:
    """About 500 entries, evenly spread."""
    flat = tensor.detach().flatten()
    return flat[:: max(1, flat.numel() // 500)].numpy()


def test_training_step() -> None:
    data, network = case("train_step"), copy.deepcopy(golden_network())
    network.image_encoder.requires_grad_(False)
    total, terms, masks = clip_loss(network, data)
    total.backward()
    for name, value in zip(data["out_loss_names"], data["out_loss_values"], strict=True):
        assert terms[str(name)] == pytest.approx(value, rel=1e-5)
    assert largest(masks[..., 1::4, 1::4], data["out_masks_2"]) < 1e-4
    trained = {name: p for name, p in network.named_parameters() if p.requires_grad}
    norms = dict(zip(data["out_grad_names"].tolist(), data["out_grad_norms"].tolist(), strict=True))
    assert trained.keys() == norms.keys()
    for name, parameter in trained.items():
        if norms[name] > 1e-4 and name != "key_proj.key_proj.bias":  # that one has no effect: noise
            assert float(parameter.grad.norm()) == pytest.approx(norms[name], rel=5e-3), name
    before = {name: sampled(parameter).copy() for name, parameter in trained.items()}
    torch.optim.AdamW(trained.values(), lr=1e-5, weight_decay=0.05).step()
    for entry in data:
        if entry.startswith("out_grad:"):
            check_gradient(data, entry.removeprefix("out_grad:"), trained, before)


def check_gradient(
    data: dict[str, np.ndarray], name: str, trained: dict[str, torch.nn.Parameter], before: dict[str, np.ndarray]
) -> None:
    """The gradient of one parameter, and its change where the gradient is more than rounding."""
    theirs = data[f"out_grad:{name}"]
    scale = np.abs(theirs).max()
    assert largest(sampled(trained[name].grad), theirs) < 5e-3 * scale, name
    sure = np.abs(theirs) > 0.01 * scale
    change = sampled(trained[name]) - before[name]
    # A step is about the rate, 1e-5; float32 weights near one hold it to 1e-7.
    assert largest(change[sure], data[f"out_step:{name}"][sure]) < 5e-7, name
