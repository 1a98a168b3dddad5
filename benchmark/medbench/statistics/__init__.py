"""Scores of patients, their intervals, tests and power; no files, no study."""
