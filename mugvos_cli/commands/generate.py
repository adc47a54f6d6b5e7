"""`mugvos generate`: mask tracks of every granularity from raw video, with nobody in the loop."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mugvos_cli import console
from mugvos_cli.interrupt import stoppable
from mugvos_cli.options import Device, Json, Overwrite, Precision, Seed, one_of

if TYPE_CHECKING:
    from engine.generation.batch import Summary
    from engine.generation.job import Workshop
    from engine.generation.plan import ClipTask, Split
    from engine.generation.quality import QualitySettings
    from engine.generation.settings import GenerateSettings
    from engine.models.sam.config import SAMConfig

_FLOWS = ("dis", "raft-small", "raft-large")
_SAMPLING = ("random", "kmeans")
_SAMS = ("sam-tiny", "sam-vit-b", "sam-vit-l", "sam-vit-h")


def generate(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Videos, folders of frames, or folders of those.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="The mask store to write; - is standard output.")
    ],
    sam: Annotated[
        str, typer.Option("--sam", metavar="|".join(_SAMS), help="Who proposes masks.", callback=one_of(_SAMS))
    ] = "sam-tiny",
    checkpoint: Annotated[
        Path | None, typer.Option("--checkpoint", metavar="FILE", help="Weights of any SAM instead of a named one.")
    ] = None,
    flow: Annotated[
        str, typer.Option("--flow", metavar="|".join(_FLOWS), help="Optical flow.", callback=one_of(_FLOWS))
    ] = "dis",
    grid: Annotated[int, typer.Option("--grid", metavar="N", min=1, help="Proposals: N x N points are asked.")] = 32,
    predicted_iou: Annotated[
        float | None,
        typer.Option("--predicted-iou", metavar="IOU", help="Proposals: SAM's own guess has to be above. [of the SAM]"),
    ] = None,
    stability: Annotated[
        float | None,
        typer.Option("--stability", metavar="SCORE", help="Proposals: the least stability. [of the SAM]"),
    ] = None,
    box_nms: Annotated[
        float, typer.Option("--box-nms", metavar="IOU", help="Proposals: of boxes more alike, one stays.")
    ] = 0.7,
    crop_layers: Annotated[
        int, typer.Option("--crop-layers", metavar="N", min=0, help="Proposals: ask again in crops, 4 in layer 1.")
    ] = 0,
    max_tracks: Annotated[int, typer.Option("--max-tracks", metavar="N", min=1, help="Most tracks at once.")] = 200,
    points: Annotated[int, typer.Option("--points", metavar="N", min=1, help="Points of a prompt.")] = 5,
    prompts: Annotated[int, typer.Option("--prompts", metavar="N", min=1, help="Prompts a round and track.")] = 5,
    sampling: Annotated[
        str,
        typer.Option(
            "--sampling", metavar="|".join(_SAMPLING), help="How points are chosen.", callback=one_of(_SAMPLING)
        ),
    ] = "random",
    min_iou: Annotated[
        float | None,
        typer.Option("--min-iou", metavar="IOU", min=0, max=1, help="End a track whose best mask is less like it."),
    ] = None,
    reseed_every: Annotated[
        int | None, typer.Option("--reseed-every", metavar="N", min=1, help="Look for new tracks every N frames.")
    ] = None,
    clip_length: Annotated[
        int | None,
        typer.Option("--clip-length", metavar="N", min=1, help="Clips of N frames; what is left is dropped."),
    ] = None,
    split_scenes: Annotated[bool, typer.Option("--split-scenes", help="Cuts in a video begin new clips.")] = False,
    resize: Annotated[
        str | None, typer.Option("--resize", metavar="WxH", help="Work at this size; masks have it too.")
    ] = None,
    min_length: Annotated[
        int | None, typer.Option("--min-length", metavar="N", min=1, help="Leave out tracks seen in fewer frames.")
    ] = None,
    min_mean_iou: Annotated[
        float | None,
        typer.Option("--min-mean-iou", metavar="IOU", help="Leave out tracks less like their warped masks."),
    ] = None,
    min_agreement: Annotated[
        float | None,
        typer.Option("--min-agreement", metavar="IOU", help="Leave out tracks that differ when run backwards."),
    ] = None,
    duplicates: Annotated[
        float | None, typer.Option("--duplicates", metavar="IOU", help="Of tracks more alike than this, one stays.")
    ] = None,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="I/N", help="Only the I-th of N parts of the videos, I from 1.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be made, and make nothing.")] = False,
    retry_failed: Annotated[bool, typer.Option("--retry-failed", help="Try clips again that failed before.")] = False,
    segment: Annotated[
        int, typer.Option("--segment", metavar="FRAMES", min=1, help="A killed run loses at most so many.")
    ] = 5,
    batch: Annotated[
        int | None, typer.Option("--batch", metavar="N", min=1, help="Prompts held at once; never changes the result.")
    ] = None,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="An untrained SAM, to try things out; its masks mean nothing.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    json: Json = False,
    overwrite: Overwrite = False,
) -> None:
    """Make mask tracks from raw video: wholes, parts and parts of parts, which may overlap.

    Writes one mask store with a clip for each video. A killed run goes on when the same command is given again; clips
    that are finished are never made twice. A clip that fails is named and left out, and the exit status is 1.

    Examples:
      mugvos generate clips/ -o tracks.h5
      mugvos generate video.mp4 --reseed-every 10 --min-iou 0.3 --min-length 5 -o tracks.h5
      mugvos generate clips/ --sam sam-vit-h --flow raft-large --clip-length 10 --shard 3/16 -o tracks-3.h5
    """
    from engine.generation.linking import LinkSettings
    from engine.generation.plan import Split, named, parse_shard
    from engine.generation.plan import shard as part_of
    from engine.generation.quality import QualitySettings
    from engine.generation.settings import GenerateSettings
    from engine.models.sam.automatic import ProposalSettings
    from engine.models.sam.config import CONFIGS
    from engine.video import find_videos

    def settings(config: "SAMConfig") -> GenerateSettings:
        """What was asked for, and the SAM's own thresholds for what was not."""
        trusted = config.predicted_iou if predicted_iou is None else predicted_iou
        stable = config.stability if stability is None else stability
        offset = config.stability_offset
        return GenerateSettings(
            proposals=ProposalSettings(grid, trusted, stable, offset, box_nms, crop_layers),
            link=LinkSettings(stability=config.stability, stability_offset=offset, least_iou=min_iou),
            most_tracks=max_tracks,
            points=points,
            prompts=prompts,
            method=cast(Any, sampling),
            reseed_every=reseed_every,
            seed=seed,
        )

    settings(CONFIGS[sam])  # what cannot be meant is told before anything is read
    quality = QualitySettings(min_length, min_mean_iou, min_agreement, duplicates)
    size = None if resize is None else _size(resize)
    part = None if shard is None else parse_shard(shard)
    videos = named(find_videos(inputs))
    chosen = videos if part is None else part_of(videos, part)
    split = Split(clip_length, split_scenes)
    if dry_run:
        _show_plan(chosen, split, json)
        return
    _check(output, chosen)
    workshop = _workshop(sam, checkpoint, flow, settings, size, segment, batch, device, precision, random_weights)
    _run(chosen, split, workshop, quality, output, overwrite, retry_failed, json)


def _size(text: str) -> tuple[int, int]:
    """ "1080x680" is (1080, 680)."""
    from engine.errors import UsageError

    width, _, height = text.lower().partition("x")
    if not (width.isdigit() and height.isdigit() and int(width) >= 16 and int(height) >= 16):
        raise UsageError(f"--resize {text}: no size", "write WIDTHxHEIGHT in pixels, such as 1080x680")
    return int(width), int(height)


def _check(output: Path, videos: list[tuple[str, str]]) -> None:
    from engine.errors import UsageError

    if not videos:
        raise UsageError("this shard has no video", "use fewer shards than videos")
    if str(output) != "-" and output.is_dir():
        raise UsageError(f"{output} is a folder", "name a file, such as tracks.h5")


def _show_plan(videos: list[tuple[str, str]], split: "Split", json: bool) -> None:
    tasks, failures = _planned(videos, split)
    if json:
        document = [task.as_dict() for task in tasks]
        console.emit_json({"schema": 1, "clips": document, "failed": [{"name": n, "reason": r} for n, r in failures]})
    else:
        rows = [(t.name, t.source, t.start, "end" if t.stop is None else t.stop) for t in tasks]
        console.table(("clip", "video", "from frame", "to before"), rows)
        console.info(_counted(len(tasks), "clip"))
    _sum_up_failures([name for name, _ in failures], len(tasks))


def _planned(videos: list[tuple[str, str]], split: "Split") -> tuple[list["ClipTask"], list[tuple[str, str]]]:
    from engine.generation.plan import plan

    failures: list[tuple[str, str]] = []

    def failed(name: str, fault: Exception) -> None:
        failures.append((name, str(fault)))
        console.error(f"{name}: {fault}")

    with console.progress("planning", len(videos)) as done:
        return plan(videos, split, failed, done), failures


def _workshop(
    sam: str,
    checkpoint: Path | None,
    flow: str,
    settings_of: Callable[["SAMConfig"], "GenerateSettings"],
    size: tuple[int, int] | None,
    segment: int,
    batch: int | None,
    device: str,
    precision: str,
    random_weights: bool,
) -> "Workshop":
    from engine.generation.job import Workshop
    from engine.models.flow import make_flow
    from engine.models.sam.making import make_prompter
    from engine.runtime.allocator import tune_allocator
    from engine.runtime.device import resolve_device
    from engine.runtime.precision import resolve_precision
    from engine.weights.digest import file_digest

    tune_allocator()
    place = resolve_device(device)
    dtype = resolve_precision(precision, place)
    for name in (sam if checkpoint is None and not random_weights else None, flow):
        _fetch(name)
    made = make_prompter(sam, checkpoint, place, dtype, random_weights)
    settings = settings_of(made.config)
    if made.weights is None:
        console.warn(f"{made.model} has random weights; its masks mean nothing")
    parameters = {
        "model": made.model,
        "weights": file_digest(made.weights) if made.weights else "random",
        "flow": flow,
        "precision": str(dtype).removeprefix("torch."),
        "resize": None if size is None else list(size),
        "settings": settings.as_dict(),
    }
    on_flow = make_flow(flow, place, dtype)
    return Workshop(made.prompter, on_flow, settings, parameters, size, segment, batch, console.warn)


def _fetch(name: str | None) -> None:
    """Fetch named weights that are not here yet."""
    from engine.weights import CATALOGUE, fetch, place_of

    entry = CATALOGUE.get(name or "")
    if entry is None or entry.bundled or place_of(entry).is_file():
        return
    console.info(f"fetching {entry.name} from {entry.url}")
    with console.progress(f"fetching {entry.name}", entry.size, unit="bytes") as progress:
        fetch(entry, progress)


def _run(
    videos: list[tuple[str, str]],
    split: "Split",
    workshop: "Workshop",
    quality: "QualitySettings",
    output: Path,
    overwrite: bool,
    retry_failed: bool,
    json: bool,
) -> None:
    from dataclasses import asdict

    from engine.generation.batch import Batch, Watch
    from engine.generation.plan import plan
    from engine.store.spool import spooled_output

    parameters = {**workshop.parameters, "videos": [source for _, source in videos], "split": asdict(split)}
    with spooled_output(output) as target, Batch(target, parameters, overwrite, retry_failed) as work:
        with console.progress("planning", len(videos)) as planned:
            tasks = work.tasks(lambda failed: plan(videos, split, failed, planned))
        with stoppable() as should_stop, console.run_progress("clips", len(tasks)) as bars:
            watch = Watch(
                lambda place, total, name: bars.begin(place, name),
                bars.advance,
                lambda name, reason: console.error(f"{name}: {reason}"),
                should_stop,
            )
            summary = work.run(tasks, workshop, quality, watch)
    _sum_up(summary, output, json)


def _sum_up(summary: "Summary", output: Path, json: bool) -> None:
    if summary.earlier:
        console.info(f"{_counted(summary.earlier, 'clip')} had been finished earlier")
    left_out = f", {_counted(summary.left_out, 'track')} left out" if summary.left_out else ""
    counted = ", ".join(_counted(getattr(summary, f"{what}s"), what) for what in ("clip", "track", "mask"))
    if summary.clips:
        console.info(f"{output}: {counted}{left_out}")
    if json:
        console.emit_json(
            {
                "schema": 1,
                "output": str(output),
                "clips": summary.clips,
                "tracks": summary.tracks,
                "masks": summary.masks,
                "left out": summary.left_out,
                "failed": [{"name": failure.name, "reason": failure.reason} for failure in summary.failures],
            }
        )
    _sum_up_failures([failure.name for failure in summary.failures], summary.clips)


def _sum_up_failures(failed: list[str], made: int) -> None:
    from engine.errors import PartialError

    if failed:
        shown = ", ".join(failed[:5]) + (", ..." if len(failed) > 5 else "")
        raise PartialError(
            f"{len(failed)} of {len(failed) + made} clips failed: {shown}", "mend them and pass --retry-failed"
        )


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
