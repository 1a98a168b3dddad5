"""When a run is given up: every job so far ended with the same failure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from medbench.store.trial_files import Failure

COMMON_FAULTS = frozenset({"bug", "contract", "plugin", "resources"})
"""Kinds of failure that may have one cause for all jobs; a divergence, a limit or a lost process is each job's own."""


def is_hopeless(
    failures: Mapping[str, Failure], recipes: Mapping[str, tuple[str, str]], trials: Collection[str]
) -> bool:
    """Say whether all jobs so far failed alike, so that what is left very likely would.

    Two jobs are not enough: one broken recipe may stand in both. The failed ones must be of two classifiers and of two
    augmenters or stages, where the run has two, and a trial among them, which may need no stage.

    Args:
        failures: By key of the job; every job that ended has one.
        recipes: By key of every job of the run: a classifier, and an augmenter or a stage.
        trials: Keys of the jobs that are trials.
    """
    if len(failures) < 2 or not failures.keys() & trials:
        return False
    if len(set(failures.values())) > 1 or next(iter(failures.values())).kind not in COMMON_FAULTS:
        return False
    failed = zip(*(recipes[key] for key in failures), strict=True)
    planned = zip(*recipes.values(), strict=True)
    return all(len(set(of)) >= min(2, len(set(among))) for of, among in zip(failed, planned, strict=True))
