"""How `mugvos evaluate` runs what was asked for: one prediction, several compared, or statistics.

Knows the engine's evaluation and what goes to which stream. Imported only when the command runs.
"""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from engine.errors import UsageError
from mugvos_cli import console, evaluation_text
from mugvos_cli.statistics_table import print_clip_statistics, print_statistics
from mugvos_cli.targets import refuse_inputs

if TYPE_CHECKING:
    from engine.evaluation import Comparison, Report
    from engine.evaluation.inputs import Inputs


@dataclass(frozen=True)
class Asked:
    """What is to be scored, against what and how."""

    truth: str
    protocol: str | None
    format: str | None
    gt_format: str | None
    match: str
    meta: Path | None
    unseen: Path | None
    clips: list[str] | None
    resize: bool
    strict: bool
    keep_going: bool
    jobs: int


@dataclass(frozen=True)
class Output:
    """What is to be shown, and where."""

    json: bool
    per_frame: bool
    csv: Path | None
    davis_csv: Path | None
    html: Path | None
    per_track: bool
    worst: int | None
    breakdown: bool
    overwrite: bool

    def check(self, predictions: Sequence[str], asked: Asked, compare: bool = False) -> None:
        """Everything that can be refused before the work begins."""
        _check_predictions(predictions, asked.truth, compare)
        if len(predictions) > 1 and (self.csv or self.davis_csv):
            raise UsageError("tables of tracks are written for one prediction", "leave out --csv and --davis-csv")
        if self.json and self.csv is not None and str(self.csv) == "-":
            raise UsageError("--json and --csv - would both be standard output", "name a file with --csv")
        self._check_files([*predictions, asked.truth, asked.meta, asked.unseen])

    def _check_files(self, inputs: Sequence[str | Path | None]) -> None:
        from engine.evaluation.table import davis_tables
        from engine.store.atomic import refuse_existing

        files = [file for file in (self.csv, self.html) if file is not None and str(file) != "-"]
        for file in (*files, *(davis_tables(self.davis_csv) if self.davis_csv is not None else ())):
            refuse_inputs(file, inputs)
            refuse_existing(file, self.overwrite)
            _try_to_write(file)


def _check_predictions(predictions: Sequence[str], truth: str, compare: bool) -> None:
    if truth == "-" and "-" in predictions:
        raise UsageError("predictions and truth cannot both come from standard input", "give one of them as a file")
    if compare and len(predictions) < 2:
        raise UsageError("one prediction alone", "name at least two with --compare")
    for path in predictions:
        if predictions.count(path) > 1:
            raise UsageError(f"{path} is named twice", "compare different predictions")
        if path != "-" and not Path(path).exists():
            raise UsageError(f"{path}: no such file or folder", "check the name")


def _try_to_write(file: Path) -> None:
    """Raise OutputError now rather than after the work where a file cannot be written."""
    from engine.store.atomic import remove, temporary_beside
    from engine.store.spool import writing

    temporary = temporary_beside(file)
    with writing(file):
        temporary.touch()
    remove(temporary)


def show_statistics(path: str, format: str | None, clips: list[str] | None, json: bool) -> None:
    """Table 1 of one source: one line a clip, then all together."""
    from engine.evaluation import dataset_statistics
    from engine.store import open_source

    with open_source(path, format) as source, console.progress("reading clips") as progress:
        found = dataset_statistics(source, clips, progress).as_dict()
    if json:
        console.emit_json(found)
        return
    if len(found["clips"]) > 1:
        print_clip_statistics(found["clips"])
    print_statistics(found)


def evaluate(predictions: str, asked: Asked, output: Output) -> "Report":
    """Score one prediction and show the report."""
    from engine.evaluation.detections import are_results
    from engine.evaluation.inputs import open_inputs

    if asked.protocol in (None, "referring") and are_results(predictions):
        if output.html or output.davis_csv:
            raise UsageError(f"{predictions}: scored masks of single frames", "they have no --html and no --davis-csv")
        report = _evaluate_detections(predictions, asked)
        _show(report, output)
        return report
    with open_inputs(predictions, asked.truth, asked.protocol, asked.format, asked.gt_format) as inputs:
        report = _score(predictions, inputs, asked)
        _show(report, output)
        if output.html is not None:
            _write_page(output.html, {predictions: report}, inputs)
    return report


def compare(predictions: Sequence[str], asked: Asked, output: Output) -> "list[Report]":
    """Score several predictions on one truth and show them side by side. The page shows the first one's frames."""
    from engine.evaluation import compare_reports
    from engine.evaluation.inputs import open_inputs

    reports: dict[str, Report] = {}
    for path in predictions:
        with open_inputs(path, asked.truth, asked.protocol, asked.format, asked.gt_format) as inputs:
            reports[path] = _score(path, inputs, asked)
    comparison = compare_reports(reports)
    if output.json:
        first = next(iter(reports.values())).as_dict(output.per_frame)
        documents = [{"name": path, **report.as_dict(output.per_frame)} for path, report in reports.items()]
        console.emit_json({**first, "comparison": comparison.as_dict(), "reports": documents})
    else:
        evaluation_text.print_comparison(comparison)
        if output.breakdown:
            console.result("")
            evaluation_text.print_breakdowns(reports)
    if output.html is not None:
        with open_inputs(predictions[0], asked.truth, asked.protocol, asked.format, asked.gt_format) as inputs:
            _write_page(output.html, reports, inputs, comparison)
    return list(reports.values())


def _score(path: str, inputs: "Inputs", asked: Asked) -> "Report":
    from engine.evaluation import evaluate as score
    from engine.evaluation.inputs import meta_of

    console.info(f"{path}: {inputs.predictions.format}; {asked.truth}: {inputs.truth.format}")
    if asked.protocol is None:
        console.info(f"protocol {inputs.protocol}, chosen by the form of the truth; --protocol names another")
    meta, file = meta_of(inputs.protocol, asked.truth, asked.meta, asked.unseen)
    if file is not None:
        console.info(f"meta file: {file}")
    with console.progress("scoring tracks") as progress:
        return score(
            inputs.predictions,
            inputs.truth,
            inputs.protocol,
            strict=asked.strict,
            keep_going=asked.keep_going,
            match=cast(Any, asked.match),
            resize=asked.resize,
            meta=meta,
            clips=asked.clips,
            jobs=asked.jobs,
            openers=inputs.openers,
            on_progress=progress,
        )


def _evaluate_detections(predictions: str, asked: Asked) -> "Report":
    from engine.evaluation.detections import evaluate_detections

    console.info(f"{predictions}: scored masks of single frames; protocol referring")
    return evaluate_detections(predictions, asked.truth, asked.strict)


def _show(report: "Report", output: Output) -> None:
    """The report on standard output and in files."""
    from engine.evaluation.table import print_csv, write_csv, write_davis_csv

    if output.davis_csv is not None:
        for file in write_davis_csv(report, output.davis_csv, output.overwrite):
            console.info(f"wrote {file}")
    if output.csv is not None and str(output.csv) == "-":
        print_csv(report, sys.stdout)
        return
    if output.csv is not None:
        write_csv(report, output.csv)
        console.info(f"wrote {output.csv}")
    if output.json:
        console.emit_json(report.as_dict(output.per_frame))
        return
    evaluation_text.print_report(report, output.per_track, output.worst, output.breakdown)


def _write_page(
    path: Path, reports: "dict[str, Report]", inputs: "Inputs", comparison: "Comparison | None" = None
) -> None:
    from mugvos_cli.evaluation_page import write_page

    write_page(path, reports, inputs, comparison)
    console.info(f"wrote {path}")
