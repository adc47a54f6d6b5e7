"""One process of a run that torchrun starts: writes the loss of every step, and dies where it is told to.

Arguments: folder, batch, steps, and RANK@STEP: which process dies, after which step, unless the run was resumed.
"""

import json
import os
import signal
import sys
from pathlib import Path

import torch
from training_toys import network, settings

from engine.errors import MugvosError
from engine.training.distributed import joined
from engine.training.loop import Progress, Trainer
from engine.training.mmpm_task import MMPMTask
from engine.training.synthesis import Synthesizer


def main(folder: Path, batch: int, steps: int, die: str) -> None:
    torch.set_num_threads(1)
    losses: list[float] = []
    victim, _, at = die.partition("@")

    def on_step(progress: Progress) -> None:
        losses.append(progress.batch_loss)
        if not began and progress.step == int(at) and group.rank == int(victim):
            os.kill(os.getpid(), signal.SIGKILL)

    with joined(torch.device("cpu")) as group:
        wanted = settings(batch=batch, steps=steps, learning_rate=1e-2)
        clips = Synthesizer(wanted.clips, None, torch.Generator().manual_seed(0))
        run = Trainer(MMPMTask(network(), wanted), clips, wanted, folder / "run.pt", group)
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
        main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    except MugvosError as error:
        print(f"told: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
