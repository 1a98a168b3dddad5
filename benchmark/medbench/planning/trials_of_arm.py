"""The trials of one arm at one place, with their ids: 100,000 of them are planned in seconds."""

from __future__ import annotations

import hashlib
import json

from medbench.identity.identity import digest
from medbench.trial.trial import Trial

MARK = "\ue000"
"""Stands in a text for a number; no name holds it."""


class TrialsOfArm:
    """Makes the trials of an arm, of which nothing but fold, repeat and seeds differs.

    An id is the digest of a trial as JSON, with an empty id and without the extractor; here that text is written once,
    and the numbers are put into it.

    Args:
        first: Fold, repeat and seeds 0, and an empty id.
        extractor: Of the trials.
    """

    def __init__(self, first: Trial, extractor: str) -> None:
        self._first, self._extractor = first, extractor
        marked = {**first.to_json(), **dict.fromkeys(("fold", "repeat", "seed", "stage_seed"), MARK)}
        text = json.dumps(marked, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        self._parts = text.split(f'"{MARK}"')  # sorted by name, so fold, repeat, seed and stage_seed in this order
        if self.trial(0, 0, 0, 0).id != digest(first.to_json()):
            raise AssertionError("ids of trials are not what they are digests of")

    def trial(self, repeat: int, fold: int, seed: int, stage_seed: int) -> Trial:
        """Return a trial with its id."""
        head, after_fold, after_repeat, after_seed, end = self._parts
        text = f"{head}{fold}{after_fold}{repeat}{after_repeat}{seed}{after_seed}{stage_seed}{end}"
        t = self._first
        return Trial(
            t.dataset, t.protocol, repeat, fold, t.folds, seed, stage_seed, t.augmenter, t.classifier, t.budget,
            t.data, t.arm, hashlib.sha256(text.encode()).hexdigest(), self._extractor,
        )  # fmt: skip
