"""Scoring masks against the truth: measures, statistics, protocols, reports. No files, no torch."""
