"""`mugvos generate`: mask tracks of every granularity from raw video, with nobody in the loop."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mugvos_cli import console
from mugvos_cli.executing import EXECUTORS, chosen_executor, make_executor
from mugvos_cli.generate_run import Sources, run_batch, sum_up, sum_up_failures
from mugvos_cli.options import Device, Json, Overwrite, Precision, Seed, one_of
from mugvos_cli.targets import refuse_inputs, refuse_other_kinds

if TYPE_CHECKING:
    from engine.generation.plan import ClipTask, Split

_FLOWS = ("dis", "raft-small", "raft-large")
_SAMPLING = ("random", "kmeans")
_SAMS = ("sam-tiny", "sam-vit-b", "sam-vit-l", "sam-vit-h")


def generate(
    inputs: Annotated[
        list[str], typer.Argument(metavar="INPUT...", help="Videos, folders of frames, or folders of those.")
    ],
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="The mask store to write; - is standard output."),
    ] = None,
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
        float | None,
        typer.Option("--box-nms", metavar="IOU", help="Proposals: of boxes more alike, one stays. [of the SAM]"),
    ] = None,
    crop_layers: Annotated[
        int, typer.Option("--crop-layers", metavar="N", min=0, help="Proposals: ask again in crops, 4 in layer 1.")
    ] = 0,
    min_region: Annotated[
        float | None,
        typer.Option(
            "--min-region",
            metavar="SHARE",
            min=0,
            max=1,
            help="Proposals: holes and specks of a smaller share of the frame go. [sam-tiny: 0.001, else 0]",
        ),
    ] = None,
    max_tracks: Annotated[int, typer.Option("--max-tracks", metavar="N", min=1, help="Most tracks at once.")] = 200,
    points: Annotated[int, typer.Option("--points", metavar="N", min=1, help="Points of a prompt.")] = 5,
    prompts: Annotated[
        int | None,
        typer.Option(
            "--prompts", metavar="N", min=1, help="Prompts a round and track. [5; 1 where sam-tiny's tracks go by flow]"
        ),
    ] = None,
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
    keep_warped: Annotated[
        float | None,
        typer.Option(
            "--keep-warped",
            metavar="IOU",
            min=0,
            max=1,
            help="Keep a warped mask that no candidate is like. [sam-tiny without --min-iou: 0.9; else 0, as in the "
            "paper]",
        ),
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
        typer.Option(
            "--min-mean-iou", metavar="IOU", min=0, max=1, help="Leave out tracks less like their warped masks."
        ),
    ] = None,
    min_agreement: Annotated[
        float | None,
        typer.Option(
            "--min-agreement", metavar="IOU", min=0, max=1, help="Leave out tracks that differ when run backwards."
        ),
    ] = None,
    duplicates: Annotated[
        float | None,
        typer.Option("--duplicates", metavar="IOU", min=0, max=1, help="Of tracks more alike than this, one stays."),
    ] = None,
    shard: Annotated[
        str | None, typer.Option("--shard", metavar="I/N", help="Only the I-th of N parts of the videos, I from 1.")
    ] = None,
    executor: Annotated[
        str | None,
        typer.Option(
            "--executor",
            metavar="|".join(EXECUTORS),
            help="Who makes the clips: this process, several of this machine, or Ray's. [process with --workers, ray "
            "with --ray-address, else local]",
            callback=one_of(EXECUTORS),
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", metavar="N", min=1, help="Clips made at once. [one a GPU, else one for 4 cores]"),
    ] = None,
    ray_address: Annotated[
        str | None,
        typer.Option(
            "--ray-address", metavar="ADDRESS", help="A running Ray cluster: auto, HOST:PORT, ray://HOST:PORT."
        ),
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
      mugvos generate clips/ --workers 4 -o tracks.h5
      mugvos generate clips/ --sam sam-vit-h --flow raft-large --clip-length 10 --shard 3/16 -o tracks-3.h5
    """
    from engine.generation.plan import Split, named, parse_shard
    from engine.generation.plan import shard as part_of
    from engine.generation.quality import QualitySettings
    from engine.generation.recipe import SAMRecipe, Wishes
    from engine.models.sam.config import CONFIGS
    from engine.video import find_videos

    wishes = Wishes(
        grid=grid,
        predicted_iou=predicted_iou,
        stability=stability,
        box_nms=box_nms,
        crop_layers=crop_layers,
        least_region=min_region,
        max_tracks=max_tracks,
        points=points,
        prompts=prompts,
        sampling=cast(Any, sampling),
        min_iou=min_iou,
        keep_warped=keep_warped,
        reseed_every=reseed_every,
        seed=seed,
    )
    wishes.settings(CONFIGS[sam])  # what cannot be meant is told before anything is read
    who = chosen_executor(executor, workers, ray_address)
    quality = QualitySettings(min_length, min_mean_iou, min_agreement, duplicates)
    size = None if resize is None else _size(resize)
    part = None if shard is None else parse_shard(shard)
    videos = named(find_videos(inputs))
    chosen = videos if part is None else part_of(videos, part)
    split = Split(clip_length, split_scenes)
    if dry_run:
        _show_plan(chosen, split, json)
        return
    target = _checked(output, chosen, who)
    recipe = SAMRecipe(wishes, sam, checkpoint, flow, size, segment, batch, precision, random_weights)
    sources = Sources(videos, chosen, part, split)
    with make_executor(who, recipe, device, workers, ray_address) as workforce:
        summary = run_batch(sources, workforce, quality, target, overwrite, retry_failed)
    sum_up(summary, target, json)


def _size(text: str) -> tuple[int, int]:
    """ "1080x680" is (1080, 680)."""
    from engine.errors import UsageError

    found = re.fullmatch(r"([0-9]{2,5})x([0-9]{2,5})", text.lower())
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if min(width, height) < 16:
        raise UsageError(f"--resize {text}: no size", "write WIDTHxHEIGHT in pixels, such as 1080x680")
    return width, height


def _checked(output: Path | None, videos: list[tuple[str, str]], executor: str) -> Path:
    """Where the store goes. Raises UsageError for what cannot be worked on, or written."""
    from engine.errors import UsageError

    if output is None:
        raise UsageError("no output named", "add -o FILE, or --dry-run to see the plan only")
    if executor != "local" and any(source == "-" for _, source in videos):
        raise UsageError(f"-: standard input is not there for workers (--executor {executor})", "write it into a file")
    if not videos:
        raise UsageError("this shard has no video", "use fewer shards than videos")
    if str(output) != "-" and output.is_dir():
        raise UsageError(f"{output} is a folder", "name a file, such as tracks.h5")
    refuse_inputs(output, [source for _, source in videos])
    refuse_other_kinds(output)
    return output


def _show_plan(videos: list[tuple[str, str]], split: "Split", json: bool) -> None:
    tasks, failures = _planned(videos, split)
    if json:
        document = [task.as_dict() for task in tasks]
        console.emit_json({"schema": 1, "clips": document, "failed": [{"name": n, "reason": r} for n, r in failures]})
    else:
        rows = [(t.name, t.source, t.start, "end" if t.stop is None else t.stop) for t in tasks]
        console.table(("clip", "video", "from frame", "to before"), rows)
        console.info(console.counted(len(tasks), "clip"))
    sum_up_failures([name for name, _ in failures], len(tasks))


def _planned(videos: list[tuple[str, str]], split: "Split") -> tuple[list["ClipTask"], list[tuple[str, str]]]:
    from engine.generation.plan import plan

    failures: list[tuple[str, str]] = []

    def failed(name: str, fault: Exception) -> None:
        failures.append((name, str(fault)))
        console.error(f"{name}: {fault}")

    with console.progress("planning", len(videos)) as done:
        return plan(videos, split, failed, done), failures
