"""`mugvos propagate`: masks of some frames carried through a video."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mugvos_cli import console
from mugvos_cli import detect_options as about_finding
from mugvos_cli import propagate_options as choose
from mugvos_cli import text_options as about_text
from mugvos_cli.interrupt import stoppable
from mugvos_cli.lines import mask_lines
from mugvos_cli.options import Device, Json, Model, Ndjson, Output, Overwrite, Precision, Seed, one_of
from mugvos_cli.spots_run import asker_of, find_masks

if TYPE_CHECKING:
    from engine.propagation.factory import MadeTracker
    from engine.propagation.job import Job
    from engine.propagation.options import MMPMOptions
    from engine.propagation.prompts import PromptSet
    from engine.propagation.sam_factory import MadeAsker
    from engine.propagation.sam_options import SAMOptions
    from engine.video import VideoReader

Video = Annotated[
    str, typer.Argument(metavar="VIDEO", help="File, folder of images, glob, list of images (.txt), or -.")
]
Binarize = Annotated[bool, typer.Option("--binarize", help="Cut masks with smoothed edges at half.")]
Exclusive = Annotated[bool, typer.Option("--exclusive", help="Tracks compete: a pixel belongs to one at most.")]
Interval = Annotated[int | None, typer.Option(min=1, help="Frames between memory frames; default: the model's.")]
MemoryFrames = Annotated[int | None, typer.Option(min=1, help="Most frames remembered; default: the model's.")]
TopK = Annotated[int | None, typer.Option(min=1, help="Memory positions read for each place; default: the model's.")]
Chunk = Annotated[int, typer.Option(min=1, help="Most tracks in one pass of the network; never changes the result.")]
_DEEP = ("random", "memory", "never")
_EVICT = ("random_except_first_last", "random_except_first", "random", "fifo", "not_filter")
_MEMORY = ("temporal", "long-term")


def propagate(
    video: Video,
    mask: choose.Mask = None,
    point: choose.Point = None,
    box: choose.Box = None,
    sam: choose.Sam = "sam-tiny",
    text: about_text.Text = None,
    then: about_text.Then = None,
    text_encoder: about_text.TextEncoder = None,
    raw_text: about_text.RawText = False,
    window: about_text.Window = 36,
    short_side: about_text.ShortSide = None,
    detect_every: about_finding.DetectEvery = None,
    voting: about_finding.Voting = 3,
    max_missed: about_finding.MaxMissed = 5,
    max_objects: about_finding.MaxObjects = 200,
    large_first: about_finding.LargeFirst = False,
    output: Output = None,
    model: Model = "mmpm-tiny",
    binarize: Binarize = False,
    exclusive: Exclusive = False,
    interval: Interval = None,
    memory_frames: MemoryFrames = None,
    memory: Annotated[
        str, typer.Option(metavar="|".join(_MEMORY), help="The paper's memory, or XMem's.", callback=one_of(_MEMORY))
    ] = "temporal",
    evict: Annotated[
        str,
        typer.Option(
            metavar="POLICY", help=f"Who goes when memory is full: {', '.join(_EVICT)}.", callback=one_of(_EVICT)
        ),
    ] = _EVICT[0],
    deep_update: Annotated[
        str,
        typer.Option(
            metavar="|".join(_DEEP), help="When memory frames reinforce the hidden state.", callback=one_of(_DEEP)
        ),
    ] = "random",
    top_k: TopK = None,
    chunk: Chunk = 8,
    grid: choose.Grid = 32,
    form: choose.Form = "video",
    large_area: choose.LargeArea = "exact",
    positive_points: choose.PositivePoints = 16,
    negative_points: choose.NegativePoints = 1,
    refinements: choose.Refinements = None,
    iou_threshold: choose.IoUThreshold = None,
    point_tracker: choose.PointTracker = "flow",
    flow: choose.Flow = "dis",
    segment: Annotated[int, typer.Option(min=1, metavar="FRAMES", help="A killed run loses at most so many.")] = 50,
    ndjson: Ndjson = False,
    json: Json = False,
    random_weights: Annotated[
        bool, typer.Option("--random-weights", help="An untrained network, to try things out; its masks mean nothing.")
    ] = False,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: Overwrite = False,
) -> None:
    """Carry masks through a video: any number of tracks, which may overlap.

    Objects are given as masks, or as points and boxes, for which SAM finds the masks; or as sentences, which SgMg finds
    in every frame (--json prints which of its queries answered). With --detect-every objects are found, not given.
    Writes a mask store; without -o it is named after the video. A killed run goes on when the same command is given
    again. Frames are counted from 0; images with numbers in their names go by these.

    Example:
        mugvos propagate video.mp4 --mask first.png -o tracks.h5
        mugvos propagate frames/ --mask car=car.png --mask wheel=wheel.png --mask car=later.png@120
        mugvos propagate video.mp4 --point car=310,240 --point car=400,90,- --box rider=200,80,290,230@12
        mugvos propagate video.mp4 --text "the dog on the left" --text "a red ball" --then mmpm
        mugvos propagate video.mp4 --mask first.png --model sam-pt --sam sam-vit-b
        mugvos propagate video.mp4 --model deva --detect-every 5
        mugvos propagate video.mp4 --mask labels.png --exclusive -o - | mugvos visualize - --video video.mp4
    """
    from dataclasses import replace

    from engine.errors import UsageError
    from engine.propagation.options import MMPMOptions
    from engine.propagation.prompts import parse_mask_prompt, read_prompts
    from engine.propagation.sam_options import SAM_MODELS, SAMOptions
    from engine.propagation.spots import parse_spots
    from engine.video import open_video

    options = MMPMOptions(
        interval=interval,
        memory_frames=memory_frames,
        evict=evict,
        deep_update=cast(Any, deep_update),
        exclusive=exclusive,
        chunk=chunk,
        top_k=top_k,
        seed=seed,
        memory=cast(Any, memory),
        short_side=short_side,
    )
    sam_options = SAMOptions(
        sam=sam,
        grid=grid,
        form=cast(Any, form),
        area=cast(Any, large_area),
        positive_points=positive_points,
        negative_points=negative_points,
        refinements=refinements,
        iou_threshold=iou_threshold,
        point_tracker=point_tracker,
        flow=flow,
        exclusive=exclusive,
        chunk=chunk,
        seed=seed,
    )
    if text:
        if mask or point or box:
            raise UsageError("--text finds its objects itself", "leave --mask, --point and --box out")
        _read_sentences(locals(), options, sam_options)
        return
    if detect_every is not None:
        if mask or point or box:
            raise UsageError("--detect-every finds its objects itself", "leave --mask, --point and --box out")
        _find(locals(), options)
        return
    if then is not None or json:
        raise UsageError(f"{'--json' if json else '--then'} goes with --text", "say what to look for, or leave it out")
    if not (mask or point or box):
        raise UsageError(
            "nothing to propagate", "give --mask, --point, --box or --text, or --model deva --detect-every 5"
        )
    if ndjson and str(output) == "-":
        raise UsageError("--ndjson and -o - both write to standard output", "leave one of them out")
    parsed = [prompt for text in mask or () for prompt in parse_mask_prompt(text)]
    spots = parse_spots(point or (), box or ())
    with open_video(video) as reader:
        prompts = read_prompts(parsed, (reader.info.height, reader.info.width), binarize)
        asks = model in SAM_MODELS
        asker = asker_of(sam, device, precision, random_weights and asks) if spots or asks else None
        if asker is not None:
            sam_options = replace(sam_options, sam=asker.config.name)  # what it is, wherever its file lies
            find_masks(asker, reader, spots, prompts)
        made, arithmetic = _tracker(model, device, precision, options, random_weights, sam_options, asker)
        job = _job(reader, prompts, made, arithmetic, sam_options if asks else options, segment)
        _run(job, _target(output, reader, ndjson), overwrite, ndjson)


def _read_sentences(given: dict[str, Any], options: "MMPMOptions", sam_options: "SAMOptions") -> None:
    """What --text asks for; given: the options of the command by name."""
    from dataclasses import asdict

    from mugvos_cli.text_run import TextRequest, run_text

    def make_tracker(name: str) -> tuple["MadeTracker", str]:
        from engine.propagation.sam_options import SAM_MODELS

        asker = asker_of(given["sam"], given["device"], given["precision"], False) if name in SAM_MODELS else None
        return _tracker(name, given["device"], given["precision"], options, False, sam_options, asker)

    same = ("video", "model", "then", "window", "short_side", "exclusive", "output", "ndjson", "json", "device")
    more = ("precision", "random_weights", "overwrite", "segment")
    run_text(
        TextRequest(
            sentences=given["text"],
            encoder=given["text_encoder"],
            raw=given["raw_text"],
            options={name: value for name, value in asdict(options).items() if name != "chunk"},
            make_tracker=make_tracker,
            **{name: given[name] for name in (*same, *more)},
        )
    )


def _find(given: dict[str, Any], options: "MMPMOptions") -> None:
    """What --detect-every asks for; given: the options of the command by name."""
    from engine.errors import UsageError
    from engine.propagation.detecting_factory import DetectingOptions
    from mugvos_cli.detect_run import DetectRequest, run_detecting

    if given["ndjson"] and str(given["output"]) == "-":
        raise UsageError("--ndjson and -o - both write to standard output", "leave one of them out")
    limits = given["max_missed"], given["max_objects"], given["grid"], given["large_first"]
    detecting = DetectingOptions(given["detect_every"], given["voting"], *limits)
    same = (
        "video",
        "model",
        "sam",
        "output",
        "ndjson",
        "device",
        "precision",
        "random_weights",
        "overwrite",
        "segment",
    )
    run_detecting(DetectRequest(options=options, detecting=detecting, **{name: given[name] for name in same}))


def _tracker(
    model: str,
    device: str,
    precision: str,
    options: "MMPMOptions",
    random_weights: bool,
    sam_options: "SAMOptions",
    asker: "MadeAsker | None",
) -> tuple["MadeTracker", str]:
    """The tracker, and the arithmetic that its results follow from."""
    from engine.propagation.factory import FLOW_MODELS, make_tracker
    from engine.propagation.sam_options import SAM_MODELS
    from engine.runtime.allocator import tune_allocator
    from engine.runtime.device import resolve_device
    from engine.runtime.precision import resolve_precision

    tune_allocator()
    place = resolve_device(device)
    dtype = resolve_precision(precision, place, on_cpu=model not in (*FLOW_MODELS, *SAM_MODELS))
    made = make_tracker(model, place, dtype, options, random_weights, sam_options, asker, console.warn)
    if made.random_weights:
        console.warn(f"{made.model} has random weights; its masks mean nothing")
    return made, str(dtype).removeprefix("torch.")


def _job(
    reader: "VideoReader",
    prompts: "PromptSet",
    made: "MadeTracker",
    arithmetic: str,
    options: "MMPMOptions | SAMOptions",
    segment: int,
) -> "Job":
    from dataclasses import asdict

    from engine.propagation.job import Job
    from engine.video.fingerprint import fingerprint
    from engine.weights.digest import file_digest

    parameters: dict[str, Any] = {
        "video": fingerprint(reader.info.source),
        "prompts": prompts.digest(),
        "model": made.model,
        "weights": file_digest(made.weights) if made.weights else "random" if made.random_weights else "none",
        "precision": arithmetic,
        "options": {name: value for name, value in asdict(options).items() if name != "chunk"},
    }
    return Job(reader, prompts, made.tracker, reader.info.name, options.exclusive, parameters, segment)


def _target(output: Path | None, reader: "VideoReader", ndjson: bool) -> Path | None:
    """Where the store goes; None for lines alone."""
    if output is None and not ndjson:
        output = Path(f"{reader.info.name}.h5")
        console.info(f"writing {output}")
    return output


def _run(job: "Job", output: Path | None, overwrite: bool, ndjson: bool) -> None:
    from engine.propagation.job import stream, write_store

    total = job.video.info.frame_count
    names = {track.id: track.name for track in job.prompts.tracks}
    lines = mask_lines(job.name, job.video.info, names.__getitem__) if ndjson else None
    with stoppable() as should_stop, console.progress("propagating", total) as done:

        def on_frame(index: int) -> None:
            done(index + 1, total)

        if output is None:
            assert lines is not None
            outcome = stream(job, lines, on_frame, should_stop)
        else:
            outcome = write_store(job, output, overwrite, on_frame, lines, should_stop)
    if outcome.resumed_at:
        console.info(f"went on from frame {outcome.resumed_at}")
    if output is not None:
        console.info(f"{output}: {_counted(outcome.tracks, 'track')}, {_counted(outcome.frames, 'frame')}")


def _counted(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
