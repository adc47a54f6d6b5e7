"""The options of `mugvos train`, and the file that says them all again.

Each also reads MUGVOS_TRAIN_<NAME> from the environment. Options whose default depends on the stage are None here; what
that means is the engine's business (engine.training.stages).
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from mugvos_cli import config
from mugvos_cli.options import completing, one_of

STAGES = ("static", "video")
SCHEDULES = ("cosine", "constant", "steps", "poly")


def _option(*names: str, help: str, **more: Any) -> Any:
    long = next(name for name in names if name.startswith("--")).split("/")[0]
    variable = f"MUGVOS_TRAIN_{long[2:].replace('-', '_').upper()}"
    return typer.Option(*names, help=help, envvar=variable, show_envvar=False, **more)


def _choice(name: str, values: tuple[str, ...], help: str) -> Any:
    return _option(
        name, metavar="|".join(values), help=help, callback=one_of(values), autocompletion=completing(values)
    )


def _number(name: str, help: str, least: float | None = 0) -> Any:
    return _option(name, help=help, min=least)


def _from_file(ctx: typer.Context, value: Path | None) -> Path | None:
    if value is not None and not ctx.resilient_parsing:
        ctx.default_map = {**(ctx.default_map or {}), **config.run_defaults(value, "train", ctx.command)}
    return value


Config = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        help="Values of options (TOML), as a run writes them beside its weights; flags win over it.",
        callback=_from_file,
        is_eager=True,
    ),
]
Output = Annotated[Path, _option("--output", "-o", metavar="FILE", help="Where the weights go (.safetensors).")]
Data = Annotated[
    list[str],
    _option(
        "--data",
        metavar="DATA",
        help="`synthetic`, a folder of pictures, of pictures X.jpg with masks X.png, or a mask store or tree; "
        "may be repeated.",
    ),
]
Model = Annotated[str, _option("--model", metavar="NAME", help="What to train: mmpm-..., mavos..., bmvos or sam-...")]
Stage = Annotated[
    str | None, _choice("--stage", STAGES, "A stage of the paper: its data, and its numbers where none are given.")
]
Videos = Annotated[
    Path | None, _option("--videos", metavar="FOLDER", help="Folder that holds the videos of the stores by name.")
]
Init = Annotated[Path | None, _option("--init", metavar="FILE", help="Weights to start from, of the same model.")]
Encoder = Annotated[
    str | None,
    _option(
        "--encoder",
        metavar="NAME|FILE",
        help="A SAM, whose image encoder takes the place of the model's own and is frozen.",
    ),
]
ValueEncoder = Annotated[
    str | None,
    _option(
        "--value-encoder",
        metavar="NAME|FILE",
        help="The SAM that begins the value encoder; default: the --encoder if it fits, else sam-vit-b.",
    ),
]
Augment = Annotated[
    bool | None,
    _option(
        "--augment/--no-augment",
        help="Other sizes, crops, colours, mirrored clips, for models that read sentences; default: yes.",
        show_default=False,
    ),
]
FreezeEncoder = Annotated[
    bool | None,
    _option(
        "--freeze-encoder/--train-encoder",
        help="Keep the image encoder as it is; default: with --encoder, and for mmpm-vit-... with --init.",
        show_default=False,
    ),
]
Steps = Annotated[int | None, _number("--steps", "Optimizer steps; default 4000, static 200000, video 250000.", 1)]
Batch = Annotated[int | None, _number("--batch", "Clips a process and micro-step; default 8, static 3, video 4.", 1)]
Accumulate = Annotated[int | None, _number("--accumulate", "Micro-steps whose gradients make one step; default 1.", 1)]
Frames = Annotated[int | None, _number("--frames", "Frames a clip; default 3.", 2)]
Size = Annotated[
    int | None, _number("--size", "Side of a clip in pixels, a multiple of 16; default 128, stages 384.", 32)
]
Objects = Annotated[
    int | None, _number("--objects", "Most tracks followed at once in a clip of a video; default 1.", 1)
]
MinScore = Annotated[
    float | None, _number("--min-score", "Tracks with a lower score in any frame are left out; default 0, video 0.9.")
]
Lr = Annotated[float | None, _number("--lr", "Highest learning rate; default 1e-3, stages 1e-5.")]
FinalLr = Annotated[float | None, _number("--final-lr", "Rate at the end of the cosine; default 1e-5.")]
Schedule = Annotated[
    str | None, _choice("--schedule", SCHEDULES, "The rate after the warm-up; default cosine, stages constant.")
]
Milestones = Annotated[
    list[int] | None,
    _option("--milestone", metavar="STEP", help="With --schedule steps: the rate falls to a tenth; may be repeated."),
]
Warmup = Annotated[int | None, _number("--warmup", "Steps until the highest rate; default 200, stages 0.")]
WeightDecay = Annotated[float | None, _number("--weight-decay", "Of AdamW; default 0.02, stages 0.05.")]
ClipNorm = Annotated[
    float | None, _number("--clip-norm", "Largest norm of the gradient, 0 for no bound; default 1, stages 0.")
]
Ema = Annotated[
    float | None, _number("--ema", "Decay of the weight average that is saved; default 0.998, stages 0 (none).")
]
HardFrom = Annotated[
    int | None, _number("--hard-from", "Until this step all pixels count; default 500, static 200000, video never.")
]
HardTo = Annotated[
    int | None,
    _number("--hard-to", "From this step the hardest 15 % of them count; default 2000, static 700000."),
]
DeepProbability = Annotated[
    float | None, _number("--deep-probability", "Chance of a deep update at later frames; default 0.2.")
]
Targets = Annotated[int | None, _number("--targets", "Masks a picture, for promptable models (sam-...); default 4.", 1)]
Rounds = Annotated[
    int | None, _number("--rounds", "Most corrections after the first prompt, for promptable models; default 1.")
]
Compile = Annotated[bool, _option("--compile", help="Compile the network; on CUDA devices.")]
Validate = Annotated[
    str | None,
    _option("--validate", metavar="DATA", help="A mask store or tree; J of masks propagated there is reported."),
]
ValidateVideos = Annotated[
    Path | None, _option("--validate-videos", metavar="FOLDER", help="Folder that holds the videos of --validate.")
]
ValidateEvery = Annotated[int, _number("--validate-every", "Steps between validations.", 1)]
ValidateFrames = Annotated[int, _number("--validate-frames", "Frames of each clip that are validated on.", 2)]
Tensorboard = Annotated[
    Path | None,
    _option("--tensorboard", metavar="FOLDER", help="Write event files there (needs mugvos[tensorboard])."),
]
LogEvery = Annotated[int | None, _number("--log-every", "Steps between rows of the metrics; default 10.", 1)]
CheckpointEvery = Annotated[
    int | None, _number("--checkpoint-every", "Steps between checkpoints; default 200, stages 1000.", 1)
]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed",
        metavar="N",
        min=0,
        help="Every random decision follows from this number; default 0, stages 14159265.",
        envvar="MUGVOS_SEED",
    ),
]


def as_toml(values: Mapping[str, Any]) -> str:
    """A file for --config: one line an option, those without a value left out."""
    lines = [f"{name} = {_toml(value)}" for name, value in values.items() if value is not None and value != []]
    return "\n".join(["# `mugvos train --config` with this file makes these weights again.", *lines, ""])


def _toml(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False).replace("\x7f", "\\u007f")
