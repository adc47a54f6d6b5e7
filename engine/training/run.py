"""From data, settings and initial weights to a trained model: the run, its records, the file."""

import difflib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import CheckpointError, OutputError, UsageError
from engine.models.bmvos.loading import MODEL as BMVOS_MODEL
from engine.models.mmpm.config import CONFIGS
from engine.models.sam.config import CONFIGS as SAM_CONFIGS
from engine.models.sam.network import begin_encoder, build_sam
from engine.models.sgmg.config import CONFIGS as SGMG_CONFIGS
from engine.store import atomic
from engine.store.spool import writing
from engine.training.bmvos_task import BMVOSTask
from engine.training.compiling import compile_parts
from engine.training.data import open_data
from engine.training.distributed import ALONE, Group
from engine.training.initial import initial_mmpm
from engine.training.journal import Journal
from engine.training.label_initial import initial_bmvos, initial_mavos
from engine.training.loop import ClipSource, Progress, Trainer
from engine.training.mavos_task import MAVOSTask
from engine.training.mmpm_task import MMPMTask
from engine.training.recipes import RECIPES
from engine.training.sam_task import SAMTask
from engine.training.settings import TrainSettings
from engine.training.sgmg_task import check_settings, sgmg_task
from engine.training.task import Task
from engine.training.validation import Validation
from engine.weights.convert import refuse_other_name, save_weights
from engine.weights.load import load_state_dict
from engine.weights.recognise import recognise, strict_load

__all__ = ["Surroundings", "check", "make_task", "open_data", "train"]


@dataclass(frozen=True)
class Surroundings:
    """What a run has around it, besides settings and data.

    encoder, value_encoder: names or files of SAMs, see `initial_mmpm`. text_encoder: folder, see `sgmg_task`. inputs:
    fingerprints of all that the run is made from, which have to be the same when it goes on. tensorboard: folder for
    event files. config: text that reproduces the run, written beside the weights. group: the processes.
    """

    encoder: str | None = None
    value_encoder: str | None = None
    inputs: Mapping[str, str] | None = None
    validation: Validation | None = None
    tensorboard: Path | None = None
    config: str = ""
    group: Group = ALONE
    text_encoder: Path | None = None


def train(
    settings: TrainSettings,
    clips: ClipSource,
    output: Path,
    init: Path | None = None,
    overwrite: bool = False,
    provenance: Mapping[str, object] | None = None,
    on_step: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    around: Surroundings | None = None,
) -> int:
    """Train, or go on with an unfinished run of the same settings, and write the averaged weights to `output`.

    Returns the step it began at. The unfinished run lies in `<output>.training.pt` until the end; with `overwrite` one
    of other settings is thrown away. Beside the weights appear `<output>.metrics.jsonl`, `.curves.png` and, where there
    is a text for it, `.toml`. should_stop: asked after each step; a yes saves the run and raises KeyboardInterrupt.
    Raises the errors of `check`, CheckpointError for unusable initial weights or an unfinished run with other settings.
    """
    around = around or Surroundings()
    check(settings, output, overwrite)
    group, device = around.group, clips.generator.device
    task = make_task(settings, init, device, around.encoder, around.value_encoder, around.text_encoder)
    trainer = Trainer(
        task,
        clips,
        settings,
        output.with_name(f"{output.name}.training.pt"),
        group,
        dict(around.inputs or {}),
        _validated(task, around.validation),
    )
    journal = Journal(output, settings.steps, settings.log_every, around.tensorboard) if group.writes else None
    _go_on(trainer, overwrite)
    began = trainer.step
    if journal is not None:
        journal.begin(began)
        _write_config(output, around.config)

    def step_done(progress: Progress) -> None:
        if on_step is not None:
            on_step(progress)
        if journal is not None:
            journal.note(progress)
            if progress.step % settings.checkpoint_every == 0:
                journal.draw()
        if group.any(should_stop(), device):
            trainer.save()
            raise KeyboardInterrupt

    trainer.run(step_done)
    if journal is not None:
        journal.close()
        made = {**(provenance or {}), "settings": settings.as_dict(), "inputs": dict(around.inputs or {})}
        described = {**task.description(), "training": made}
        save_weights(output, _halved(trainer.average.state), described, overwrite=True)
        trainer.checkpoint.unlink(missing_ok=True)
    return began


def _validated(task: Task, validation: Validation | None) -> Callable[[dict[str, Tensor]], float] | None:
    if validation is None:
        return None
    if not isinstance(task, MMPMTask):
        raise UsageError("--validate is for mmpm-... models", "leave it out, and score with mugvos evaluate")
    config = task.model.config
    return lambda state: validation.score(config, state)


def _write_config(output: Path, text: str) -> None:
    """The configuration beside the weights, whole or not at all."""
    if text:
        path = output.with_name(f"{output.name}.toml")
        temporary = atomic.temporary_beside(path)
        with writing(path):
            temporary.write_text(text, "utf-8")
        atomic.publish(temporary, path)


def _go_on(trainer: Trainer, overwrite: bool) -> None:
    try:
        trainer.resume()
    except CheckpointError:
        if not overwrite:
            raise
        trainer.checkpoint.unlink(missing_ok=True)


def make_task(
    settings: TrainSettings,
    init: Path | None,
    device: torch.device,
    encoder: str | None = None,
    value_encoder: str | None = None,
    text_encoder: Path | None = None,
) -> Task:
    """The model that the settings name, with seeded random weights or those it begins with, and how it is trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        if settings.model in SAM_CONFIGS:
            if encoder is not None or value_encoder is not None:
                raise UsageError(f"--encoder is for mmpm-... models, not for {settings.model}", "give it as --init")
            task: Task = _sam_task(settings, init, device)
        elif settings.model in SGMG_CONFIGS:
            task = sgmg_task(settings, init, device, encoder, text_encoder)
        elif settings.model in RECIPES:
            if value_encoder is not None:
                raise UsageError(f"--value-encoder is for mmpm-... models, not for {settings.model}", "leave it out")
            task = _label_task(settings, init, device, encoder)
        else:
            task = MMPMTask(initial_mmpm(settings, init, encoder, value_encoder).to(device), settings)
    if settings.compile and device.type != "cuda":
        raise UsageError("--compile needs a CUDA device", "leave it out; on a CPU it gains nothing")
    if settings.compile:
        compile_parts(task.model)
    return task


def _label_task(settings: TrainSettings, init: Path | None, device: torch.device, encoder: str | None) -> Task:
    if settings.model == BMVOS_MODEL:
        return BMVOSTask(initial_bmvos(settings, init, encoder).to(device), settings)
    return MAVOSTask(initial_mavos(settings, init, encoder).to(device), settings)


def _sam_task(settings: TrainSettings, init: Path | None, device: torch.device) -> SAMTask:
    """SAM at the input side that is trained. A convolutional encoder may begin as that of another file, an MMPM too."""
    config = SAM_CONFIGS[settings.model]
    side = settings.clips.size if config.form == "conv" else config.image_side
    model = build_sam(replace(config, image_side=side))
    if init is not None:
        state, _ = load_state_dict(init)
        if recognise(state) in (settings.model, *SAM_CONFIGS):
            strict_load(model, state, init, settings.model)
        else:
            begin_encoder(model.image_encoder, state, init)
    if settings.freeze_encoder:
        model.image_encoder.requires_grad_(False)
    return SAMTask(model.to(device), config, settings)


def _halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Half precision halves the file; tests hold that masks do not suffer."""
    return {k: v.half() if v.is_floating_point() else v for k, v in state.items()}


def check(settings: TrainSettings, output: Path, overwrite: bool) -> None:
    """What can be told before any data is read: UsageError for an unknown model, OutputError for an unfit output."""
    names = [*CONFIGS, *SAM_CONFIGS, *SGMG_CONFIGS, *RECIPES]
    if settings.model not in names:
        near = difflib.get_close_matches(settings.model, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(names)}"
        raise UsageError(f"no model that can be trained is called {settings.model!r}", hint)
    if settings.model in SGMG_CONFIGS:
        check_settings(settings)
    if settings.model in SAM_CONFIGS and settings.stage:
        raise UsageError(f"--stage {settings.stage} is for mmpm-... models, not for {settings.model}", "leave it out")
    if settings.model == BMVOS_MODEL and settings.objects > 1:
        raise UsageError(f"--objects {settings.objects}: bmvos learns from one object a clip", "leave --objects out")
    if output.is_dir():
        raise OutputError(f"{output}: is a folder", "name a file, such as model.safetensors")
    refuse_other_name(output)
    if output.exists() and not overwrite:
        raise OutputError(f"{output}: exists already", "pass --overwrite to train it anew, or choose another -o")
    folder = output.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f"{folder}: cannot be written to", "create it or choose another -o")
