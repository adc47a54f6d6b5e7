"""`mugvos propagate`: masks of some frames carried through a video."""

from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from mugvos_cli import detect_options as about_finding
from mugvos_cli import propagate_options as choose
from mugvos_cli import text_options as about_text
from mugvos_cli.options import Device, Json, Model, Ndjson, Output, Overwrite, Precision, Seed, one_of
from mugvos_cli.propagate_run import MaskRequest, limit_memory_of, one_stdout, run_masks, tracker_of
from mugvos_cli.spots_run import asker_of
from mugvos_cli.targets import refuse_other_kinds

if TYPE_CHECKING:
    from engine.propagation.factory import MadeTracker
    from engine.propagation.options import MMPMOptions
    from engine.propagation.sam_options import SAMOptions

Video = Annotated[
    str,
    typer.Argument(
        metavar="VIDEO", help="File, folder of images, glob, list of images (.txt), - for a pipe, or a camera's number."
    ),
]
Binarize = Annotated[bool, typer.Option("--binarize", help="Cut masks with smoothed edges at half.")]
Exclusive = Annotated[bool, typer.Option("--exclusive", help="Tracks compete: a pixel belongs to one at most.")]
Interval = Annotated[int | None, typer.Option(min=1, help="Frames between memory frames; default: the model's.")]
MemoryFrames = Annotated[int | None, typer.Option(min=1, help="Most frames remembered; default: the model's.")]
TopK = Annotated[int | None, typer.Option(min=1, help="Memory positions read for each place; default: the model's.")]
Chunk = Annotated[int, typer.Option(min=1, help="Most tracks in one pass of the network; never changes the result.")]
Offload = Annotated[bool, typer.Option("--offload", help="Keep the memory in the computer's RAM, not on the GPU.")]
_DEEP = ("random", "memory", "never")
_EVICT = ("random_except_first_last", "random_except_first", "random", "fifo", "not_filter")
_MEMORY = ("temporal", "long-term")


def propagate(
    ctx: typer.Context,
    video: Video,
    live: choose.Live = False,
    raw: choose.Raw = None,
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
    chunk: Chunk = 16,
    offload: Offload = False,
    compile: choose.Compile = False,
    graphs: choose.Graphs = False,
    decode: choose.Decode = "auto",
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
    profile: choose.Profile = None,
    memory_limit: choose.MemoryLimit = None,
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
        mugvos generate video.mp4 -o found.h5 && mugvos propagate video.mp4 --mask found.h5 -o tracks.h5
        mugvos propagate video.mp4 --model deva --detect-every 5
        mugvos propagate video.mp4 --mask labels.png --exclusive -o - | mugvos visualize - --video video.mp4
        mugvos propagate 0 --box 200,80,290,230 --ndjson
        ffmpeg -i video.mp4 -f yuv4mpegpipe - | mugvos propagate - --mask first.png -o tracks.h5
    """
    from engine.errors import UsageError
    from engine.propagation.options import MMPMOptions
    from engine.propagation.sam_options import SAMOptions

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
        offload=offload,
        compile=compile,
        graphs=graphs,
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
    refuse_other_kinds(output)
    _refuse_idle_options(ctx, text, detect_every)
    if text:
        if mask or point or box:
            raise UsageError("--text finds its objects itself", "leave --mask, --point and --box out")
        _refuse("--text reads a video in windows", live=live, raw=raw, profile=profile, decode=decode == "cuda")
        if then is None:
            _refuse("--text alone asks no tracker", compile=compile, graphs=graphs)
        limit_memory_of(memory_limit, device)
        _read_sentences(locals(), options, sam_options)
        return
    if then is not None:
        raise UsageError("--then goes with --text", "say what to look for, or leave it out")
    if detect_every is not None:
        if mask or point or box:
            raise UsageError("--detect-every finds its objects itself", "leave --mask, --point and --box out")
        _refuse("--detect-every looks at several frames at once", live=live)
        _refuse("--detect-every shows its frames to SAM", decode=decode == "cuda")
        limit_memory_of(memory_limit, device)
        _find(locals(), options)
        return
    if not (mask or point or box):
        raise UsageError(
            "nothing to propagate", "give --mask, --point, --box or --text, or --model deva --detect-every 5"
        )
    same = ("video", "raw", "live", "sam", "model", "binarize", "options", "sam_options", "output", "ndjson", "json")
    more = ("profile", "memory_limit", "device", "precision", "random_weights", "overwrite", "segment", "decode")
    given = locals()
    run_masks(
        MaskRequest(
            masks=mask or [], points=point or [], boxes=box or [], **{name: given[name] for name in (*same, *more)}
        )
    )


def _refuse_idle_options(ctx: typer.Context, text: list[str] | None, detect_every: int | None) -> None:
    """Raises UsageError for what was said about sentences, or about finding, on a command line that asks for neither.

    Environment and mugvos.toml are defaults for every run, and may say it.
    """
    from engine.errors import UsageError

    if text and detect_every is not None:
        raise UsageError("--text and --detect-every both find the objects", "leave one of them out")
    idle = {
        "--text": () if text else ("raw_text", "window", "text_encoder"),
        "--detect-every": () if detect_every else ("voting", "max_missed", "max_objects", "large_first"),
    }
    for needed, names in idle.items():
        for name in names:
            source = ctx.get_parameter_source(name)
            if source is not None and source.name == "COMMANDLINE":
                raise UsageError(f"--{name.replace('_', '-')} goes with {needed}", "leave it out")


def _refuse(why: str, **unusable: object) -> None:
    """Raises UsageError for options that were given and cannot be followed."""
    from engine.errors import UsageError

    given = next((name for name, value in unusable.items() if value), None)
    if given is not None:
        raise UsageError(f"{why}, so --{given} cannot be had", "leave it out, or give --mask, --point or --box")


def _read_sentences(given: dict[str, Any], options: "MMPMOptions", sam_options: "SAMOptions") -> None:
    """What --text asks for; given: the options of the command by name."""
    from dataclasses import replace

    from engine.propagation.options import deciding
    from mugvos_cli.text_run import TextRequest, run_text

    def make_tracker(name: str) -> tuple["MadeTracker", str]:
        from engine.propagation.sam_options import SAM_MODELS

        asker = asker_of(given["sam"], given["device"], given["precision"], False) if name in SAM_MODELS else None
        following = replace(options, short_side=None)  # --short-side is of what the sentences are looked for in
        return tracker_of(name, given["device"], given["precision"], following, False, sam_options, asker)

    same = ("video", "model", "then", "window", "short_side", "exclusive", "output", "ndjson", "json", "device")
    more = ("precision", "random_weights", "overwrite", "segment")
    run_text(
        TextRequest(
            sentences=given["text"],
            encoder=given["text_encoder"],
            raw=given["raw_text"],
            options=deciding(options),
            make_tracker=make_tracker,
            **{name: given[name] for name in (*same, *more)},
        )
    )


def _find(given: dict[str, Any], options: "MMPMOptions") -> None:
    """What --detect-every asks for; given: the options of the command by name."""
    from engine.propagation.detecting_factory import DetectingOptions
    from mugvos_cli.detect_run import DetectRequest, run_detecting

    one_stdout(given["output"], given["ndjson"], given["json"])
    limits = given["max_missed"], given["max_objects"], given["grid"], given["large_first"]
    detecting = DetectingOptions(given["detect_every"], given["voting"], *limits)
    same = ("video", "raw", "model", "sam", "output", "ndjson", "json", "profile", "device", "precision")
    more = ("random_weights", "overwrite", "segment")
    run_detecting(DetectRequest(options=options, detecting=detecting, **{name: given[name] for name in (*same, *more)}))
