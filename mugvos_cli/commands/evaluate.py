"""`mugvos evaluate`: reads options, opens both sides, and shows the report of engine.evaluation."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engine.errors import PartialError, UsageError
from mugvos_cli import console
from mugvos_cli.options import FORMATS, Clip, Format, Jobs, Json, Overwrite, completing, one_of

if TYPE_CHECKING:
    from engine.evaluation import Report

PROTOCOLS = (
    "mug",
    "davis",
    "davis-unsupervised",
    "lvos",
    "lvos-unsupervised-single",
    "lvos-unsupervised-multiple",
    "youtube-vos",
    "long-video",
    "referring",
    "vos-benchmark",
)
MATCHES = ("auto", "name", "number", "overlap")
PROBLEMS_SHOWN = 10

_PREDS_HELP = "A mask store, a tree of PNGs, JSON, a zip of these, or -; several with --compare."


def evaluate(
    predictions: Annotated[list[str], typer.Argument(metavar="PREDS...", help=_PREDS_HELP)],
    truth: Annotated[
        str | None, typer.Option("--gt", metavar="GT", help="The ground truth, in any of the same forms.")
    ] = None,
    protocol: Annotated[
        str | None,
        typer.Option(
            "--protocol",
            metavar="NAME",
            help=f"What is judged: {', '.join(PROTOCOLS)}. If not given, davis for label images and mug for tracks.",
            callback=one_of(PROTOCOLS),
            autocompletion=completing(PROTOCOLS),
        ),
    ] = None,
    meta: Annotated[
        Path | None,
        typer.Option(
            "--meta", metavar="FILE", help="Meta file of the data set; looked for beside the truth if not given."
        ),
    ] = None,
    unseen: Annotated[
        Path | None,
        typer.Option("--unseen", metavar="FILE", help="Videos or categories not seen in training, one a line."),
    ] = None,
    match: Annotated[
        str,
        typer.Option(
            "--match",
            metavar="|".join(MATCHES),
            help="How predicted tracks find their true ones.",
            callback=one_of(MATCHES),
            autocompletion=completing(MATCHES),
        ),
    ] = "auto",
    json_: Json = False,
    per_frame: Annotated[
        bool, typer.Option("--per-frame", help="In the JSON document, also every frame's J and F.")
    ] = False,
    csv: Annotated[
        Path | None, typer.Option("--csv", metavar="FILE", help="Write one row a track; - is standard output.")
    ] = None,
    davis_csv: Annotated[
        Path | None,
        typer.Option(
            "--davis-csv", metavar="FOLDER", help="Write the two tables of the DAVIS 2017 tool, named as there."
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option("--html", metavar="FILE", help="Write one page: J and F over time, worst frames, breakdown."),
    ] = None,
    per_track: Annotated[bool, typer.Option("--per-track", help="One line a track instead of one a clip.")] = False,
    worst: Annotated[
        int | None, typer.Option("--worst", metavar="N", min=1, help="List the N worst tracks, the worst first.")
    ] = None,
    breakdown: Annotated[
        bool, typer.Option("--breakdown", help="Also means by mask size, level, motion and occlusion.")
    ] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Several predictions side by side, with intervals for their differences.")
    ] = False,
    statistics: Annotated[
        bool, typer.Option("--statistics", help="Score nothing; count masks, tracks and density of PREDS.")
    ] = False,
    clip: Clip = None,
    resize: Annotated[
        bool, typer.Option("--resize", help="Bring predictions to the size of the truth, nearest neighbour.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Stop if any prediction is missing.")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", help="Leave out and list clips that cannot be read, instead of stopping.")
    ] = False,
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
      mugvos evaluate --compare first.h5 second.h5 --gt mug_vos_test_v1 --html report.html
      mugvos evaluate --statistics dataset.h5
    """
    from mugvos_cli import evaluation_run as run

    if statistics:
        _refuse_scoring(predictions, truth, compare)
        run.show_statistics(predictions[0], format, clip, json_)
        return
    if truth is None:
        raise UsageError("no ground truth", "name it with --gt, or pass --statistics to count masks only")
    if len(predictions) > 1 and not compare:
        raise UsageError(f"{len(predictions)} predictions", "name one, or pass --compare")
    asked = run.Asked(
        truth=truth,
        protocol=protocol,
        format=format,
        gt_format=gt_format,
        match=match,
        meta=meta,
        unseen=unseen,
        clips=clip,
        resize=resize,
        strict=strict,
        keep_going=keep_going,
        jobs=jobs or os.cpu_count() or 1,
    )
    output = run.Output(json_, per_frame, csv, davis_csv, html, per_track, worst, breakdown, overwrite)
    output.check(predictions, asked, compare)
    reports = run.compare(predictions, asked, output) if compare else [run.evaluate(predictions[0], asked, output)]
    _sum_up(reports, predictions)
    if not all(report.complete for report in reports):
        raise PartialError("the predictions do not fit the truth everywhere", "the warnings above say where")


def _refuse_scoring(predictions: list[str], truth: str | None, compare: bool) -> None:
    if truth is not None or compare or len(predictions) > 1:
        raise UsageError(
            "--statistics counts the masks of one source and scores nothing", "leave out --gt and --compare"
        )


def _sum_up(reports: "list[Report]", names: list[str]) -> None:
    """Notes and problems on standard error, problems with the name of the prediction where there are several."""
    for note in dict.fromkeys(note for report in reports for note in report.notes):
        console.info(note)
    for name, report in zip(names, reports, strict=True):
        shown = report.problems[:PROBLEMS_SHOWN]
        for problem in shown:
            console.warn(problem.text if len(reports) == 1 else f"{name}: {problem.text}")
        if len(shown) < len(report.problems):
            console.warn(f"and {len(report.problems) - len(shown)} more; --json lists them all")
