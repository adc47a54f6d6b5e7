"""Scoring masks against the truth: measures, statistics, protocols, matching, reports. No torch."""

from engine.evaluation.evaluator import evaluate
from engine.evaluation.protocols import PROTOCOLS, usual_protocol
from engine.evaluation.report import CSV_COLUMNS, ClipScore, Mean, Report, TrackScore

__all__ = ["CSV_COLUMNS", "PROTOCOLS", "ClipScore", "Mean", "Report", "TrackScore", "evaluate", "usual_protocol"]
