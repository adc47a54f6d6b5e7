"""What `mugvos propagate` does with masks, points and boxes: a tracker, a video that may be live, and the results.

Knows the options and the console. The work is engine.propagation.job.
"""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mugvos_cli import console
from mugvos_cli.interrupt import GO_ON, stoppable
from mugvos_cli.lines import mask_lines
from mugvos_cli.spots_run import asker_of, find_masks
from mugvos_cli.targets import keep_inputs

if TYPE_CHECKING:
    from engine.propagation.factory import MadeTracker
    from engine.propagation.job import Job, Outcome
    from engine.propagation.options import MMPMOptions
    from engine.propagation.prompts import PromptSet
    from engine.propagation.sam_factory import MadeAsker
    from engine.propagation.sam_options import SAMOptions
    from engine.propagation.tracker import Tracker
    from engine.runtime.profile import Profile
    from engine.video import VideoReader


@dataclass(frozen=True)
class MaskRequest:
    """All that the user said. Texts are as on the command line."""

    video: str
    raw: str | None
    live: bool
    masks: list[str]
    points: list[str]
    boxes: list[str]
    sam: str
    model: str
    binarize: bool
    options: "MMPMOptions"
    sam_options: "SAMOptions"
    output: Path | None
    ndjson: bool
    json: bool
    profile: Path | None
    memory_limit: str | None
    device: str
    precision: str
    random_weights: bool
    overwrite: bool
    segment: int
    decode: str


@dataclass(frozen=True)
class _Models:
    """The tracker, the arithmetic its results follow from, the options they do; the SAM, if one is asked."""

    tracker: "MadeTracker"
    arithmetic: str
    options: "MMPMOptions | SAMOptions"
    asker: "MadeAsker | None"


def run_masks(asked: MaskRequest) -> None:
    """Propagate, and say where the result is. A live video is opened last, so that its first frame is a fresh one."""
    from engine.propagation.prompts import parse_mask_prompt, read_prompts
    from engine.propagation.spots import parse_spots
    from engine.video import is_camera

    one_stdout(asked.output, asked.ndjson, asked.json)
    refuse_profiled_graphs(asked.profile, asked.options)
    parsed = [prompt for text in asked.masks for prompt in parse_mask_prompt(text)]
    _check_one_stdin([Path(asked.video), *(prompt.path for prompt in parsed)])
    keep_inputs(asked.output, asked.profile, [asked.video, *(it.path for it in parsed), asked.model, asked.sam])
    spots = parse_spots(asked.points, asked.boxes)
    live = asked.live or is_camera(asked.video)
    if live:
        _check_first_frame([prompt.frame or 0 for prompt in parsed] + [spot.frame for spot in spots])
    models = _models(asked, bool(spots)) if live else None
    with _opened(asked) as reader:
        shape = reader.info.height, reader.info.width
        prompts = read_prompts(parsed, shape, asked.binarize, reader.info.name)
        if live:
            _check_first_frame(prompts.masks)
        models = models or _models(asked, bool(spots))
        if models.asker is not None:
            with _for_sam(asked, reader) as pictures:
                find_masks(models.asker, pictures, spots, prompts)
        if asked.memory_limit is not None:
            _check_memory(models.tracker.tracker, len(prompts.tracks), shape)
        with profiled(asked.profile, asked.device, models.tracker.tracker) as profile:
            _run(_job(asked, reader, prompts, models, profile), asked, models.tracker.model)


def _opened(asked: MaskRequest) -> "VideoReader":
    """The video, decoded where the user wants it to be."""
    from engine.errors import UsageError
    from engine.runtime.device import resolve_device
    from engine.video import open_on_card, open_stream

    if asked.decode != "cuda":
        return open_stream(asked.video, asked.raw, asked.live)
    place = resolve_device(asked.device)
    if place.type != "cuda":
        raise UsageError(f"--decode cuda: frames would be decoded on a card and looked at on {place}", "leave it out")
    if asked.raw or asked.live:
        raise UsageError(f"--decode cuda reads video files, --{'raw' if asked.raw else 'live'} pipes", "choose one")
    return open_on_card(asked.video, str(place), console.warn)


@contextmanager
def _for_sam(asked: MaskRequest, reader: "VideoReader") -> Iterator["VideoReader"]:
    """The video in the computer's own memory, where SAM looks at it."""
    from engine.video import CardReader, open_video

    if not isinstance(reader, CardReader):
        yield reader
        return
    with open_video(asked.video) as pictures:
        yield pictures


def one_stdout(output: Path | None, ndjson: bool, json: bool) -> None:
    """Raises UsageError where more than one result would go to standard output."""
    from engine.errors import UsageError

    outputs = {"--ndjson": ndjson, "--json": json, "-o -": str(output) == "-"}
    chosen = [name for name, wanted in outputs.items() if wanted]
    if len(chosen) > 1:
        raise UsageError(
            f"{' and '.join(chosen)} {'all' if len(chosen) > 2 else 'both'} write to standard output",
            "leave all but one of them out",
        )


def tracker_of(
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


def limit_memory_of(text: str | None, device: str) -> None:
    """What --memory-limit says, from here on."""
    from engine.runtime.device import resolve_device
    from engine.runtime.memory import limit_memory, parse_size

    limit_memory(None if text is None else parse_size(text), resolve_device(device))


def refuse_profiled_graphs(profile: Path | None, options: "MMPMOptions") -> None:
    """A profile waits for the card around every part, on every thread; nothing may while a graph is recorded."""
    from engine.errors import UsageError

    if profile is not None and options.graphs:
        raise UsageError("--profile waits for the card where --graphs must not be disturbed", "leave one of them out")


@contextmanager
def profiled(path: Path | None, device: str, tracker: Any) -> Iterator["Profile | None"]:
    """A profile of what follows, where one is wanted, and its table at the end."""
    if path is None:
        yield None
        return
    import torch

    from engine.propagation.profiling import watch_propagation
    from engine.runtime.device import resolve_device
    from engine.runtime.profile import Profile

    settle = torch.cuda.synchronize if resolve_device(device).type == "cuda" else None
    with Profile(path, settle) as profile:
        watch_propagation(profile, tracker)
        yield profile
    for row in profile.table():
        beside = f"  (thread: {row.thread})" if row.thread else ""
        console.info(f"{row.seconds:9.2f} s {row.share:6.1%} {row.calls:7d}x  {row.name}{beside}")
    console.info(f"{path}: {profile.seconds:.2f} s in all; open it with chrome://tracing or ui.perfetto.dev")


def _check_one_stdin(paths: Iterable[Path]) -> None:
    from engine.errors import UsageError
    from engine.propagation.stored import is_stdin

    if sum(map(is_stdin, paths)) > 1:
        raise UsageError("standard input is asked for more than once", "write the video or the masks to a file first")


def _check_first_frame(frames: Iterable[int]) -> None:
    from engine.errors import UsageError

    late = next((frame for frame in frames if frame), None)
    if late is not None:
        raise UsageError(
            f"a mask or point is given on frame {late} of a live video", "give all on its first frame: leave @ out"
        )


def _check_memory(tracker: "Tracker", tracks: int, shape: tuple[int, int]) -> None:
    """Raises MemoryLimitError where what all tracks hold together does not fit, however small the batches are."""
    from engine.propagation.holding import held_bytes
    from engine.runtime.memory import check_room

    what = f"a run with {console.counted(tracks, 'track')} of {shape[1]}x{shape[0]}"
    hint = "raise --memory-limit, or use smaller frames or fewer tracks"
    check_room(held_bytes(tracker, tracks, shape), what, hint)


def _models(asked: MaskRequest, has_spots: bool) -> _Models:
    from engine.errors import UsageError
    from engine.propagation.ahead import preparation
    from engine.propagation.sam_options import SAM_MODELS

    limit_memory_of(asked.memory_limit, asked.device)
    asks, sam_options = asked.model in SAM_MODELS, asked.sam_options
    asker = None
    if has_spots or asks:
        asker = asker_of(asked.sam, asked.device, asked.precision, asked.random_weights and asks)
        sam_options = replace(sam_options, sam=asker.config.name)  # what it is, wherever its file lies
    how = asked.device, asked.precision, asked.options, asked.random_weights, sam_options, asker
    made, arithmetic = tracker_of(asked.model, *how)
    if asked.decode == "cuda" and preparation(made.tracker) is None:
        raise UsageError(f"--decode cuda: {made.model} looks at frames in the computer's own memory", "leave it out")
    return _Models(made, arithmetic, sam_options if asks else asked.options, asker)


def _job(
    asked: MaskRequest, reader: "VideoReader", prompts: "PromptSet", models: _Models, profile: "Profile | None"
) -> "Job":
    from engine.propagation.job import Job
    from engine.propagation.options import deciding
    from engine.video import LiveReader
    from engine.video.fingerprint import identity
    from engine.weights.digest import weights_used

    made = models.tracker
    parameters: dict[str, Any] = {
        "video": identity(reader),
        "prompts": prompts.digest(),
        "model": made.model,
        "weights": weights_used(made.weights, made.random_weights),
        "precision": models.arithmetic,
        "options": deciding(models.options),
    }
    if asked.decode == "cuda":  # a card's colours differ by rounding, and so may what follows from them
        parameters["decode"] = asked.decode
    exclusive, name = models.options.exclusive, reader.info.name

    def at_end() -> dict[str, Any]:
        return {"live": reader.report().as_dict()} if isinstance(reader, LiveReader) else {}

    return Job(reader, prompts, made.tracker, name, exclusive, parameters, asked.segment, at_end, profile)


def _run(job: "Job", asked: MaskRequest, model: str) -> None:
    from engine.propagation.job import stream, write_store
    from engine.video import LiveReader

    output, reader = target(asked.output, job.video, asked.ndjson), job.video
    total = reader.info.frame_count
    names = {track.id: track.name for track in job.prompts.tracks}
    lines = mask_lines(job.name, reader.info, names.__getitem__) if asked.ndjson else None
    live = reader if isinstance(reader, LiveReader) else None
    with ExitStack() as around:
        should_stop = around.enter_context(stoppable(then="" if live or output is None else GO_ON))
        done = around.enter_context(console.progress("propagating", total))
        if live is not None:
            live.stop_when(should_stop)

        def on_frame(index: int) -> None:
            done(index + 1, total)
            if live is not None:
                live.done(index)

        stop = should_stop if live is None else lambda: False  # the video itself ends then, and the store is whole
        if output is None:
            assert lines is not None
            outcome = stream(job, lines, on_frame, stop)
        else:
            outcome = write_store(job, output, asked.overwrite, on_frame, lines, stop)
        stopped = should_stop()
    _report(job, asked, model, outcome, output)
    if live is not None:
        _end_of_live(live, stopped, output)


def target(output: Path | None, reader: "VideoReader", ndjson: bool) -> Path | None:
    """Where the store goes; None for lines alone."""
    if output is None and not ndjson:
        output = Path(f"{reader.info.name}.h5")
        console.info(f"writing {output}")
    return output


def _report(job: "Job", asked: MaskRequest, model: str, outcome: "Outcome", output: Path | None) -> None:
    if outcome.resumed_at:
        console.info(f"went on from frame {outcome.resumed_at}")
    if output is not None:
        tracks, frames = console.counted(outcome.tracks, "track"), console.counted(outcome.frames, "frame")
        console.info(f"{output}: {tracks}, {frames}")
    if asked.json:
        listed = [{"id": t.id, "name": t.name, "first_frame": t.first_frame} for t in job.prompts.tracks]
        document = {"schema": 1, "output": str(output), "model": model, "tracks": listed, "frames": outcome.frames}
        console.emit_json({**document, "resumed_at": outcome.resumed_at, **job.at_end()})


def _end_of_live(live: Any, stopped: bool, output: Path | None) -> None:
    """Latency and lost frames; then the exit status of a source that broke off, or of Ctrl-C."""
    from engine.errors import PartialError

    found = live.report()
    if found.median is not None:
        late = f"latency {1000 * found.median:.0f} ms in the middle, {1000 * found.late:.0f} ms at 95 %"
        console.info(f"{console.counted(found.captured, 'frame')} came, {found.dropped} were dropped; {late}")
    kept = f"{output} is complete up to there" if output is not None else "what was printed is complete"
    if stopped:
        raise KeyboardInterrupt(f"stopped as asked; {kept}")
    if live.fault is not None:
        raise PartialError(live.fault.what, kept)
