"""`mugvos train`: weights from pictures, synthetic clips and mask stores."""

from pathlib import Path
from typing import Annotated, Any

import typer

from mugvos_cli import console
from mugvos_cli.interrupt import stoppable
from mugvos_cli.options import Device, Overwrite, Seed

Output = Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Where the weights go (.safetensors).")]
Data = Annotated[
    list[str],
    typer.Option(
        "--data", metavar="DATA", help="`synthetic`, a folder of pictures, or a mask store or tree; may be repeated."
    ),
]
Init = Annotated[Path | None, typer.Option("--init", metavar="FILE", help="Weights to start from, of the same model.")]
Videos = Annotated[
    Path | None, typer.Option("--videos", metavar="FOLDER", help="Folder that holds the videos of the stores by name.")
]


def train(
    data: Data,
    output: Output,
    model: Annotated[str, typer.Option("--model", help="What to train.")] = "mmpm-tiny",
    init: Init = None,
    videos: Videos = None,
    steps: Annotated[int, typer.Option(min=1, help="Optimizer steps.")] = 4000,
    batch: Annotated[int, typer.Option(min=1, help="Clips a step.")] = 8,
    frames: Annotated[int, typer.Option(min=2, help="Frames a clip.")] = 3,
    size: Annotated[int, typer.Option(min=32, help="Side of a clip in pixels, a multiple of 16.")] = 128,
    lr: Annotated[float, typer.Option(min=0, help="Highest learning rate.")] = 1e-3,
    warmup: Annotated[int, typer.Option(min=0, help="Steps until the highest rate.")] = 200,
    targets: Annotated[int, typer.Option(min=1, help="Masks a picture, for promptable models (sam-...).")] = 4,
    rounds: Annotated[int, typer.Option(min=0, help="Corrections after the first prompt, for promptable models.")] = 1,
    hard_from: Annotated[int, typer.Option(min=0, help="Until this step all pixels count.")] = 500,
    hard_to: Annotated[int, typer.Option(min=0, help="From this step the hardest 15 % of the pixels count.")] = 2000,
    checkpoint_every: Annotated[int, typer.Option(min=1, help="Steps between checkpoints.")] = 200,
    seed: Seed = 0,
    device: Device = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Train a mask propagation model.

    Clips are made on the fly from pictures (regions cut out, moved, bent, occluded) or taken from videos with masks.
    A killed run goes on from its last checkpoint when the same command is given again.

    Example:
        mugvos train --data pictures/ --steps 4000 -o model.safetensors
        mugvos train --data tracks.h5 --init model.safetensors --frames 5 --size 192 -o better.safetensors
    """
    from engine.runtime.allocator import tune_allocator
    from engine.runtime.device import resolve_device
    from engine.training.run import check, open_data
    from engine.training.run import train as run
    from engine.training.settings import TrainSettings
    from engine.training.synthesis import SynthesisConfig

    tune_allocator()
    settings = TrainSettings(
        model=model,
        steps=steps,
        batch=batch,
        learning_rate=lr,
        warmup=warmup,
        hard_from=hard_from,
        hard_to=hard_to,
        targets=targets,
        rounds=rounds,
        checkpoint_every=checkpoint_every,
        seed=seed,
        clips=SynthesisConfig(size=size, frames=frames),
    )
    check(settings, output, overwrite)
    console.info(f"reading {', '.join(data)}")
    clips = open_data(data, settings, resolve_device(device), videos)
    made: dict[str, Any] = {"data": [Path(name).name for name in data], "init": init.name if init else None}
    with stoppable("this step") as should_stop, console.progress("training", steps) as done:
        began = run(settings, clips, output, init, overwrite, made, _reporter(done, steps), should_stop)
    if began:
        console.info(f"went on from step {began}")
    console.info(f"{output}: {model}, {steps} steps")


def _reporter(done: Any, steps: int) -> Any:
    """Draw progress, and say loss and similarity now and then."""

    def report(progress: Any) -> None:
        done(progress.step, steps)
        if progress.step % 100 == 0:
            console.info(
                f"step {progress.step}: loss {progress.loss:.3f}, J {progress.iou:.3f}, rate {progress.rate:.1e}"
            )

    return report
