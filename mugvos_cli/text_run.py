"""What `mugvos propagate --text` does: sentences, a model that reads them, and what is said about it.

Knows the options and the console. The work is engine.propagation.text and .handover.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mugvos_cli import console
from mugvos_cli.interrupt import stoppable
from mugvos_cli.lines import mask_lines
from mugvos_cli.targets import refuse_inputs

if TYPE_CHECKING:
    from engine.propagation.factory import MadeTracker
    from engine.propagation.handover import Handed
    from engine.propagation.text import TextJob, TextOutcome
    from engine.propagation.text_factory import MadeAsker
    from engine.video import VideoReader

USUAL_THEN = {"mmpm": "mmpm-tiny"}
_MASK_MODEL = "mmpm-tiny"


@dataclass(frozen=True)
class TextRequest:
    """All that the user said. make_tracker: from the name given to --then to a fresh tracker and its arithmetic."""

    video: str
    sentences: list[str]
    model: str
    then: str | None
    encoder: Path | None
    raw: bool
    window: int
    short_side: int | None
    exclusive: bool
    output: Path | None
    ndjson: bool
    json: bool
    device: str
    precision: str
    random_weights: bool
    overwrite: bool
    segment: int
    options: dict[str, Any]
    make_tracker: Callable[[str], tuple["MadeTracker", str]]


def run_text(asked: TextRequest) -> None:
    """Answer, hand over where that is asked for, and say where the result is."""
    from engine.video import open_video

    _check(asked)
    with open_video(asked.video) as reader:
        made, arithmetic = _asker(asked)
        job = _job(asked, reader, made, arithmetic)
        output = asked.output
        if output is None and not asked.ndjson:
            output = Path(f"{reader.info.name}.h5")
            console.info(f"writing {output}")
        if asked.then is None:
            outcome: TextOutcome | Handed = _answer(asked, job, output)
        else:
            outcome = _hand_over(asked, job, output)
    _report(asked, made, outcome, output)


def _check(asked: TextRequest) -> None:
    from engine.errors import UsageError

    refuse_inputs(asked.output, [asked.video, asked.model, asked.then])
    outputs = {"--ndjson": asked.ndjson, "--json": asked.json, "-o -": str(asked.output) == "-"}
    both = [name for name, chosen in outputs.items() if chosen]
    if len(both) > 1:
        raise UsageError(f"{' and '.join(both)} all write to standard output", "leave all but one of them out")


def _asker(asked: TextRequest) -> tuple["MadeAsker", str]:
    """Whoever answers, and the arithmetic; float32 unless asked otherwise, as scores of queries lie close together."""
    from engine.propagation.text_factory import USUAL, TextOptions, make_text_asker
    from engine.runtime.allocator import tune_allocator
    from engine.runtime.device import resolve_device
    from engine.runtime.precision import resolve_precision

    tune_allocator()
    place = resolve_device(asked.device)
    dtype = resolve_precision("fp32" if asked.precision == "auto" else asked.precision, place)
    model = USUAL if asked.model in (_MASK_MODEL, "sgmg") else asked.model
    options = TextOptions(asked.exclusive, asked.raw, asked.short_side, asked.encoder)
    made = make_text_asker(model, asked.sentences, options, place, dtype, asked.random_weights)
    if made.random_weights:
        console.warn(f"{made.model} has random weights; its masks mean nothing")
    if made.published is not None:
        console.info(f"{made.model}: licence {made.published.licence} ({made.published.citation})")
    return made, str(dtype).removeprefix("torch.")


def _job(asked: TextRequest, reader: "VideoReader", made: "MadeAsker", arithmetic: str) -> "TextJob":
    from engine.propagation.text import TextJob
    from engine.video.fingerprint import identity
    from engine.weights.digest import weights_used

    parameters = {
        "video": identity(reader),
        "text": asked.sentences,
        "ids": made.ids,
        "model": made.model,
        "weights": weights_used(made.weights),
        "precision": arithmetic,
        "options": {"exclusive": asked.exclusive, "window": asked.window, "short_side": made.asker.short_side},
    }
    return TextJob(reader, asked.sentences, made.asker, reader.info.name, parameters, asked.window)


def _answer(asked: TextRequest, job: "TextJob", output: Path | None) -> "TextOutcome":
    from engine.propagation.text import stream_text, write_text_store

    total = job.video.info.frame_count
    lines = mask_lines(job.name, job.video.info, _sentence_of(job)) if asked.ndjson else None
    with stoppable("this group of frames") as should_stop, console.progress("looking", total) as done:

        def on_frame(frames: float) -> None:
            done(int(frames), total)

        if output is None:
            assert lines is not None
            return stream_text(job, lines, on_frame, should_stop)
        outcome = write_text_store(job, output, asked.overwrite, on_frame, lines, should_stop)
    if outcome.resumed_at:
        console.info(f"went on from frame {outcome.resumed_at}")
    return outcome


def _hand_over(asked: TextRequest, job: "TextJob", output: Path | None) -> "Handed":
    from engine.propagation.handover import Handover, write_handed_over
    from engine.weights.digest import weights_used

    assert asked.then is not None
    name = USUAL_THEN.get(asked.then, asked.then)
    first, arithmetic = asked.make_tracker(name)
    trackers = iter([first.tracker])
    parameters = {
        "model": first.model,
        "weights": weights_used(first.weights, first.random_weights),
        "precision": arithmetic,
        "options": asked.options,
    }
    work = Handover(
        job,
        lambda: next(trackers, None) or asked.make_tracker(name)[0].tracker,
        asked.exclusive,
        parameters,
        asked.segment,
    )
    with _file(output) as path, stoppable() as should_stop, _stages() as on_frame:
        handed = write_handed_over(work, path, asked.overwrite, on_frame, should_stop)
        if asked.ndjson:
            _print_store(job, path)
    return handed


@contextmanager
def _file(output: Path | None) -> Iterator[Path]:
    """The output, or a file that is thrown away where only lines are printed."""
    from engine.store.spool import spooled_output

    if output is not None:
        with spooled_output(output) as path:
            yield path
        return
    with tempfile.TemporaryDirectory(prefix="mugvos-") as folder:
        yield Path(folder) / "tracks.h5"


@contextmanager
def _stages() -> Iterator[Callable[[str, float, int | None], None]]:
    """One progress display after the other, by the name of the stage."""
    from contextlib import ExitStack

    shown: dict[str, Any] = {}
    with ExitStack() as bars:

        def on_frame(stage: str, done: float, total: int | None) -> None:
            if stage not in shown:
                bars.close()
                shown[stage] = bars.enter_context(console.progress(stage, total))
            shown[stage](int(done), total)

        yield on_frame


def _report(asked: TextRequest, made: "MadeAsker", outcome: "TextOutcome | Handed", output: Path | None) -> None:
    """Where the result is; with --json which queries were chosen."""
    best = getattr(outcome, "best", None)
    for track, sentence in enumerate(asked.sentences, 1):
        if best is not None and track not in best:
            console.warn(f"{sentence!r} was found in no frame; its track is empty")
    if output is not None:
        tracks, frames = len(asked.sentences), outcome.frames
        console.info(f"{output}: {console.counted(tracks, 'track')}, {console.counted(frames, 'frame')}")
    if asked.json:
        handed = {str(t): {"frame": frame, "score": score} for t, (frame, score) in (best or {}).items()}
        document = {
            "schema": 1,
            "output": str(output),
            "model": made.model,
            "licence": made.published.licence if made.published else None,
            "frames": outcome.frames,
            "windows": outcome.choices,
        }
        console.emit_json(document if best is None else {**document, "handed_over": handed})


def _sentence_of(job: "TextJob") -> Callable[[int], str]:
    return lambda track: job.sentences[track - 1]


def _print_store(job: "TextJob", path: Path) -> None:
    import math

    from engine.store import StoreReader

    say = mask_lines(job.name, job.video.info, _sentence_of(job))
    with StoreReader(path) as store:
        clip = store.clip(job.name)
        for frame, time in zip(clip.frames, clip.times, strict=True):
            say(frame, None if math.isnan(time) else time, clip.records(frame))
