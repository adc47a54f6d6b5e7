"""MAVOS and BMVOS in training: recorded losses, recipes, beginnings, runs that learn."""

from pathlib import Path
from typing import Any

import bmvos_golden
import mavos_golden
import numpy as np
import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from engine.errors import CheckpointError, UsageError
from engine.models.mavos.loading import load_mavos
from engine.models.mavos.network import MAVOS
from engine.models.mavos.preprocess import normalised
from engine.models.mmpm.losses import kept_fraction
from engine.training import label_clips
from engine.training.bmvos_task import BMVOSTask
from engine.training.bmvos_task import clip_loss as bmvos_loss
from engine.training.bmvos_task import clip_scores as bmvos_scores
from engine.training.label_initial import begin_encoder
from engine.training.loop import Trainer
from engine.training.mavos_clip import ClipRules, clip_scores
from engine.training.mavos_task import MAVOSTask, frame_losses, shuffled, total_loss
from engine.training.optimisation import Optimisation, learning_rate
from engine.training.run import check, make_task
from engine.training.settings import TrainSettings
from engine.training.stages import settings_for
from engine.training.synthesis import Synthesizer
from engine.weights.convert import save_weights

CPU = torch.device("cpu")


def short(model: str, **more: Any) -> TrainSettings:
    given = {"model": model, "steps": 4, "batch": 1, "size": 32, "frames": 3, "ema": 0.0, **more}
    return settings_for("", given)


class One:
    """The same clip for ever."""

    def __init__(self, settings: TrainSettings) -> None:
        self.generator = torch.Generator().manual_seed(0)
        self._clip = Synthesizer(settings.clips, None, torch.Generator().manual_seed(0)).batch(settings.batch)

    def batch(self, clips: int) -> tuple[Tensor, ...]:
        return self._clip


@pytest.mark.parametrize("kind", ["gt", "pred"])
@torch.no_grad()
def test_recorded_losses_of_mavos(kind: str) -> None:
    arrays = mavos_golden.case("train_forward")
    images = normalised(bmvos_golden.pixels(arrays["frames_u8"]))
    labels, objects = torch.from_numpy(arrays["masks_u8"]).long(), torch.tensor([2, 3])
    scores = clip_scores(mavos_golden.golden_network(), images, labels, objects, ClipRules(kind == "pred"))
    for step in (0, 25_000):
        losses = frame_losses(scores, labels, objects, kept_fraction(step, 0, 50_000))
        assert np.abs(losses.numpy() - arrays[f"{kind}_step{step}_frame_losses"]).max() < 1e-4
        assert abs(float(total_loss(losses, 1 - step / 100_000)) - arrays[f"{kind}_step{step}_loss"]) < 1e-4
    found = torch.stack([frame.argmax(1) for frame in scores]).numpy()
    assert (found == arrays[f"{kind}_step0_masks"]).mean() > 0.999


@torch.no_grad()
def test_recorded_loss_of_bmvos() -> None:
    arrays = bmvos_golden.case("train_clip")
    masks = torch.from_numpy(arrays["masks_u8"]).float()
    scores = bmvos_scores(bmvos_golden.golden_network(), bmvos_golden.pixels(arrays["frames_u8"]), masks[:, 0])
    assert np.abs(torch.stack(scores, 1)[..., ::2, ::2].numpy() - arrays["scores_hw2"]).max() < 1e-4
    assert abs(float(bmvos_loss(scores, masks)) - arrays["loss"]) < 1e-5


@torch.no_grad()
def test_the_order_of_identities_changes_memories_and_no_labels() -> None:
    arrays = mavos_golden.case("train_forward")
    images = normalised(bmvos_golden.pixels(arrays["frames_u8"][:1, :2]))
    labels, objects = torch.from_numpy(arrays["masks_u8"][:1, :2]).long(), torch.tensor([2])
    order = shuffled(1, torch.Generator().manual_seed(0))
    assert sorted(order[0].tolist()) == list(range(11))
    assert order[0, 0] == 0
    network = mavos_golden.golden_network()
    plain = clip_scores(network, images, labels, objects, ClipRules())
    mixed = clip_scores(network, images, labels, objects, ClipRules(order=order))
    unused = mixed[0][0, 3:]
    assert float(unused.max()) == float(plain[0][0, 3:].max()) == -1e10
    assert (plain[1] - mixed[1])[0, :3].abs().max() > 0.1


def test_labels_and_pasted_objects() -> None:
    masks = torch.zeros(2, 2, 2, 4, 4)
    masks[0, :, 0, :2], masks[0, :, 1, 3:] = 1, 1
    masks[1, :, 1, :, :1] = 1
    labels = label_clips.labels_of(masks)
    assert labels[0, 0, :, 1].tolist() == [1, 1, 0, 2]
    assert labels[1].unique().tolist() == [0, 1]
    assert label_clips.labels_of(masks, 6)[0, 0, :, 1].tolist() == [1, 1, 0, 0]
    images = torch.arange(2.0).view(2, 1, 1, 1, 1).expand(2, 2, 3, 4, 4)
    mixed, both = label_clips.pasted(images, labels, torch.tensor([True, False]), 10)
    assert both[0, 0].tolist() == [[3, 1, 1, 1], [3, 1, 1, 1], [3, 0, 0, 0], [3, 2, 2, 2]]
    assert mixed[0, 0, 0, :, 0].tolist() == [1, 1, 1, 1]
    assert torch.equal(both[1], labels[1])
    assert torch.equal(label_clips.pasted(images, labels, torch.tensor([True, True]), 2)[1], labels)
    found, left = label_clips.attached(images, (labels == 1).float())
    assert left[0, 0, :, 0].tolist() == [0, 0, 0, 0]
    assert found[0, 0, 0, :, 0].tolist() == [1, 1, 1, 1]


@pytest.mark.parametrize("model", ["mavos", "mavos-r50", "mavos-swinb", "bmvos"])
def test_recipes_are_the_published_ones(model: str) -> None:
    settings = settings_for("", {"model": model})
    batch, frames = (8, 10) if model == "bmvos" else (16, 8)
    assert (settings.batch, settings.clips.frames) == (batch, frames)
    last = learning_rate(settings.steps - 1, settings)
    if model == "bmvos":
        assert (settings.learning_rate, last, settings.weight_decay, settings.ema) == (1e-4, 1e-4, 0, 0)
        return
    assert (settings.warmup, settings.hard_to, settings.weight_decay, settings.clip_norm) == (5000, 50_000, 0.07, 5)
    assert learning_rate(0, settings) == settings.final_rate
    assert learning_rate(settings.warmup, settings) == settings.learning_rate == 5e-5
    assert last == pytest.approx(2e-5 if model == "mavos" else 1e-5, rel=0.01)


def test_what_decays_and_what_learns_more_slowly() -> None:
    settings = short("mavos")
    task = MAVOSTask(mavos_golden.golden_network(), settings)
    optimisation = Optimisation(task.model, settings, CPU, task.rate_shares, task.decays)
    rate = optimisation.begin(2)
    of = {id(p): group for group in optimisation.optimizer.param_groups for p in group["params"]}
    found = {name: of[id(parameter)] for name, parameter in task.model.named_parameters()}
    least = settings.final_rate
    assert found["encoder.features.5.conv.0.0.weight"]["lr"] == pytest.approx(least + 0.1 * (rate - least))
    assert found["LSTT.layers.0.linear_U.weight"]["lr"] == pytest.approx(rate)
    decay = {name: group["weight_decay"] for name, group in found.items()}
    assert decay["LSTT.layers.0.linear_U.weight"] == decay["encoder.features.5.conv.0.0.weight"] == 0.07
    for name in ("LSTT.layers.0.norm1.weight", "id_norm.bias", "decoder.conv_out.weight"):
        assert decay[name] == 0


def test_a_run_of_mavos_learns_one_clip(tmp_path: Path) -> None:
    settings = short("mavos", steps=5, frames=2, learning_rate=1e-3, final_rate=1e-4, warmup=0, checkpoint_every=9)
    run, losses = Trainer(make_task(settings, None, CPU), One(settings), settings, tmp_path / "run.pt"), []
    bank = run.model.get_parameter("patch_wise_id_bank.weight")
    banks = []

    def note(progress: Any) -> None:
        losses.append(progress.batch_loss)
        banks.append(bank.detach().clone())

    run.run(note)
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert not torch.equal(banks[0], banks[1])
    assert torch.equal(banks[3], banks[4])


def test_a_run_of_bmvos_learns_one_clip_and_a_resumed_one_is_the_same(tmp_path: Path) -> None:
    settings = short("bmvos", steps=4, learning_rate=1e-3, checkpoint_every=2)

    def trainer() -> Trainer:
        return Trainer(make_task(settings, None, CPU), One(settings), settings, tmp_path / "run.pt")

    whole, losses = trainer(), []
    before = {name: tensor.clone() for name, tensor in whole.model.state_dict().items()}

    def note(progress: Any) -> None:
        losses.append(progress.batch_loss)
        if progress.step == 2:
            (tmp_path / "run.pt").unlink(missing_ok=True)
            whole.save()
            (tmp_path / "run.pt").replace(tmp_path / "half.pt")

    whole.run(note)
    assert np.isfinite(losses).all()
    assert losses[-1] < losses[0]
    assert any(not torch.equal(before[name], tensor) for name, tensor in whole.model.state_dict().items())
    (tmp_path / "half.pt").replace(tmp_path / "run.pt")
    again = trainer()
    assert again.resume()
    again.run()
    assert all(
        torch.equal(a, b) for a, b in zip(whole.average.state.values(), again.average.state.values(), strict=True)
    )


def test_encoders_of_imagenet_begin_a_network_and_others_are_refused(tmp_path: Path) -> None:
    network = bmvos_golden.golden_network()
    plain = network.vos.encoder.state_dict()
    old = {f"features.{name}": tensor for name, tensor in plain.items() if name not in ("mean", "std")}
    old = {name.replace(".norm1.", ".norm.1.").replace(".conv2.", ".conv.2."): t for name, t in old.items()}
    save_weights(tmp_path / "densenet.safetensors", {**old, "classifier.weight": torch.zeros(3, 3)})
    fresh = make_task(short("bmvos", freeze_encoder=True), None, CPU, str(tmp_path / "densenet.safetensors"))
    assert isinstance(fresh, BMVOSTask)
    assert not fresh.model.encoder_learns
    found = fresh.model.vos.encoder.state_dict()
    assert all(torch.equal(found[name], tensor) for name, tensor in plain.items())
    with pytest.raises(CheckpointError, match="is no MobileNetV2"):
        begin_encoder(mavos_golden.golden_network().encoder, tmp_path / "densenet.safetensors")


def test_weights_without_a_memory_begin_a_training_and_no_tracker(tmp_path: Path) -> None:
    state = mavos_golden.golden_network().state_dict()
    path = tmp_path / "pre.safetensors"
    save_weights(path, {name: t for name, t in state.items() if not name.startswith("long_term_memory")})
    with pytest.raises(CheckpointError, match="its memory was never trained"):
        load_mavos(path)
    task = make_task(short("mavos"), path, CPU)
    assert isinstance(task.model, MAVOS)
    assert torch.equal(task.model.id_norm.weight, state["id_norm.weight"])
    stem = [parameter.requires_grad for part in task.model.encoder.fixed() for parameter in part.parameters()]
    assert stem
    assert not any(stem)


def test_what_is_saved_can_be_loaded_again(tmp_path: Path) -> None:
    task = MAVOSTask(mavos_golden.golden_network(), short("mavos"))
    half = {name: tensor.half() for name, tensor in task.model.state_dict().items()}
    save_weights(tmp_path / "ours.safetensors", half, task.description())
    with safe_open(tmp_path / "ours.safetensors", "pt") as file:
        assert "mavos" in file.metadata()["mugvos"]
    assert load_mavos(tmp_path / "ours.safetensors").config == task.model.config


def test_settings_that_do_not_fit_bmvos_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="bmvos learns from one object a clip"):
        check(short("bmvos", objects=3), tmp_path / "w.safetensors", False)
