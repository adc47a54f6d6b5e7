"""Rates, micro-steps, precisions, and what a compiled network computes."""

import copy
from pathlib import Path

import pytest
import torch
from training_toys import OneBatch, network, settings, trainer

from engine.training.compiling import compile_parts
from engine.training.loop import Trainer
from engine.training.mmpm_task import MMPMTask
from engine.training.optimisation import Optimisation, learning_rate
from engine.training.step import training_step
from engine.training.synthesis import SynthesisConfig


def test_the_rate_falls_at_milestones_or_never() -> None:
    stepped = settings(schedule="steps", milestones=(4, 6), warmup=2)
    rates = [learning_rate(step, stepped) for step in range(8)]
    assert rates == pytest.approx([5e-4, 1e-3, 1e-3, 1e-3, 1e-4, 1e-4, 1e-5, 1e-5])
    constant = settings(schedule="constant", warmup=0)
    assert {learning_rate(step, constant) for step in range(6)} == {1e-3}


class Halves:
    """Gives a batch of four in two halves, one after the other; the coins of the whole batch for both."""

    def __init__(self, whole: OneBatch) -> None:
        self.generator = whole.generator
        self.whole, self.given = whole, 0

    def batch(self, clips: int) -> tuple[torch.Tensor, ...]:
        self.generator.manual_seed(1)
        start = self.given % 2 * clips
        self.given += 1
        return self.whole.images[start : start + clips], self.whole.masks[start : start + clips]


class Whole(Halves):
    def batch(self, clips: int) -> tuple[torch.Tensor, ...]:
        self.generator.manual_seed(1)
        return self.whole.images, self.whole.masks


def test_micro_steps_sum_to_the_step_of_the_whole_batch(tmp_path: Path) -> None:
    """With statistics that do not depend on the batch, halves and whole give the same gradient."""
    grads, losses = [], []
    for kind, batch, accumulate in ((Halves, 2, 2), (Whole, 4, 1)):
        wanted = settings(batch=batch, accumulate=accumulate, steps=1, clip_norm=0.0, freeze_encoder=True)
        model = network()
        model.image_encoder.requires_grad_(False)
        run = Trainer(MMPMTask(model, wanted), kind(OneBatch(wanted.clips, 4)), wanted, tmp_path / f"{accumulate}.pt")
        run.run(lambda progress: losses.append(progress.batch_loss))
        grads.append({name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None})
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    assert grads[0].keys() == grads[1].keys()
    for name, grad in grads[0].items():
        assert torch.allclose(grad, grads[1][name], rtol=1e-3, atol=1e-5 * grads[1][name].abs().max().item() + 1e-7), (
            name
        )


def test_gradients_are_bounded_only_where_asked(tmp_path: Path) -> None:
    norms = []
    for bound in (1e-3, 0.0):
        run = trainer(tmp_path / f"{bound}.pt", steps=1, clip_norm=bound)
        run.run()
        norms.append(torch.stack([p.grad.norm() for p in run.optimisation.parameters if p.grad is not None]).norm())
    assert norms[0] == pytest.approx(1e-3, rel=1e-3)
    assert norms[1] > 0.01


def test_bf16_computes_the_same_thing_less_exactly(tmp_path: Path) -> None:
    found = {}
    for precision in ("fp32", "bf16"):
        reports: list[float] = []
        run = trainer(tmp_path / f"{precision}.pt", precision=precision, steps=3)
        run.run(lambda progress, reports=reports: reports.append(progress.batch_loss))
        found[precision] = reports
        assert all(p.dtype == torch.float32 for p in run.model.parameters())
    assert found["bf16"] == pytest.approx(found["fp32"], rel=0.05)
    assert found["bf16"] != found["fp32"]


def test_similarities_stay_in_float32_under_autocast(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.dtype] = []
    model = network()
    plain = model.read
    monkeypatch.setattr(
        model,
        "read",
        lambda query, *memory: seen.extend(part.dtype for part in (*query, *memory)) or plain(query, *memory),
    )
    batch = OneBatch(SynthesisConfig(size=32, frames=3), 1)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = training_step(model, batch.images, batch.masks, [True, False, False])
    assert set(seen) == {torch.float32}
    assert result.loss.dtype == torch.float32


def test_the_scale_of_fp16_is_part_of_the_state() -> None:
    model = torch.nn.Linear(2, 1)
    wanted = settings(precision="fp16", clip_norm=0.0)
    first = Optimisation(model, wanted, torch.device("cpu"))
    scale = first.scaler.get_scale()
    before = model.weight.detach().clone()
    first.begin(0)
    first.add(model(torch.full((1, 2), float("inf"))).sum())
    first.finish()
    assert torch.equal(model.weight, before), "a step that overflowed is left out"
    assert first.scaler.get_scale() == scale / 2
    second = Optimisation(copy.deepcopy(model), wanted, torch.device("cpu"))
    second.load_state(first.state())
    assert second.scaler.get_scale() == scale / 2
    first.begin(1)
    first.add(model(torch.ones(1, 2)).sum())
    first.finish()
    assert not torch.equal(model.weight, before)
    assert model.weight.grad.abs().max() == pytest.approx(1.0), "unscaled"


def test_a_killed_run_with_micro_steps_and_bf16_equals_an_unbroken_one(tmp_path: Path) -> None:
    more = {"accumulate": 2, "precision": "bf16", "steps": 4, "batch": 1}
    whole, broken = trainer(tmp_path / "whole.pt", **more), trainer(tmp_path / "broken.pt", **more)
    whole.run()
    with pytest.raises(KeyboardInterrupt):
        broken.run(lambda progress: exec("raise KeyboardInterrupt") if progress.step == 3 else None)
    last = trainer(tmp_path / "broken.pt", **more)
    assert last.resume()
    assert last.step == 2
    last.run()
    expected, found = whole.model.state_dict(), last.model.state_dict()
    assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_compiled_network_is_the_same_network() -> None:
    model = network().eval()
    names = list(model.state_dict())
    batch = OneBatch(SynthesisConfig(size=32, frames=3), 1)
    with torch.no_grad():
        expected = training_step(model, batch.images, batch.masks, [True, False, False])
        calls: list[int] = []

        def backend(graph: torch.fx.GraphModule, inputs: list[torch.Tensor]) -> object:
            calls.append(len(inputs))
            return graph.forward

        compile_parts(model, backend)
        found = training_step(model, batch.images, batch.masks, [True, False, False])
    assert len(calls) >= 3, "encoder, value encoder and decoder at least"
    assert found.loss == pytest.approx(expected.loss.item(), rel=1e-5)
    assert list(model.state_dict()) == names
