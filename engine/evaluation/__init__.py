"""Scoring masks against the truth: measures, statistics, protocols, matching, reports. No torch."""

from engine.evaluation.comparison import Comparison
from engine.evaluation.comparison import compare as compare_reports
from engine.evaluation.dataset_statistics import DatasetStatistics, dataset_statistics
from engine.evaluation.evaluator import evaluate
from engine.evaluation.protocols import PROTOCOLS, usual_protocol
from engine.evaluation.report import CSV_COLUMNS, ClipScore, Mean, Report, TrackScore

__all__ = [
    "CSV_COLUMNS",
    "PROTOCOLS",
    "ClipScore",
    "Comparison",
    "DatasetStatistics",
    "Mean",
    "Report",
    "TrackScore",
    "compare_reports",
    "dataset_statistics",
    "evaluate",
    "usual_protocol",
]
