"""A report as comma-separated values: one row a track, full precision.

Knows reports and text streams. A file appears whole or not at all.
"""

import csv
from pathlib import Path
from typing import TextIO

from engine.evaluation.report import CSV_COLUMNS, Report
from engine.store.atomic import publish, remove, temporary_beside


def write_csv(report: Report, path: Path) -> None:
    """Write the table to a file, which is replaced if it exists. Raises OutputError if it cannot be written."""
    temporary = temporary_beside(path)
    try:
        with temporary.open("w", encoding="utf-8", newline="") as stream:
            print_csv(report, stream)
        publish(temporary, path)
    finally:
        remove(temporary)


def print_csv(report: Report, stream: TextIO) -> None:
    """Write the header and one row a track."""
    table = csv.writer(stream, lineterminator="\n")
    table.writerow(CSV_COLUMNS)
    table.writerows(report.csv_rows())
