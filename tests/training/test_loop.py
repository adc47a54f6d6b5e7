"""The loop: it learns, a killed run equals an unbroken one bit for bit, and faults are told."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from training_toys import OneBatch, network, settings, trainer

from engine.errors import CheckpointError, MugvosError
from engine.training.average import WeightAverage
from engine.training.loop import Progress, Trainer
from engine.training.mixture import Mixture
from engine.training.mmpm_task import MMPMTask
from engine.training.step import StepResult, training_step


class Killed(BaseException):
    """Stands for the end of a process."""


def kill_at(step: int) -> Callable[[Progress], None]:
    def on_step(progress: Progress) -> None:
        if progress.step == step:
            raise Killed

    return on_step


def weights(run: Trainer) -> dict[str, Tensor]:
    return {
        **{f"model.{name}": tensor for name, tensor in run.model.state_dict().items()},
        **{f"average.{name}": tensor for name, tensor in run.average.state.items()},
    }


def test_one_batch_is_learned(tmp_path: Path) -> None:
    wanted = settings(steps=50, learning_rate=1e-2, warmup=2, hard_from=1000, hard_to=1001, checkpoint_every=1000)
    batch = OneBatch(wanted.clips, 2)
    run = Trainer(MMPMTask(network(), wanted), batch, wanted, tmp_path / "run.pt")

    @torch.no_grad()
    def judged() -> StepResult:
        return training_step(run.model, batch.images, batch.masks, [True, False, False])

    before = judged()
    reports: list[Progress] = []
    run.run(reports.append)
    after = judged()
    assert after.loss < 0.5 * before.loss
    assert after.iou > before.iou + 0.3
    assert [report.step for report in reports] == list(range(1, 51))


def test_a_killed_run_equals_an_unbroken_one_bit_for_bit(tmp_path: Path) -> None:
    whole = trainer(tmp_path / "whole.pt")
    reports: list[Progress] = []
    whole.run(reports.append)
    for step in (3, 5):
        broken = trainer(tmp_path / "broken.pt")
        assert broken.resume() == (step > 3)
        with pytest.raises(Killed):
            broken.run(kill_at(step))
    last = trainer(tmp_path / "broken.pt")
    assert last.resume()
    assert last.step == 4, "the checkpoint of every second step"
    again: list[Progress] = []
    last.run(again.append)
    assert again == reports[4:]
    expected, found = weights(whole), weights(last)
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert any(
        not torch.equal(tensor, network().state_dict()[name]) for name, tensor in whole.model.state_dict().items()
    )


def test_a_fresh_run_has_nothing_to_go_on_from(tmp_path: Path) -> None:
    assert not trainer(tmp_path / "none.pt").resume()


def test_other_settings_are_refused_by_name(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run.pt")
    run.save()
    with pytest.raises(CheckpointError, match=r"run\.pt.*learning_rate: 0\.001 there, 0\.01 here.*--overwrite"):
        trainer(tmp_path / "run.pt", learning_rate=0.01).resume()
    nested = run.settings.clips.__class__(size=48, frames=3)
    with pytest.raises(CheckpointError, match=r"\(clips\.size: 32 there, 48 here\)"):
        trainer(tmp_path / "run.pt", clips=nested).resume()


def test_other_inputs_and_processes_are_refused_by_name(tmp_path: Path) -> None:
    wanted = settings()

    def run(**inputs: str) -> Trainer:
        clips = OneBatch(wanted.clips, 2)
        return Trainer(MMPMTask(network(), wanted), clips, wanted, tmp_path / "run.pt", inputs=inputs)

    run(init="aa", videos="bb").save()
    assert run(init="aa", videos="bb").resume()
    with pytest.raises(
        CheckpointError, match=r"\(inputs\.init: aa there, cc here, inputs\.videos: bb there, None here\)"
    ):
        run(init="cc").resume()
    state = torch.load(tmp_path / "run.pt", weights_only=True)
    torch.save({**state, "processes": 2}, tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match="processes: 2 there, 1 here"):
        run(init="aa", videos="bb").resume()


def test_checkpoints_of_older_versions_can_be_gone_on_with(tmp_path: Path) -> None:
    """They know neither newer settings nor inputs, processes, gradient scale and positions."""
    whole, older = trainer(tmp_path / "whole.pt"), trainer(tmp_path / "older.pt")
    whole.run()
    with pytest.raises(Killed):
        older.run(kill_at(5))
    state = torch.load(tmp_path / "older.pt", weights_only=True)
    for name in ("processes", "inputs", "scaler", "position"):
        del state[name]
    for name in ("accumulate", "precision", "milestones", "stage", "freeze_encoder"):
        del state["settings"][name]
    torch.save(state, tmp_path / "older.pt")
    last = trainer(tmp_path / "older.pt")
    assert last.resume()
    last.run()
    expected, found = weights(whole), weights(last)
    assert all(torch.equal(expected[name], found[name]) for name in expected)


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_a_damaged_checkpoint_is_named(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "run.pt"
    run = trainer(path)
    run.save()
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if content is None else content)
    with pytest.raises(CheckpointError, match=r"run\.pt.*damaged.*--overwrite"):
        trainer(path).resume()


def test_a_checkpoint_of_something_else_is_named(tmp_path: Path) -> None:
    torch.save({"settings": {"clips": {"motion": {}}, "colour": 3}}, tmp_path / "run.pt")
    with pytest.raises(CheckpointError, match="damaged"):
        trainer(tmp_path / "run.pt").resume()


def test_a_loss_that_is_not_finite_stops_and_keeps_the_batch(tmp_path: Path) -> None:
    wanted = settings()
    source = OneBatch(wanted.clips, 2)
    run = Trainer(MMPMTask(network(), wanted), source, wanted, tmp_path / "run.pt")
    run._advance()
    source.images = torch.full_like(source.images, float("nan"))
    before = {name: tensor.clone() for name, tensor in run.average.state.items()}
    with pytest.raises(MugvosError, match=r"not finite at step 1.*bad-batch\.pt.*--lr"):
        run.run()
    (saved,) = tmp_path.glob("*.bad-batch.pt")
    assert torch.load(saved, weights_only=True)["images"].isnan().all()
    assert all(torch.equal(before[name], tensor) for name, tensor in run.average.state.items())


def test_saving_leaves_no_other_files(tmp_path: Path) -> None:
    run = trainer(tmp_path / "run.pt")
    run.save()
    run.save()
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]


def test_the_average_follows_slowly_and_copies_counters() -> None:
    model = nn.BatchNorm1d(2)
    average = WeightAverage(model, 0.9)
    start = average.state["weight"].clone()
    with torch.no_grad():
        model.weight.add_(1)
        model.num_batches_tracked.add_(5)
    average.update(model)
    assert torch.allclose(average.state["weight"], start + (1 - 2 / 11)), "a short memory at the beginning"
    assert average.state["num_batches_tracked"] == 5
    other = WeightAverage(model, 0.9)
    other.load(average.state, average.updates)
    with torch.no_grad():
        model.weight.add_(1)
    for one in (average, other):
        one.update(model)
    assert torch.equal(average.state["weight"], other.state["weight"])
    for _ in range(200):
        average.update(model)
    assert torch.allclose(average.state["weight"], model.weight, atol=1e-3)


def test_a_mixture_draws_from_all_its_sources() -> None:
    config = settings().clips
    sources = [OneBatch(config, 1, seed) for seed in (0, 1)]
    mixture = Mixture(sources, torch.Generator().manual_seed(0))
    drawn = [mixture.batch(1)[0] for _ in range(20)]
    counts = [sum(torch.equal(batch, source.images) for batch in drawn) for source in sources]
    assert sum(counts) == 20
    assert min(counts) >= 3
