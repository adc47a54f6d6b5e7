"""`mugvos train`: weights from pictures, synthetic clips and mask stores."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mugvos_cli import console
from mugvos_cli import train_options as o
from mugvos_cli.interrupt import stoppable
from mugvos_cli.options import Device, Overwrite, Precision
from mugvos_cli.targets import refuse_inputs
from mugvos_cli.text_options import TextEncoder

if TYPE_CHECKING:
    from engine.training.distributed import Group
    from engine.training.run import Surroundings
    from engine.training.settings import TrainSettings


def train(
    data: o.Data,
    output: o.Output,
    config: o.Config = None,
    model: o.Model = "mmpm-tiny",
    stage: o.Stage = None,
    videos: o.Videos = None,
    init: o.Init = None,
    encoder: o.Encoder = None,
    value_encoder: o.ValueEncoder = None,
    text_encoder: TextEncoder = None,
    freeze_encoder: o.FreezeEncoder = None,
    augment: o.Augment = None,
    steps: o.Steps = None,
    batch: o.Batch = None,
    accumulate: o.Accumulate = None,
    frames: o.Frames = None,
    size: o.Size = None,
    objects: o.Objects = None,
    min_score: o.MinScore = None,
    lr: o.Lr = None,
    final_lr: o.FinalLr = None,
    schedule: o.Schedule = None,
    milestone: o.Milestones = None,
    warmup: o.Warmup = None,
    weight_decay: o.WeightDecay = None,
    clip_norm: o.ClipNorm = None,
    ema: o.Ema = None,
    hard_from: o.HardFrom = None,
    hard_to: o.HardTo = None,
    deep_probability: o.DeepProbability = None,
    targets: o.Targets = None,
    rounds: o.Rounds = None,
    compile: o.Compile = False,
    validate: o.Validate = None,
    validate_videos: o.ValidateVideos = None,
    validate_every: o.ValidateEvery = 500,
    validate_frames: o.ValidateFrames = 24,
    tensorboard: o.Tensorboard = None,
    log_every: o.LogEvery = None,
    checkpoint_every: o.CheckpointEvery = None,
    seed: o.Seed = None,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Train a mask propagation model, a promptable one, or one that reads sentences (sgmg-...).

    Clips are made on the fly from pictures (regions cut out, moved, bent, occluded) or taken from videos with masks.
    A killed run goes on from its last checkpoint when the same command is given again. Under torchrun each process
    takes its share of every batch.

    Example:
        mugvos train --data pictures/ --steps 4000 -o model.safetensors
        mugvos train --data tracks.h5 --init model.safetensors --frames 5 --size 192 -o better.safetensors
        mugvos train --stage static --model mmpm-vit-b --encoder sam-vit-b --data DUTS-TR/ -o stage1.safetensors
        mugvos train --config better.safetensors.toml --seed 1 -o other.safetensors
    """
    model = "sgmg-t" if model == "sgmg" else model
    given = {name: value for name, value in locals().items() if name not in _NO_SETTINGS}
    places: dict[str, Any] = {"data": data, "videos": videos, "init": init, "text_encoder": text_encoder}
    places |= {"encoder": encoder, "value_encoder": value_encoder}
    checked = {"validate": validate, "validate_videos": validate_videos, "validate_frames": validate_frames}
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # hints of torch.distributed to its developers
    from engine.runtime.allocator import tune_allocator
    from engine.runtime.device import resolve_device
    from engine.training.distributed import joined, own_device

    tune_allocator()
    console.settings.quiet |= int(os.environ.get("RANK", "0")) > 0
    chosen = resolve_device(own_device(device))
    settings = _settings(given, stage or "", init, encoder, validate, validate_every, precision, chosen)
    text = o.as_toml(_as_options(settings, {**places, **checked, "output": output, "device": chosen.type}))
    with joined(chosen) as group:
        around = _around(settings, places, checked, chosen, group, tensorboard, text)
        _run(settings, places, output, overwrite, chosen, around)


_NAMES = {"lr": "learning_rate", "final_lr": "final_rate", "milestone": "milestones"}
_NO_SETTINGS = {
    *("data", "output", "config", "stage", "videos", "init", "encoder", "value_encoder", "text_encoder"),
    *(
        "validate",
        "validate_videos",
        "validate_every",
        "validate_frames",
        "tensorboard",
        "device",
        "precision",
        "overwrite",
    ),
}
_PLACES = (
    "data",
    "output",
    "videos",
    "init",
    "encoder",
    "value_encoder",
    "text_encoder",
    "validate",
    "validate_videos",
)


def _settings(
    given: dict[str, Any],
    stage: str,
    init: Path | None,
    encoder: str | None,
    validate: str | None,
    validate_every: int,
    precision: str,
    device: Any,
) -> "TrainSettings":
    """Every number of the run."""
    from engine.models.mmpm.config import CONFIGS
    from engine.runtime.precision import resolve_precision
    from engine.training.recipes import RECIPES, freezes_encoder
    from engine.training.stages import settings_for

    values = {_NAMES.get(name, name): value for name, value in given.items()}
    values["milestones"] = tuple(values["milestones"] or ()) or None
    if values["freeze_encoder"] is None:
        learned = encoder is not None or init is not None
        published = given["model"] in CONFIGS and CONFIGS[given["model"]].form == "vit"
        of_mmpm = encoder is not None or (published and init is not None)
        values["freeze_encoder"] = freezes_encoder(given["model"], learned) if given["model"] in RECIPES else of_mmpm
    values["precision"] = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16"}[
        str(resolve_precision(precision, device)).removeprefix("torch.")
    ]
    values["validate_every"] = validate_every if validate is not None else 0
    return settings_for(stage, values)


def _as_options(settings: "TrainSettings", others: dict[str, Any]) -> dict[str, Any]:
    """All of it by the names of options, paths absolute, so that the file works from anywhere."""
    values = settings.as_dict()
    clips = values.pop("clips")
    back = {name: option for option, name in _NAMES.items()}
    plain = {back.get(name, name): value for name, value in values.items()}
    plain |= {"size": clips["size"], "frames": clips["frames"], "stage": settings.stage or None}
    plain["validate_every"] = settings.validate_every or None
    return {**{name: _absolute(name, value) for name, value in others.items()}, **plain}


def _absolute(name: str, value: Any) -> Any:
    """Paths in full; names that are no paths (`synthetic`, sam-vit-b) as they are."""
    if isinstance(value, list):
        return [_absolute(name, one) for one in value]
    is_place = name in _PLACES and value is not None
    return str(Path(value).absolute()) if is_place and (Path(value).exists() or name == "output") else value


def _around(
    settings: "TrainSettings",
    places: dict[str, Any],
    checked: dict[str, Any],
    device: Any,
    group: "Group",
    tensorboard: Path | None,
    text: str,
) -> "Surroundings":
    from engine.errors import UsageError
    from engine.runtime.precision import resolve_precision
    from engine.store import open_source
    from engine.training.inputs import fingerprint, fingerprints
    from engine.training.run import Surroundings
    from engine.training.validation import Validation

    validation = None
    if checked["validate"] is not None:
        arithmetic = resolve_precision(settings.precision, device)
        source = open_source(checked["validate"])
        validation = Validation(
            source, checked["validate_videos"], checked["validate_frames"], device, arithmetic, group
        )
    elif checked["validate_videos"] is not None:
        raise UsageError("--validate-videos without --validate", "name the masks to validate on")
    weights = {name: places[name] for name in ("init", "encoder", "value_encoder")}
    inputs = fingerprints(places["data"], places["videos"], checked["validate"], **weights)
    reads = places["text_encoder"]
    if reads is not None and reads.exists():
        inputs["text_encoder"] = fingerprint(reads)
    return Surroundings(
        places["encoder"], places["value_encoder"], inputs, validation, tensorboard, text, group, places["text_encoder"]
    )


def _run(
    settings: "TrainSettings",
    places: dict[str, Any],
    output: Path,
    overwrite: bool,
    device: Any,
    around: "Surroundings",
) -> None:
    from engine.training.run import check, open_data
    from engine.training.run import train as run

    refuse_inputs(output, [*places["data"], *(place for name, place in places.items() if name != "data")])
    check(settings, output, overwrite)
    console.info(f"reading {', '.join(places['data'])}")
    clips = open_data(places["data"], settings, device, places["videos"], around.group, around.text_encoder)
    named = {name: value for name, value in places.items() if name != "data" and value is not None}
    made: dict[str, object] = {name: Path(value).name for name, value in named.items()}
    made["data"] = [Path(name).name for name in places["data"]]
    steps = settings.steps
    with stoppable("this step") as should_stop, console.progress("training", steps) as done:
        report = _reporter(done, steps)
        began = run(settings, clips, output, places["init"], overwrite, made, report, should_stop, around)
    if began:
        console.info(f"went on from step {began}")
    console.info(f"{output}: {settings.model}, {steps} steps")


def _reporter(done: Any, steps: int) -> Any:
    """Draw progress, and say loss, similarity, speed and what is left now and then."""

    def report(progress: Any) -> None:
        done(progress.step, steps)
        if progress.step % 100 == 0 or progress.validation is not None:
            found = "" if progress.validation is None else f", validation J {progress.validation:.3f}"
            console.info(
                f"step {progress.step}: loss {progress.loss:.3f}, J {progress.iou:.3f}{found}, "
                f"rate {progress.rate:.1e}, {progress.speed:.3g} clips/s, {_duration(progress.left)} left"
            )

    return report


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"
