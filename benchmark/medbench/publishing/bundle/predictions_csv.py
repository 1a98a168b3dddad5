"""What was predicted in one trial, as strict CSV: an id and one probability a class, no labels, no patients.

One member holds the test part, another one the patients that were watched in training, where a table needs them: those
of the arms of honest protocols, of which a fair threshold is learnt.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from medbench.planning.study import Study
from medbench.protocols.protocol import protocol
from medbench.publishing.bundle.allowed_texts import ID
from medbench.publishing.refusals import Refused
from medbench.trial.trial import Trial

WATCHED = "validation/"
"""What the names of members with predictions for watched patients begin with."""
SUM = 1e-6
"""How far a row may be from 1: the core scales rows before it stores them, so only rounding is left."""
_NUMBER = re.compile(r"[01]\.[0-9]{1,20}|[0-9](?:\.[0-9]{1,20})?e-[0-9]{2,3}")


@dataclass(frozen=True, eq=False)
class SubmittedPredictions:
    """Predictions of one trial.

    Attributes:
        ids: Of the test samples, in the order they were predicted.
        probabilities: ``float64 (n, n_classes)``.
    """

    ids: tuple[str, ...]
    probabilities: np.ndarray


def name_of(trial: str) -> str:
    """Return the member that holds a trial's predictions."""
    return f"predictions/{trial}.csv"


def name_of_watched(trial: str) -> str:
    """Return the member that holds what a trial predicted for the patients that were watched."""
    return f"{WATCHED}{trial}.csv"


def needs_watched(trial: Trial, study: Study) -> bool:
    """Say whether a fair threshold is learnt from a trial: a method's own, under a protocol that leaks nothing."""
    is_of_arm = trial.protocol in study.protocols and trial.seed < study.seeds and trial.budget == study.spending
    return is_of_arm and protocol(trial.protocol).is_honest


def write(ids: Sequence[str], probabilities: np.ndarray) -> bytes:
    """Write predictions; reading them gives the same bits."""
    head = ",".join(["id", *(f"p_{k}" for k in range(probabilities.shape[1]))])
    rows = (",".join([name, *map(repr, row)]) for name, row in zip(ids, probabilities.tolist(), strict=True))
    return ("\n".join([head, *rows]) + "\n").encode()


def read(data: bytes, member: str, n_classes: int, known: dict[str, str]) -> SubmittedPredictions:
    """Read predictions.

    Args:
        data: What the member holds; the container bounds it.
        member: Its name.
        n_classes: Columns of probabilities.
        known: Ids seen before, so that each is kept once for all arms; filled here.

    Raises:
        Refused: MB911 for a form that :func:`write` does not write, MB923 for an id twice, MB924 for numbers that are
            no probabilities.
    """

    def refuse(line: int, why: str, code: str = "MB911") -> Refused:
        return Refused(code, f"{member}, line {line}: {why}.")

    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        raise refuse(1, "holds characters that are not ASCII") from None
    if not text.endswith("\n"):
        raise refuse(text.count("\n") + 1, "does not end with a line feed")
    lines = text[:-1].split("\n")
    del text
    head = ",".join(["id", *(f"p_{k}" for k in range(n_classes))])
    if lines[0] != head:
        raise refuse(1, f"is not {head}")
    if len(lines) < 2:
        raise refuse(1, "has no rows under it")
    ids: list[str] = []
    values = np.empty((len(lines) - 1, n_classes))
    for number, line in enumerate(lines[1:], start=2):
        cells = line.split(",")
        if len(cells) != n_classes + 1:
            raise refuse(number, f"has {len(cells)} cells, {n_classes + 1} are wanted")
        if cells[0] not in known:
            if not ID.fullmatch(cells[0]):
                raise refuse(number, "starts with no sample id (letters, digits, blanks and _.:/+#()[]-)")
            known[cells[0]] = cells[0]
        ids.append(known[cells[0]])
        for k, cell in enumerate(cells[1:]):
            value = float(cell) if _NUMBER.fullmatch(cell) else -1.0
            if value < 0 or repr(value) != cell:
                raise refuse(number, f"p_{k} is not a number from 0.0 to 1.0 in its shortest form", "MB924")
            values[number - 2, k] = value
    if len(set(ids)) < len(ids):
        raise refuse(1, "the same sample id stands in two rows", "MB923")
    sums = values.sum(1)
    wrong = np.flatnonzero((values > 1).any(1) | (np.abs(sums - 1) > SUM))
    if len(wrong):
        raise refuse(int(wrong[0]) + 2, f"sums to {sums[wrong[0]]:.9g}, or lies outside 0 to 1", "MB924")
    return SubmittedPredictions(tuple(ids), values)
