"""From what a user names to a trained model: data, initial weights, the run, the file."""

import difflib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from engine.errors import CheckpointError, FormatError, OutputError, UsageError
from engine.models.mmpm.config import CONFIGS
from engine.models.mmpm.loading import load_mmpm
from engine.models.mmpm.network import MMPM
from engine.models.sam.config import CONFIGS as SAM_CONFIGS
from engine.models.sam.network import begin_encoder, build_sam
from engine.runtime.seeds import torch_generator
from engine.store import open_source
from engine.training.loop import ClipSource, Progress, Trainer
from engine.training.mixture import Mixture
from engine.training.mmpm_task import MMPMTask
from engine.training.pictures import SUFFIXES, join_pools, load_pictures
from engine.training.sam_task import SAMTask
from engine.training.scenes import SceneSource
from engine.training.settings import TrainSettings
from engine.training.synthesis import Synthesizer
from engine.training.task import Task
from engine.training.videos import VideoClips
from engine.weights.convert import save_weights
from engine.weights.load import load_state_dict
from engine.weights.recognise import recognise, strict_load

SYNTHETIC = "synthetic"


def open_data(
    names: Sequence[str], settings: TrainSettings, device: torch.device, videos: Path | None = None
) -> ClipSource:
    """`synthetic`, folders of pictures (with or without partitions), and mask stores or trees whose videos are at hand.

    Pictures feed the synthesis; `synthetic` alone works with drawn textures. Raises the errors of the readers.
    """
    generator = torch_generator(settings.seed, "clips", device=device)
    folders = [Path(name) for name in names if name != SYNTHETIC and _is_pictures(Path(name))]
    stores = [name for name in names if name != SYNTHETIC and Path(name) not in folders]
    sources: list[ClipSource] = []
    pool = join_pools([load_pictures(folder) for folder in folders]).to(device) if folders else None
    if settings.model in SAM_CONFIGS:
        if stores:
            raise UsageError(f"{stores[0]}: {settings.model} learns from pictures", "name folders, or `synthetic`")
        return SceneSource(settings.clips, settings.targets, pool, generator)
    if folders or SYNTHETIC in names:
        sources.append(Synthesizer(settings.clips, pool, generator))
    for name in stores:
        if not Path(name).exists():
            raise FormatError(f"{name}: no such data", "name `synthetic`, a folder of pictures, or a mask store")
        sources.append(VideoClips(open_source(name), settings.clips, generator, videos))
    return sources[0] if len(sources) == 1 else Mixture(sources, generator)


def train(
    settings: TrainSettings,
    clips: ClipSource,
    output: Path,
    init: Path | None = None,
    overwrite: bool = False,
    provenance: Mapping[str, object] | None = None,
    on_step: Callable[[Progress], None] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> int:
    """Train, or go on with an unfinished run of the same settings, and write the averaged weights to `output`.

    Returns the step it began at. The unfinished run lies in `<output>.training.pt` until the end; with `overwrite` one
    of other settings is thrown away. should_stop: asked after each step; a yes saves the run and raises
    KeyboardInterrupt. Raises the errors of `check`, CheckpointError for unusable initial weights or an unfinished run
    with other settings.
    """
    check(settings, output, overwrite)
    checkpoint = output.with_name(output.name + ".training.pt")
    device = clips.generator.device
    task = make_task(settings, init, device)
    trainer = Trainer(task, clips, settings, checkpoint)
    _go_on(trainer, overwrite)
    began = trainer.step

    def step_done(progress: Progress) -> None:
        if on_step is not None:
            on_step(progress)
        if should_stop():
            trainer.save()
            raise KeyboardInterrupt

    trainer.run(step_done)
    made = {**(provenance or {}), "settings": settings.as_dict()}
    described = {**task.description(), "training": made}
    save_weights(output, _halved(trainer.average.state), described, overwrite=True)
    checkpoint.unlink(missing_ok=True)
    return began


def _go_on(trainer: Trainer, overwrite: bool) -> None:
    try:
        trainer.resume()
    except CheckpointError:
        if not overwrite:
            raise
        trainer.checkpoint.unlink()


def make_task(settings: TrainSettings, init: Path | None, device: torch.device) -> Task:
    """The model that the settings name, with seeded random weights or those of `init`, and how it is trained."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        if settings.model in SAM_CONFIGS:
            return _sam_task(settings, init, device)
        model = MMPM(CONFIGS[settings.model])
    if init is not None:
        model.load_state_dict(load_mmpm(init, settings.model).state_dict())
    return MMPMTask(model.to(device), settings)


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
    return SAMTask(model.to(device), config, settings)


def _halved(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """Half precision halves the file; tests hold that masks do not suffer."""
    return {k: v.half() if v.is_floating_point() else v for k, v in state.items()}


def _is_pictures(path: Path) -> bool:
    """A folder whose own files include pictures, rather than a tree of clips."""
    return path.is_dir() and any(file.suffix.lower() in SUFFIXES for file in path.iterdir())


def check(settings: TrainSettings, output: Path, overwrite: bool) -> None:
    """What can be told before any data is read: UsageError for an unknown model, OutputError for an unfit output."""
    names = [*CONFIGS, *SAM_CONFIGS]
    if settings.model not in names:
        near = difflib.get_close_matches(settings.model, names, n=1)
        hint = f"did you mean {near[0]}?" if near else f"use one of {', '.join(names)}"
        raise UsageError(f"no model that can be trained is called {settings.model!r}", hint)
    if output.is_dir():
        raise OutputError(f"{output}: is a folder", "name a file, such as model.safetensors")
    if output.exists() and not overwrite:
        raise OutputError(f"{output}: exists already", "pass --overwrite to train it anew, or choose another -o")
    folder = output.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise OutputError(f"{folder}: cannot be written to", "create it or choose another -o")
