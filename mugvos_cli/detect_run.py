"""What `mugvos propagate --detect-every` does: DEVA finds objects with a SAM and follows them.

Knows the options and the console. The work is engine.propagation.detecting_job.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mugvos_cli import console
from mugvos_cli.interrupt import stoppable
from mugvos_cli.lines import mask_lines
from mugvos_cli.propagate_run import profiled, refuse_profiled_graphs, target
from mugvos_cli.targets import keep_inputs

if TYPE_CHECKING:
    from engine.propagation.detecting_factory import DetectingOptions, MadeLoop
    from engine.propagation.detecting_job import DetectingJob
    from engine.propagation.options import MMPMOptions
    from engine.runtime.profile import Profile
    from engine.video import VideoReader


@dataclass(frozen=True)
class DetectRequest:
    """All that the user said."""

    video: str
    raw: str | None
    model: str
    sam: str
    options: "MMPMOptions"
    detecting: "DetectingOptions"
    output: Path | None
    ndjson: bool
    json: bool
    profile: Path | None
    device: str
    precision: str
    random_weights: bool
    overwrite: bool
    segment: int


def run_detecting(asked: DetectRequest) -> None:
    """Find, follow, and say where the result is."""
    from engine.errors import UsageError
    from engine.video import is_camera, open_stream

    if is_camera(asked.video):
        raise UsageError("--detect-every looks at several frames at once, so it follows no camera", "give a video")
    refuse_profiled_graphs(asked.profile, asked.options)
    keep_inputs(asked.output, asked.profile, [asked.video, asked.model, asked.sam])
    with open_stream(asked.video, asked.raw) as reader:
        made, arithmetic = _loop(asked)
        with profiled(asked.profile, asked.device, made.loop.tracker) as profile:
            job = _job(asked, reader, made, arithmetic, profile)
            _run(job, target(asked.output, reader, asked.ndjson), asked)


def _loop(asked: DetectRequest) -> tuple["MadeLoop", str]:
    """DEVA and SAM, and the arithmetic that the results follow from."""
    from engine.propagation.detecting_factory import make_loop
    from engine.runtime.allocator import tune_allocator
    from engine.runtime.device import resolve_device
    from engine.runtime.precision import resolve_precision

    tune_allocator()
    place = resolve_device(asked.device)
    dtype = resolve_precision(asked.precision, place, on_cpu=True)
    of_sam = resolve_precision(asked.precision, place)
    models = asked.model, asked.sam, place, dtype, of_sam
    made = make_loop(*models, asked.options, asked.detecting, asked.random_weights, console.warn)
    if made.weights is None:
        console.warn(f"{made.model} has random weights; its masks mean nothing")
    return made, str(dtype).removeprefix("torch.")


def _job(
    asked: DetectRequest, reader: "VideoReader", made: "MadeLoop", arithmetic: str, profile: "Profile | None"
) -> "DetectingJob":
    from engine.propagation.detecting_job import DetectingJob
    from engine.propagation.options import deciding
    from engine.video.fingerprint import identity
    from engine.weights.digest import weights_used

    parameters: dict[str, Any] = {
        "video": identity(reader),
        "model": made.model,
        "weights": weights_used(made.weights),
        "sam": made.sam,
        "sam_weights": weights_used(made.sam_weights),
        "precision": arithmetic,
        "options": deciding(asked.options),
        "detecting": asdict(asked.detecting),
    }
    return DetectingJob(reader, made.loop, reader.info.name, parameters, asked.segment, profile)


def _run(job: "DetectingJob", output: Path | None, asked: DetectRequest) -> None:
    from engine.propagation.detecting_job import stream_detected, write_detected_store

    total = job.video.info.frame_count
    lines = mask_lines(job.name, job.video.info, str) if asked.ndjson else None
    with stoppable() as should_stop, console.progress("finding and following", total) as done:

        def on_frame(index: int) -> None:
            done(index + 1, total)

        if output is None:
            assert lines is not None
            outcome = stream_detected(job, lines, on_frame, should_stop)
        else:
            outcome = write_detected_store(job, output, asked.overwrite, on_frame, lines, should_stop)
    if outcome.resumed_at:
        console.info(f"went on from frame {outcome.resumed_at}")
    if not outcome.tracks:
        console.warn("no object was found")
    if output is not None:
        tracks, frames = console.counted(outcome.tracks, "track"), console.counted(outcome.frames, "frame")
        console.info(f"{output}: {tracks}, {frames}")
    if asked.json:
        document = {"schema": 1, "output": str(output), "tracks": outcome.tracks, "frames": outcome.frames}
        console.emit_json({**document, "resumed_at": outcome.resumed_at})
