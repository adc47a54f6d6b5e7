"""MMPM through whole clips against the published loop, its random decisions played back."""

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from golden_files import largest
from mmpm_golden import case, golden_network, golden_tracker, images, masks_of
from torch import Tensor

from engine.models.mmpm.preprocess import resize_labels
from engine.nn.aggregate import soft_aggregate
from engine.propagation.mmpm import MMPMTracker
from engine.runtime.allocator import tune_allocator

PROBABILITY = 1e-4
FEATURES = 1e-4
STRAY_PIXELS = 1e-4  # share of pixels whose label may differ: probabilities within rounding of 0.5


@dataclasses.dataclass
class Recorded:
    """What a tracker did: per step the object logits, the soft masks, the read-outs, how many frames were read."""

    logits: list[Tensor]
    soft: list[Tensor]
    reads: list[Tensor]
    sizes: list[int]
    hidden: Tensor
    output: list[np.ndarray]


def run(tracker: MMPMTracker, frames: list[np.ndarray], masks: np.ndarray, monkeypatch: pytest.MonkeyPatch) -> Recorded:
    """All frames through the tracker, its parts overheard."""
    heard = Recorded([], [], [], [], torch.empty(0), [])
    network, memory, parts = tracker.frames.network, tracker.memory, tracker.frames
    decode, read, segment = network.decode, memory.read, parts.masks

    def hear_decode(*args: Any) -> Any:
        result = decode(*args)
        heard.logits.append(result[0])
        return result

    def hear_read(*args: Any) -> Tensor:
        heard.sizes.append(len(memory))
        heard.reads.append(read(*args))
        return heard.reads[-1]

    def hear_masks(*args: Any) -> Any:
        result = segment(*args)
        heard.soft.append(result[0])
        return result

    monkeypatch.setattr(network, "decode", hear_decode)
    monkeypatch.setattr(memory, "read", hear_read)
    monkeypatch.setattr(parts, "masks", hear_masks)
    tracker.start(frames[0], masks)
    for frame in frames[1:]:
        heard.hidden = tracker._hidden  # before the next step lets the value encoder touch it
        heard.output.append(tracker.step(frame, last=frame is frames[-1]))
    return heard


def check_internals(heard: Recorded, data: dict[str, np.ndarray], inner: tuple[int, int], part: slice) -> None:
    """Aggregated logits, read-out and hidden state at the end."""
    logits = soft_aggregate(heard.logits[-1].sigmoid())[0, :, : inner[0], : inner[1]]
    theirs = data["out_logits_last"] if "out_logits_last" in data else data["out_logits"][-1]
    ours = logits[:, part, part].numpy()
    assert largest(ours[np.abs(theirs) < 12], theirs[np.abs(theirs) < 12]) < 1e-3
    side = data["out_readout_last"].shape[-1]
    coarse = slice(2, None, 8) if side == 8 else slice(None)
    read = heard.reads[-1][:, ::16].unflatten(2, heard.hidden.shape[-2:])
    assert largest(read[:, :, coarse, coarse], data["out_readout_last"]) < FEATURES
    assert largest(heard.hidden[:, ::4, coarse, coarse], data["out_hidden_last"]) < FEATURES


def check_labels(output: list[np.ndarray], first: np.ndarray, theirs: np.ndarray) -> None:
    """Label images: object i + 1 where its probability exceeds one half."""
    counts = np.arange(1, output[0].shape[0] + 1)[:, None, None]
    ours = np.stack([first, *(((soft > 0.5) * counts).sum(0) for soft in output)])
    assert np.mean(ours != theirs) <= STRAY_PIXELS


@pytest.mark.parametrize(
    ("name", "stride", "network"),
    [
        ("joint", 2, "small"),
        ("evict", 3, "small"),
        ("fifo", 6, "small"),
        ("not_filter", 6, "small"),
        ("single_channel", 3, "small_single"),
    ],
)
def test_loop(name: str, stride: int, network: str, monkeypatch: pytest.MonkeyPatch) -> None:
    data = case(f"loop_{name}")
    tracker = golden_tracker(golden_network(network), data)
    frames = images(data["in_frames"])
    heard = run(tracker, frames, masks_of(data["in_first_labels"]), monkeypatch)
    part = slice(1, None, stride)
    assert largest(np.stack(heard.output)[..., part, part], data["out_masks"]) < PROBABILITY
    assert heard.sizes == data["in_memory_frames_read"].tolist()
    check_internals(heard, data, frames[0].shape[:2], part)
    check_labels(heard.output, data["in_first_labels"], data["out_labels"])


@pytest.mark.parametrize("chunk", [1, 8])
def test_tracks_of_one_clip_equal_separate_runs(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    data = case("loop_tracks")
    masks = masks_of(data["in_first_labels"])
    tracker = golden_tracker(golden_network(), data, exclusive=False, chunk=chunk)
    heard = run(tracker, images(data["in_frames"]), masks, monkeypatch)
    inner = np.stack([soft[:, :144, 1::3][:, 1::3] for soft in heard.soft], 1)
    assert largest(inner, data["out_masks"]) < PROBABILITY
    pictures = np.stack([soft > 0.5 for soft in heard.output], 1) * np.uint8(255)
    assert np.array_equal(pictures, data["out_png"][:, 1:])
    first = [resize_labels(resize_labels(mask, (144, 256)), mask.shape) for mask in masks]
    assert np.array_equal(np.stack(first) * np.uint8(255), data["out_png"][:, 0])


@pytest.mark.slow
def test_published_size(monkeypatch: pytest.MonkeyPatch) -> None:
    data = case("vit_b_1024")
    tune_allocator()
    tracker = golden_tracker(golden_network("vit_b"), data)
    heard_frames, heard_values = overhear_encoding(tracker, monkeypatch)
    heard = run(tracker, images(data["in_frames"]), masks_of(data["in_first_labels"]), monkeypatch)
    golden_network.cache_clear()
    part, coarse = slice(4, None, 8), slice(2, None, 8)
    ours = torch.stack(heard.soft)[:, :, :576, :1024]
    assert largest(ours[..., part, part], data["out_masks"]) < PROBABILITY
    first = resize_labels(resize_labels(data["in_first_labels"], (576, 1024)), (480, 854))
    check_labels(heard.output, first, data["out_labels"])
    check_internals(heard, data, (576, 1024), part)
    frame, (value, hidden) = heard_frames[0], heard_values[0]
    key, shrinkage, selection = (k[0].unflatten(1, (64, 64))[:, coarse, coarse] for k in frame.key)
    assert largest(key[::4, None], data["out_key"]) < FEATURES
    assert largest(selection[::4, None], data["out_selection"]) < FEATURES
    assert largest(shrinkage[:, None], data["out_shrinkage"]) < FEATURES
    assert largest(frame.features.coarse[:, ::4, coarse, coarse], data["out_f16"]) < FEATURES
    assert largest(value[:, ::16, coarse, coarse], data["out_value"]) < FEATURES
    assert largest(hidden[:, ::4, coarse, coarse], data["out_hidden"]) < FEATURES


def overhear_encoding(tracker: MMPMTracker, monkeypatch: pytest.MonkeyPatch) -> tuple[list[Any], list[Any]]:
    """Lists that fill with encoded frames and values."""
    lists: tuple[list[Any], list[Any]] = ([], [])
    for name, heard in zip(("encode", "values"), lists, strict=True):

        def hear(*args: Any, part: Any = getattr(tracker.frames, name), heard: list[Any] = heard) -> Any:
            heard.append(part(*args))
            return heard[-1]

        monkeypatch.setattr(tracker.frames, name, hear)
    return lists
