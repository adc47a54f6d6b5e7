"""Several processes: the same curve as one with the whole batch, one writer, and a death that is told and survived."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from training_toys import network, settings

from engine.errors import UsageError
from engine.training.distributed import ALONE, Group, SharedBatchNorm2d, joined, launched, share_statistics
from engine.training.loop import Trainer
from engine.training.mmpm_task import MMPMTask
from engine.training.synthesis import Synthesizer

TESTS = Path(__file__).parent
STEPS = 4


def launch(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Two workers under torchrun."""
    paths = [str(TESTS), str(TESTS.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"}
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    torchrun += ["--monitor-interval", "0.2"]
    command = [sys.executable, *torchrun, str(TESTS / "ddp_worker.py"), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)


def one_process(folder: Path) -> dict[str, Any]:
    """The same run with the doubled batch."""
    losses: list[float] = []
    wanted = settings(batch=4, steps=STEPS, learning_rate=1e-2)
    clips = Synthesizer(wanted.clips, None, torch.Generator().manual_seed(0))
    run = Trainer(MMPMTask(network(), wanted), clips, wanted, folder / "one.pt")
    run.run(lambda progress: losses.append(progress.batch_loss))
    return {"losses": losses, "norm": sum(float(p.detach().double().norm()) for p in run.model.parameters())}


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> tuple[list[dict[str, Any]], str]:
    """Two processes with batch 2: the second is killed after step 3, the same is run again. Reports and messages."""
    folder = tmp_path_factory.mktemp("two")
    killed = launch("mmpm", folder, 2, STEPS, "1@3")
    assert killed.returncode != 0
    assert [path.name for path in folder.iterdir()] == ["run.pt"]
    done = launch("mmpm", folder, 2, STEPS, "1@3")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["rank0.json", "rank1.json", "run.pt"]
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in (0, 1)], killed.stderr


def test_two_processes_learn_as_one_with_the_doubled_batch(two: Any, tmp_path: Path) -> None:
    one, resumed = one_process(tmp_path), two[0][0]
    assert resumed["began"] == 2, "the checkpoint of every second step"
    assert len(one["losses"]) == STEPS
    assert resumed["losses"] == pytest.approx(one["losses"][2:], rel=2e-4)
    assert resumed["norm"] == pytest.approx(one["norm"], rel=1e-4)
    assert max(one["losses"]) - min(one["losses"]) > 0.01, "steps change something"


def test_both_processes_end_with_the_same_weights(two: Any) -> None:
    first, second = two[0]
    assert first == second


def test_a_promptable_model_learns_in_two_processes(tmp_path: Path) -> None:
    """Each draws its own prompts, so that the curve is not one process's; both hold the same weights all the time."""
    done = launch("sam", tmp_path, 1, 30, "1@0")
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1))
    assert first == second
    assert sum(first["losses"][-8:]) < 0.8 * sum(first["losses"][:8])


def test_a_dead_process_is_told_in_one_line_by_the_others(two: Any) -> None:
    lines = [line for line in two[1].splitlines() if "told:" in line]
    if not lines:  # torchrun may end the others before they notice; then its own report names the dead one
        assert "Signal 9 (SIGKILL)" in two[1]
        return
    (line,) = lines
    assert "another process of this run has ended" in line
    assert "goes on from the checkpoint" in line


def test_alone_nothing_is_communicated() -> None:
    whole = torch.arange(4)
    cpu = torch.device("cpu")
    assert torch.equal(ALONE.rows(whole), whole)
    assert ALONE.total([1.0, 2.0], cpu) == [1.0, 2.0]
    assert ALONE.any(True, cpu) and not ALONE.any(False, cpu)
    assert torch.equal(Group(1, 2).rows(whole), torch.tensor([2, 3]))
    assert Group(0, 2).writes and not Group(1, 2).writes


def test_an_environment_without_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not launched()
    monkeypatch.setenv("WORLD_SIZE", "2")
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(UsageError, match=r"did not find each other.*torchrun"), joined(torch.device("cpu")):
        pass


def test_statistics_of_one_process_are_those_of_batch_normalisation(tmp_path: Path) -> None:
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/group", rank=0, world_size=1)
    try:
        torch.manual_seed(0)
        plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        shared = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
        shared.load_state_dict(plain.state_dict())
        share_statistics(shared)
        assert isinstance(shared[1], SharedBatchNorm2d)
        x = 5 + torch.randn(2, 3, 9, 9)
        for model in (plain, shared):
            model(x).square().sum().backward()
        for (name, a), (other, b) in zip(plain.named_parameters(), shared.named_parameters(), strict=True):
            assert name == other
            assert torch.allclose(a.grad, b.grad, rtol=1e-3, atol=1e-3)
        for name, tensor in plain.state_dict().items():
            assert torch.allclose(tensor.float(), shared.state_dict()[name].float(), rtol=1e-5), name
        assert torch.allclose(plain.eval()(x), shared.eval()(x), atol=1e-5)
    finally:
        torch.distributed.destroy_process_group()
