"""One process of a run that torchrun starts: writes the loss of every step, and dies where it is told to.

Arguments: mmpm or sam, folder, batch, steps, and RANK@STEP: which process dies, after which step, unless the run was
resumed.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from training_toys import OneScene, network, sam_settings, sam_task, settings

from engine.errors import MugvosError
from engine.training.distributed import Group, joined
from engine.training.loop import Progress, Trainer
from engine.training.mmpm_task import MMPMTask
from engine.training.synthesis import Synthesizer


def trainer(what: str, folder: Path, batch: int, steps: int, group: Group) -> Trainer:
    if what == "sam":
        wanted = sam_settings(batch=batch, steps=steps)
        return Trainer(sam_task(wanted), OneScene(wanted.clips), wanted, folder / "run.pt", group)
    wanted = settings(batch=batch, steps=steps, learning_rate=1e-2)
    clips = Synthesizer(wanted.clips, None, torch.Generator().manual_seed(0))
    return Trainer(MMPMTask(network(), wanted), clips, wanted, folder / "run.pt", group)


def main(what: str, folder: Path, batch: int, steps: int, die: str) -> None:
    torch.set_num_threads(1)
    losses: list[float] = []
    victim, _, at = die.partition("@")

    def on_step(progress: Progress) -> None:
        losses.append(progress.batch_loss)
        if not began and progress.step == int(at) and group.rank == int(victim):
            os.kill(os.getpid(), signal.SIGKILL)

    with joined(torch.device("cpu")) as group:
        run = trainer(what, folder, batch, steps, group)
        began = run.step if run.resume() else 0
        run.run(on_step)
    report = {
        "began": began,
        "losses": losses,
        "norm": sum(float(p.detach().double().norm()) for p in run.model.parameters()),
    }
    (folder / f"rank{group.rank}.json").write_text(json.dumps(report))


if __name__ == "__main__":
    try:
        main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), sys.argv[5])
    except MugvosError as error:
        print(f"told: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
