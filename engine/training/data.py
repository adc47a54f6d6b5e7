"""From names of data to a source of clips: `synthetic`, pictures, pictures with masks, mask stores and trees."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import torch

from engine.errors import FormatError, UsageError
from engine.models.sam.config import CONFIGS as SAM_CONFIGS
from engine.models.sgmg.config import CONFIGS as SGMG_CONFIGS
from engine.runtime.seeds import torch_generator
from engine.store import open_source
from engine.training.clip_table import ClipRules
from engine.training.distributed import ALONE, Group
from engine.training.loop import ClipSource
from engine.training.mixture import Mixture
from engine.training.pairs import PairClips, has_pairs
from engine.training.pictures import SUFFIXES, PicturePool, join_pools, load_pictures
from engine.training.scenes import SceneSource
from engine.training.sentence_clips import open_sentences
from engine.training.settings import TrainSettings
from engine.training.synthesis import Synthesizer
from engine.training.videos import VideoClips

SYNTHETIC = "synthetic"
Kind = Literal["synthetic", "pictures", "pairs", "masks"]


def open_data(
    names: Sequence[str],
    settings: TrainSettings,
    device: torch.device,
    videos: Path | None = None,
    group: Group = ALONE,
    text_encoder: Path | None = None,
) -> ClipSource:
    """`synthetic`, folders of pictures (with or without partitions), pictures with masks, mask stores or trees.

    Pictures feed the synthesis; `synthetic` alone works with drawn textures. All pictures with masks are one source,
    every store is one. Models that read sentences take folders in the layout of Ref-YouTube-VOS and stores whose tracks
    are called what they are; text_encoder: folder with their tokenizer. Raises the errors of the readers, UsageError
    for data that the stage or the model cannot use.
    """
    generator = torch_generator(settings.seed, "clips", device=device)
    if settings.model in SGMG_CONFIGS:
        return open_sentences(names, settings, generator, videos, text_encoder)
    kinds: dict[str, Kind] = {name: kind_of(name) for name in names}
    _check_kinds(kinds, settings)
    folders = [Path(name) for name, kind in kinds.items() if kind == "pictures"]
    pool = join_pools([load_pictures(folder) for folder in folders]).to(device) if folders else None
    if settings.model in SAM_CONFIGS:
        return SceneSource(settings.clips, settings.targets, pool, generator)
    sources = _synthesis(kinds, pool, settings, generator)
    pairs = [Path(name) for name in names if kinds[name] == "pairs"]
    if pairs:
        sources.append(PairClips(pairs, settings.clips, generator, group))
    rules = ClipRules(
        settings.clips.size, settings.clips.frames, settings.objects, settings.min_score, settings.stage == "video"
    )
    for stream, name in enumerate(name for name, kind in kinds.items() if kind == "masks"):
        sources.append(VideoClips(open_source(name), rules, generator, videos, group, stream))
    return sources[0] if len(sources) == 1 else Mixture(sources, generator)


def _synthesis(
    kinds: dict[str, Kind], pool: PicturePool | None, settings: TrainSettings, generator: torch.Generator
) -> list[ClipSource]:
    wanted = pool is not None or "synthetic" in kinds.values()
    return [Synthesizer(settings.clips, pool, generator)] if wanted else []


def kind_of(name: str) -> Kind:
    """What is meant by a name of data. Raises FormatError where there is nothing called so."""
    if name == SYNTHETIC:
        return "synthetic"
    path = Path(name)
    if not path.exists():
        raise FormatError(f"{name}: no such data", "name `synthetic`, a folder of pictures, or a mask store")
    if not path.is_dir():
        return "masks"
    if has_pairs(path):
        return "pairs"
    return "pictures" if any(file.suffix.lower() in SUFFIXES for file in path.iterdir()) else "masks"


def _check_kinds(kinds: dict[str, Kind], settings: TrainSettings) -> None:
    for name, kind in kinds.items():
        if settings.model in SAM_CONFIGS and kind in ("masks", "pairs"):
            raise UsageError(f"{name}: {settings.model} learns from pictures", "name folders, or `synthetic`")
        if settings.stage == "static" and kind == "masks":
            raise UsageError(f"{name}: --stage static learns from pictures", "use --stage video for masks of videos")
        if settings.stage == "video" and kind != "masks":
            raise UsageError(
                f"{name}: --stage video learns from masks of videos", "use --stage static for pictures and `synthetic`"
            )
        if settings.objects > 1 and kind != "masks":
            raise UsageError(
                f"{name}: clips from pictures follow one object", "leave --objects out, or name masks of videos only"
            )
