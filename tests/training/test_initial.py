"""What a run starts from: SAM's encoders in both forms, planes drawn as one orthogonal matrix, frozen parts."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from mmpm_golden import CONFIGURATIONS
from small_videos import HEIGHT, WIDTH, scene, write_frames, write_mask, write_video
from torch import Tensor
from training_toys import TINY, OneBatch, settings

from engine.errors import CheckpointError, UsageError
from engine.masks import rle
from engine.models.mmpm.config import CONFIGS
from engine.models.mmpm.loading import PATCH, load_mmpm
from engine.models.mmpm.network import MMPM
from engine.models.sam.config import SAMConfig
from engine.models.sam.network import build_sam
from engine.store import StoreWriter
from engine.training.initial import initial_mmpm
from engine.training.loop import Trainer
from engine.training.mmpm_task import MMPMTask
from engine.training.run import Surroundings, open_data, train
from engine.training.stages import settings_for
from engine.types import Track
from engine.weights.convert import save_weights

SMALL_SAM = SAMConfig(
    "sam-small",
    image_side=64,
    embed_dim=96,
    depth=2,
    num_heads=3,
    global_attn_indexes=(1,),
    window_size=3,
    prompt_dim=16,
    mask_in_chans=4,
    mlp_dim=32,
)
CONV_SAM = SAMConfig(
    "sam-toy", "conv", image_side=64, stride=8, prompt_dim=32, mlp_dim=32, mask_in_chans=4, widths=(8, 8, 12, 16, 20)
)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """mmpm-vit-b as small as SMALL_SAM, mmpm-tiny smaller than it is."""
    vit = dataclasses.replace(
        CONFIGURATIONS["small"].image_encoder,
        embed_dim=96,
        depth=2,
        num_heads=3,
        global_attn_indexes=(1,),
        window_size=3,
    )
    base = CONFIGS["mmpm-vit-b"]
    sizes = {"image_side": 64, "feature_dim": 16, "key_dim": 8, "value_dim": 16, "hidden_dim": 8}
    monkeypatch.setitem(CONFIGS, "mmpm-vit-b", dataclasses.replace(base, image_encoder=vit, value_encoder=vit, **sizes))
    monkeypatch.setitem(CONFIGS, "mmpm-tiny", TINY)


def sam_file(path: Path, config: SAMConfig) -> tuple[str, dict[str, Tensor]]:
    """A SAM with random weights; its tensors too."""
    torch.manual_seed(1)
    state = build_sam(config).state_dict()
    save_weights(path, state, {"model": "sam", "config": config.as_dict()})
    return str(path), state


def is_orthogonal(planes: Tensor) -> bool:
    """Whether (D, C, p, p), as a matrix D x (C p p), has orthonormal rows or columns, whichever are fewer."""
    matrix = planes.flatten(1).double()
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    return torch.allclose(product, torch.eye(len(product), dtype=torch.float64), atol=1e-5)


@pytest.mark.parametrize(("stage", "planes"), [("static", 1), ("video", 2)])
def test_sam_begins_both_encoders(tmp_path: Path, stage: str, planes: int) -> None:
    path, state = sam_file(tmp_path / "sam.safetensors", SMALL_SAM)
    wanted = settings(model="mmpm-vit-b", stage=stage, freeze_encoder=True)
    network = initial_mmpm(wanted, encoder=path)
    ours = network.state_dict()
    for name, tensor in state.items():
        if name.startswith("image_encoder."):
            assert torch.equal(ours[name], tensor), name
            inner = name.removeprefix("image_encoder.")
            if inner != "patch_embed.proj.weight":
                assert torch.equal(ours[f"value_encoder.network.{inner}"], tensor), name
    patch = ours[PATCH]
    assert patch.shape[1] == 3 + planes
    assert torch.equal(patch[:, :3], state["image_encoder.patch_embed.proj.weight"])
    assert is_orthogonal(patch[:, 3:])
    key = ours["key_proj.key_proj.weight"]
    assert is_orthogonal(key)
    assert not ours["key_proj.key_proj.bias"].any()
    trained = {name for name, p in network.named_parameters() if p.requires_grad}
    assert trained
    assert not any(name.startswith("image_encoder.") for name in trained)


def test_four_planes_become_five_at_random_for_training_and_with_zeros_for_use(tmp_path: Path) -> None:
    single = dataclasses.replace(CONFIGS["mmpm-vit-b"], single_object=True)
    torch.manual_seed(2)
    state = MMPM(single).state_dict()
    path = tmp_path / "stage1.safetensors"
    save_weights(path, state, {"model": "mmpm", "config": single.as_dict()})
    network = initial_mmpm(settings(model="mmpm-vit-b", stage="video"), path)
    patch = network.state_dict()[PATCH]
    assert patch.shape[1] == 5
    assert torch.equal(patch[:, :4], state[PATCH])
    assert is_orthogonal(patch[:, 4:])
    assert load_mmpm(path).state_dict()[PATCH].shape[1] == 4
    torch.save(state, tmp_path / "plain.pth")
    used = load_mmpm(tmp_path / "plain.pth", "mmpm-vit-b").state_dict()[PATCH]
    assert used.shape[1] == 5
    assert not used[:, 4:].any()


def test_a_convolutional_sam_gives_the_network_its_sizes(tmp_path: Path) -> None:
    path, state = sam_file(tmp_path / "sam.safetensors", CONV_SAM)
    network = initial_mmpm(settings(freeze_encoder=True), encoder=path)
    assert network.config.conv.widths == CONV_SAM.widths
    assert network.config.feature_dim == CONV_SAM.prompt_dim
    for name, tensor in network.image_encoder.state_dict().items():
        assert torch.equal(tensor, state[f"image_encoder.{name}"]), name
    save_weights(tmp_path / "w.safetensors", network.state_dict(), MMPMTask(network, settings()).description())
    assert load_mmpm(tmp_path / "w.safetensors").config == network.config


@pytest.mark.parametrize("form", ["conv", "vit"])
def test_a_frozen_encoder_stays_as_it_is_to_the_last_bit(tmp_path: Path, form: str) -> None:
    path, _ = sam_file(tmp_path / "sam.safetensors", CONV_SAM if form == "conv" else SMALL_SAM)
    model = "mmpm-tiny" if form == "conv" else "mmpm-vit-b"
    wanted = settings(model=model, steps=2, batch=1, learning_rate=1e-2, freeze_encoder=True)
    network = initial_mmpm(wanted, encoder=path)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    graphs: list[bool] = []
    network.key_proj.register_forward_pre_hook(lambda module, inputs: graphs.append(inputs[0].requires_grad))
    run = Trainer(MMPMTask(network, wanted), OneBatch(wanted.clips, 1), wanted, tmp_path / "run.pt")
    run.run()
    after = network.state_dict()
    changed = {name.split(".")[0] for name in before if not torch.equal(before[name], after[name])}
    assert "image_encoder" not in changed, "statistics included"
    assert {"value_encoder", "mask_decoder", "key_proj"} <= changed
    assert graphs == [False, False], "encoded without a graph"
    held = {id(p) for group in run.optimisation.optimizer.param_groups for p in group["params"]}
    assert not held & {id(p) for p in network.image_encoder.parameters()}


def test_encoders_that_do_not_fit_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUGVOS_WEIGHTS", str(tmp_path / "none"))
    vit, _ = sam_file(tmp_path / "vit.safetensors", SMALL_SAM)
    conv, _ = sam_file(tmp_path / "conv.safetensors", CONV_SAM)
    other, _ = sam_file(tmp_path / "other.safetensors", dataclasses.replace(SMALL_SAM, embed_dim=48))
    with pytest.raises(UsageError, match=r"vit\.safetensors: SAM encodes with a ViT.*mmpm-tiny with convolutions"):
        initial_mmpm(settings(), encoder=vit)
    with pytest.raises(UsageError, match="SAM encodes with convolutions"):
        initial_mmpm(settings(model="mmpm-vit-b"), encoder=conv)
    with pytest.raises(CheckpointError, match=r"sam-vit-b is not on this machine.*models fetch sam-vit-b"):
        initial_mmpm(settings(model="mmpm-vit-b"), encoder=other)
    network = initial_mmpm(settings(model="mmpm-vit-b"), encoder=other, value_encoder=vit)
    assert network.config.image_encoder.embed_dim == 48
    with pytest.raises(CheckpointError, match="has not the shape of the value encoder"):
        initial_mmpm(settings(model="mmpm-vit-b"), encoder=vit, value_encoder=other)
    with pytest.raises(UsageError, match="--objects 2"):
        initial_mmpm(settings(objects=2))


def test_both_stages_one_after_the_other(tmp_path: Path) -> None:
    """SAM and pictures with masks make the first stage's weights, these and masks of videos the second's."""
    sam, _ = sam_file(tmp_path / "sam.safetensors", SMALL_SAM)
    pictures = tmp_path / "DUTS-TR"
    images, masks = scene(6)
    write_frames(pictures, images[:2], ["a", "b"])
    for name, mask in zip("ab", masks, strict=False):
        (pictures / f"{name}.png").rename(pictures / f"{name}.jpg")
        write_mask(pictures / f"{name}.png", mask)
    video = write_video(tmp_path / "clip.mp4", images)
    with StoreWriter(tmp_path / "t.h5") as writer:
        corner = np.zeros_like(masks[0])
        corner[36:, 40:] = True
        records = [rle.record(at, track, mask) for at in range(6) for track, mask in ((1, masks[at]), (2, corner))]
        tracks = [Track(1, "square"), Track(2, "corner")]
        writer.add_clip("clip", WIDTH, HEIGHT, 6, tracks, records, source=str(video))
    small = {"model": "mmpm-vit-b", "steps": 2, "batch": 1, "size": 48, "freeze_encoder": True}
    first, second = settings_for("static", small), settings_for("video", {**small, "objects": 2})
    around = Surroundings(encoder=sam)
    cpu = torch.device("cpu")
    train(first, open_data([str(pictures)], first, cpu), tmp_path / "1.safetensors", around=around)
    video_clips = open_data([str(tmp_path / "t.h5")], second, cpu)
    train(second, video_clips, tmp_path / "2.safetensors", tmp_path / "1.safetensors")
    one, two = (load_mmpm(tmp_path / f"{stage}.safetensors") for stage in (1, 2))
    assert (one.config.single_object, two.config.single_object) == (True, False)
    assert torch.allclose(two.state_dict()[PATCH][:, :4], one.state_dict()[PATCH], atol=1e-3), "two steps of 1e-5"
    for name, tensor in two.image_encoder.state_dict().items():
        assert torch.equal(tensor, one.image_encoder.state_dict()[name]), "frozen in both stages"
