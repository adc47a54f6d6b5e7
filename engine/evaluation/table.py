"""A report as comma-separated values: one row a track at full precision, or the two tables of the DAVIS 2017 tool.

Knows reports and text streams. A file appears whole or not at all.
"""

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from engine.evaluation.protocols.summaries import of_objects
from engine.evaluation.report import CSV_COLUMNS, Report
from engine.store.atomic import publish, refuse_existing, remove, temporary_beside
from engine.store.spool import writing

DAVIS_SET = "val"
DAVIS_COLUMNS = ("J&F-Mean", "J-Mean", "J-Recall", "J-Decay", "F-Mean", "F-Recall", "F-Decay")


def write_csv(report: Report, path: Path) -> None:
    """Write the table to a file, which is replaced if it exists. Raises OutputError if it cannot be written."""
    with _whole_file(path) as stream:
        print_csv(report, stream)


def write_davis_csv(report: Report, folder: Path, overwrite: bool = False) -> tuple[Path, Path]:
    """Write `global_results-val.csv` and `per-sequence_results-val.csv` into a folder, as the tool does.

    Objects are numbered `<clip>_<k>` in their order, assigned ones in that of their proposals, with three decimals.
    Raises OutputError where the files exist.
    """
    whole, single = tables = davis_tables(folder)
    for file in tables:
        refuse_existing(file, overwrite)
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    figures = of_objects(report.clips).metrics
    with _whole_file(whole) as stream:
        stream.write(",".join(DAVIS_COLUMNS) + "\n")
        stream.write(",".join(f"{figures[name]:.3f}" for name in DAVIS_COLUMNS) + "\n")
    with _whole_file(single) as stream:
        stream.write("Sequence,J-Mean,F-Mean\n")
        for clip in report.clips:
            for k, track in enumerate(sorted(clip.tracks, key=lambda track: track.place or 0), 1):
                stream.write(f"{clip.name}_{k},{track.mean.J:.3f},{track.mean.F:.3f}\n")
    return tables


def davis_tables(folder: Path) -> tuple[Path, Path]:
    """The names of the two tables of the tool."""
    return folder / f"global_results-{DAVIS_SET}.csv", folder / f"per-sequence_results-{DAVIS_SET}.csv"


@contextmanager
def _whole_file(path: Path) -> Iterator[TextIO]:
    """A text file that appears when the block ends well."""
    temporary = temporary_beside(path)
    try:
        with writing(path), temporary.open("w", encoding="utf-8", newline="") as stream:
            yield stream
        publish(temporary, path)
    finally:
        remove(temporary)


def print_csv(report: Report, stream: TextIO) -> None:
    """Write the header and one row a track."""
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(CSV_COLUMNS)
    table.writerows(report.csv_rows())
