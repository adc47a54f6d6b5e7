"""`mugvos evaluate`: reads options, opens both sides, and shows the report of engine.evaluation."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import PartialError, UsageError
from mugvos_cli import console
from mugvos_cli.options import FORMATS, Clip, Format, Jobs, Json, Overwrite, completing, one_of

if TYPE_CHECKING:
    from engine.evaluation import Report
    from engine.store.source import MaskSource

PROTOCOLS = ("mug", "davis")
PROBLEMS_SHOWN = 10

TABLE_COLUMNS = ("clip", "tracks", "frames", "J&F", "J", "F")
TRACK_COLUMNS = ("clip", "track", "frames", "J&F", "J", "F")


def evaluate(
    predictions: Annotated[str, typer.Argument(metavar="PREDS", help="A mask store, a tree of PNGs, JSON, or -.")],
    truth: Annotated[str, typer.Option("--gt", metavar="GT", help="The ground truth, in any of the same forms.")],
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="|".join(PROTOCOLS),
            help="What is judged; davis for label images and mug for tracks if not given.",
            callback=one_of(PROTOCOLS),
            autocompletion=completing(PROTOCOLS),
        ),
    ] = None,
    json_: Json = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write one row a track; - is standard output.")
    ] = None,
    per_track: Annotated[bool, typer.Option("--per-track", help="One line a track instead of one a clip.")] = False,
    clip: Clip = None,
    strict: Annotated[bool, typer.Option("--strict", help="Stop if any prediction is missing.")] = False,
    format: Format = None,
    gt_format: Annotated[
        str | None,
        typer.Option(
            "--gt-format",
            metavar="|".join(FORMATS),
            help="Format of the truth; found out from the file if not given.",
            callback=one_of(FORMATS),
            autocompletion=completing(FORMATS),
        ),
    ] = None,
    jobs: Jobs = 0,
    overwrite: Overwrite = False,
) -> None:
    """Score masks against ground truth: region similarity J, boundary accuracy F, and their mean J&F.

    A prediction that is missing scores 0 and is listed on standard error; the exit status is then 1. With --strict it
    stops the evaluation.

    Examples:
      mugvos evaluate tracks.h5 --gt mug_vos_test_v1
      mugvos evaluate results/ --gt DAVIS/Annotations/480p --protocol davis --csv scores.csv
    """
    from engine.evaluation import evaluate as score
    from engine.evaluation import usual_protocol
    from engine.evaluation.pool import Opener
    from engine.evaluation.results import split_by_truth

    _check(predictions, truth, json_, csv, overwrite)
    with _opened(truth, gt_format) as true_masks, _opened(predictions, format) as masks:
        split = split_by_truth(predictions, masks, true_masks) if format is None else None
        masks = split() if split else masks
        chosen = protocol or usual_protocol(true_masks)
        _say_what(predictions, masks, truth, true_masks, chosen, asked=protocol is not None)
        openers: tuple[Opener, Opener] | None = None
        if "-" not in (predictions, truth):
            openers = split or partial(_open, predictions, masks.format), partial(_open, truth, true_masks.format)
        with console.progress("scoring tracks") as progress:
            report = score(
                masks,
                true_masks,
                chosen,
                strict=strict,
                clips=clip,
                jobs=jobs or os.cpu_count() or 1,
                openers=openers,
                on_progress=progress,
            )
    _show(report, json_, csv, per_track)
    _sum_up(report)


def _check(predictions: str, truth: str, json_: bool, csv: Path | None, overwrite: bool) -> None:
    """Everything that can be refused before the work begins."""
    from engine.store.atomic import refuse_existing

    if predictions == truth == "-":
        raise UsageError("predictions and truth cannot both come from standard input", "give one of them as a file")
    if csv is not None and str(csv) == "-":
        if json_:
            raise UsageError("--json and --csv - would both be standard output", "name a file with --csv")
    elif csv is not None:
        refuse_existing(csv, overwrite)


def _open(path: str, format: str | None) -> "MaskSource":
    from engine.store import open_source

    return open_source(path, format)


@contextmanager
def _opened(path: str, format: str | None) -> Iterator["MaskSource"]:
    source = _open(path, format)
    try:
        yield source
    finally:
        if hasattr(source, "close"):
            source.close()


def _say_what(
    predictions: str, masks: "MaskSource", truth: str, true_masks: "MaskSource", protocol: str, asked: bool
) -> None:
    """What was recognised, on standard error."""
    console.info(f"{predictions}: {masks.format}; {truth}: {true_masks.format}")
    if not asked:
        console.info(f"protocol {protocol}, chosen by the form of the truth; --protocol names another")


def _show(report: "Report", json_: bool, csv: Path | None, per_track: bool) -> None:
    from engine.evaluation.table import print_csv, write_csv

    if csv is not None and str(csv) == "-":
        print_csv(report, sys.stdout)
        return
    if csv is not None:
        write_csv(report, csv)
        console.info(f"wrote {csv}")
    if json_:
        console.emit_json(report.as_dict())
        return
    console.table(TRACK_COLUMNS if per_track else TABLE_COLUMNS, report.table_rows(per_track))
    mean, tracks = report.mean, report.tracks
    judged = sum(len(track.frames) for track in tracks)
    console.result(
        f"{report.protocol}: J&F {100 * mean.j_and_f:.1f}  J {100 * mean.J:.1f}  F {100 * mean.F:.1f}"
        f"  ({len(tracks)} track{'' if len(tracks) == 1 else 's'}, {judged} judged frames)"
    )


def _sum_up(report: "Report") -> None:
    """Notes and problems on standard error; missing predictions make the result a partial one."""
    for note in report.notes:
        console.info(note)
    shown = report.problems[:PROBLEMS_SHOWN]
    for problem in shown:
        console.warn(problem.text)
    if len(shown) < len(report.problems):
        console.warn(f"and {len(report.problems) - len(shown)} more; --json lists them all")
    if not report.complete:
        raise PartialError("the predictions do not fit the truth everywhere", "the warnings above say where")
