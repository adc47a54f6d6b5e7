"""Training on sentences: where clips come from, how they are shown, what the task makes of them."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sgmg_golden import TINY_BPE
from text_toys import GREEN, RED, SIZE, squares

from engine.errors import CheckpointError, FormatError, UsageError
from engine.masks import rle
from engine.models.sgmg.beginnings import begin_backbone, begin_text
from engine.models.sgmg.config import CONFIGS
from engine.models.sgmg.initial import random_sgmg
from engine.models.sgmg.tokenizer import Tokenizer
from engine.store import StoreWriter
from engine.training.referred import choose_frames, has_sentences, open_referred
from engine.training.run import check, open_data
from engine.training.sentence_clips import SentenceClips, boxes_of
from engine.training.sentence_views import plain_view, varied_view
from engine.training.sgmg_task import SgMgTask, sgmg_task
from engine.training.stages import settings_for
from engine.types import Track
from engine.weights.convert import save_weights

COUNT = 6


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    """A data set of one video as Ref-YouTube-VOS has it: frames every five, two objects, three sentences."""
    frames, masks = squares(COUNT)
    root = tmp_path / "refvos"
    for folder in ("JPEGImages", "Annotations"):
        (root / "train" / folder / "video").mkdir(parents=True)
    names = [f"{5 * at:05d}" for at in range(COUNT)]
    for at, name in enumerate(names):
        Image.fromarray(frames[at].image).save(root / f"train/JPEGImages/video/{name}.jpg")
        label = Image.fromarray((masks[RED][at] + 2 * masks[GREEN][at]).astype(np.uint8), "P")
        label.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
        label.save(root / f"train/Annotations/video/{name}.png")
    said = {
        "0": {"exp": RED, "obj_id": "1"},
        "1": {"exp": GREEN, "obj_id": "2"},
        "2": {"exp": "a square", "obj_id": "1"},
    }
    meta = root / "meta_expressions" / "train" / "meta_expressions.json"
    meta.parent.mkdir(parents=True)
    meta.write_text(json.dumps({"videos": {"video": {"expressions": said, "frames": names}}}))
    return root


@pytest.fixture
def store(tmp_path: Path, layout: Path) -> Path:
    """The same video and masks as a store, whose tracks are called what they are."""
    masks = squares(COUNT)[1]
    path = tmp_path / "tracks.h5"
    records = [rle.record(5 * at, k, masks[name][at]) for at in range(COUNT) for k, name in ((1, RED), (2, GREEN))]
    with StoreWriter(path) as writer:
        source = str(layout / "train/JPEGImages/video")
        tracks, numbers = [Track(1, RED), Track(2, GREEN)], range(0, 5 * COUNT, 5)
        writer.add_clip("video", SIZE[1], SIZE[0], COUNT, tracks, records, source=source, frames=numbers)
    return path


def small(**given: object):
    return settings_for("", {"model": "sgmg-tiny", "frames": 2, "steps": 2, **given})


def clips_of(name: Path, seed: int = 0, **given: object) -> SentenceClips:
    clips = open_data([str(name)], small(seed=seed, **given), torch.device("cpu"), text_encoder=TINY_BPE)
    assert isinstance(clips, SentenceClips)
    return clips


def test_sentences_of_the_published_layout(layout: Path) -> None:
    assert has_sentences(layout) and has_sentences(layout / "train") and not has_sentences(layout / "train/JPEGImages")
    for name in (layout, layout / "train"):
        found = open_referred(str(name))
        assert [(one.sentence, one.track) for one in found] == [(RED, 1), (GREEN, 2), ("a square", 1)]
    assert np.array_equal(found[1].objects([0, 25]), [squares(COUNT)[1][GREEN][at] for at in (0, 5)])


def test_sentences_of_a_store(store: Path, tmp_path: Path) -> None:
    found = open_referred(str(store))
    assert [(one.sentence, one.track) for one in found] == [(RED, 1), (GREEN, 2)]
    with StoreWriter(tmp_path / "empty.h5") as writer:
        writer.add_clip("clip", 4, 4, 1, [], [])
    with pytest.raises(FormatError, match="no sentence means an object"):
        open_referred(str(tmp_path / "empty.h5"))


def test_frames_of_a_clip() -> None:
    rng = np.random.default_rng(0)
    numbers = list(range(0, 200, 5))
    reverse = 0
    for _ in range(200):
        picked = choose_frames(numbers, 5, rng)
        assert len(picked) == 5 and set(picked) <= set(numbers)
        reverse += picked == sorted(picked, reverse=True)
        assert picked in (sorted(picked), sorted(picked, reverse=True))
    assert 30 < reverse < 90
    assert choose_frames([7], 3, rng) == [7, 7, 7]


@pytest.mark.parametrize("augment", [True, False])
def test_a_batch_belongs_together(store: Path, augment: bool) -> None:
    images, sizes, ids, boxes, masks, valid = clips_of(store, augment=augment).batch(4)
    assert images.shape[:3] == (4, 2, 3) and images.shape[-2] % 32 == 0 and images.shape[-1] % 32 == 0
    assert masks.shape == (4, 2, *images.shape[-2:]) and valid.shape == (4, 2) and boxes.shape == (4, 2, 4)
    assert (ids[:, 0] == 0).all()
    if augment:
        return
    height, width = sizes[0].tolist()
    assert (height, width) == (144, 240)
    tokenizer = Tokenizer(TINY_BPE)
    red, green = (tokenizer([name])[0].tolist() for name in (RED, GREEN))
    for row in range(4):
        said = [number for number in ids[row].tolist() if number != 1]
        channel = {tuple(red): 0, tuple(green): 1}[tuple(said)]
        other = 1 - channel
        inside = images[row].permute(0, 2, 3, 1)[masks[row] > 0]
        assert inside[:, channel].mean() > inside[:, other].mean() + 1
        assert torch.allclose(boxes[row, :, 2] * width * boxes[row, :, 3] * height, masks[row].sum((1, 2)), rtol=0.01)


def test_batches_follow_from_the_generator(store: Path) -> None:
    first, again, other = clips_of(store, 3), clips_of(store, 3), clips_of(store, 4)
    assert all(torch.equal(a, b) for a, b in zip(first.batch(2), again.batch(2), strict=True))
    assert not all(
        a.shape == b.shape and torch.equal(a, b) for a, b in zip(first.batch(2), other.batch(2), strict=True)
    )


def test_boxes() -> None:
    masks = torch.zeros(2, 10, 20, dtype=torch.bool)
    masks[0, 2:6, 5:15] = True
    assert boxes_of(masks).tolist() == [pytest.approx([0.5, 0.4, 0.5, 0.4]), [0, 0, 0, 0]]


def test_mirrored_clips_say_the_other_side() -> None:
    frames, masks = squares(2)
    images, stack = [frame.image for frame in frames], np.stack(masks[RED])
    seen = set()
    for seed in range(12):
        view = varied_view(images, stack, "the square on the left", 384, np.random.default_rng(seed))
        assert view.images.shape[:3] == view.masks.shape and min(view.masks.shape[1:]) >= 129
        assert max(view.masks.shape[1:]) <= 640
        seen.add(view.sentence)
    assert seen == {"the square on the left", "the square on the right"}
    assert plain_view(images, stack, "left", 144).masks.shape == (2, 144, 240)


def test_a_step_lowers_the_loss(store: Path) -> None:
    settings = small(augment=False, freeze_encoder=True)
    task = sgmg_task(settings, None, torch.device("cpu"), None, TINY_BPE)
    assert isinstance(task, SgMgTask) and task.model.config.text.vocabulary == 412
    assert all(parameter.requires_grad for parameter in task.model.parameters())  # nothing has been learnt yet
    batch = clips_of(store, augment=False).batch(1)
    optimizer = torch.optim.AdamW([p for p in task.model.parameters() if p.requires_grad], 1e-3)
    losses = []
    for step in range(4):
        outcome = task.step(batch, torch.Generator(), step)
        assert 0 <= outcome.iou <= 1 and set(outcome.parts) >= {"ce", "mask", "dice"}
        optimizer.zero_grad()
        outcome.loss.backward()
        optimizer.step()
        losses.append(float(outcome.loss.detach()))
    assert losses[-1] < losses[0]


def test_the_command_writes_weights_that_a_run_goes_on_from(cli, store: Path, tmp_path: Path) -> None:
    output = tmp_path / "own.safetensors"
    given = ("--model", "sgmg-tiny", "--data", store, "--text-encoder", TINY_BPE, "-o", output)
    out = cli("train", *given, "--no-augment", "--frames", 2, "--steps", 2)
    assert out.status == 0 and out.err.rstrip().endswith("own.safetensors: sgmg-tiny, 2 steps"), out.err
    resting = small(augment=False, freeze_encoder=True)
    again = sgmg_task(resting, output, torch.device("cpu"), None, TINY_BPE)
    assert again.description()["config"]["name"] == "sgmg-tiny"
    assert not any(parameter.requires_grad for parameter in again.model.text_encoder.parameters())
    assert all(parameter.requires_grad for parameter in again.model.text_proj.parameters())
    with pytest.raises(CheckpointError, match="holds sgmg-tiny, not sgmg-t"):
        sgmg_task(settings_for("", {"model": "sgmg-t"}), output, torch.device("cpu"), None, TINY_BPE)


def test_numbers_of_the_published_training() -> None:
    settings = settings_for("", {"model": "sgmg-b", "steps": 600})
    assert (settings.learning_rate, settings.weight_decay, settings.clip_norm) == (1e-4, 5e-4, 0.1)
    assert settings.milestones == (300, 500) and settings.clips.frames == 5 and settings.clips.size == 384


def test_what_cannot_be_trained(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="at least 144"):
        check(small(size=128), tmp_path / "x.safetensors", False)
    with pytest.raises(UsageError, match="--stage static is for"):
        check(settings_for("static", {"model": "sgmg-tiny"}), tmp_path / "x.safetensors", False)
    with pytest.raises(FormatError, match="nowhere: no such data"):
        open_data(["nowhere"], small(), torch.device("cpu"), text_encoder=TINY_BPE)


def test_a_backbone_trained_on_actions(tmp_path: Path) -> None:
    network, donor = random_sgmg(CONFIGS["sgmg-tiny"]), random_sgmg(CONFIGS["sgmg-tiny"], seed=1)
    state = {}
    for name, tensor in donor.swin.state_dict().items():
        if name.startswith("downsamples."):
            _, stage, rest = name.split(".", 2)
            name = f"layers.{stage}.downsample.{rest}"
        state[f"backbone.{name}"] = tensor
    patch = state["backbone.patch_embed.proj.weight"]
    state["backbone.patch_embed.proj.weight"] = torch.cat([patch * 0.25, patch * 0.75], 2)
    state |= {"backbone.norm.weight": torch.ones(192), "cls_head.fc_cls.weight": torch.ones(4, 192)}
    begin_backbone(network, state, "kinetics.pth")
    ours, theirs = network.swin.state_dict(), donor.swin.state_dict()
    assert all(torch.allclose(ours[name].float(), theirs[name].float()) for name in theirs)
    with pytest.raises(CheckpointError, match="holds no Video-Swin"):
        begin_backbone(network, {"fc.weight": patch}, "kinetics.pth")


def test_roberta_from_its_own_folder(tmp_path: Path) -> None:
    network, donor = random_sgmg(CONFIGS["sgmg-tiny"]), random_sgmg(CONFIGS["sgmg-tiny"], seed=1)
    assert begin_text(network, tmp_path) is False
    roberta = donor.text_encoder["text_backbone"].state_dict()
    plain = {f"roberta.{name}": tensor for name, tensor in roberta.items() if not name.startswith("pooler.")}
    save_weights(tmp_path / "model.safetensors", {**plain, "lm_head.bias": torch.zeros(4)})
    own = network.text_encoder["text_backbone"].pooler.dense.weight.clone()
    assert begin_text(network, tmp_path)
    after = network.text_encoder["text_backbone"].state_dict()
    assert torch.equal(after["pooler.dense.weight"], own)
    assert all(torch.equal(after[name], roberta[name]) for name in roberta if not name.startswith("pooler."))
