"""Published figures of studies that entries rerun, beside the same measure under an honest protocol in the entry."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medbench.planning.study_schema import PublishedTable
from medbench.site.order_entries import Line, table_line
from medbench.site.read_entries import Published
from medbench.site.results import Result

MEASURES: Mapping[str, str] = {
    "accuracy": "accuracy", "balanced-accuracy": "balanced_accuracy", "auroc": "auroc", "macro-f1": "macro_f1",
}  # fmt: skip
"""Fields of ``entry.json`` by the metric of a published figure."""


@dataclass(frozen=True)
class Remeasured:
    """One figure.

    Attributes:
        name: Of the method.
        metric: What was published, as studies name it.
        published: By its authors, 0 to 1.
        here: In the entry, 0 to 1.
        result: The method's row in the entry.
    """

    name: str
    metric: str
    published: float
    here: float
    result: Result = field(repr=False)


def remeasured(entries: Iterable[Published], figures: Mapping[str, Sequence[PublishedTable]]) -> list[Remeasured]:
    """Pair published figures with what entries in force measured for them.

    Args:
        entries: All of them.
        figures: By the name of the study that reruns them.
    """
    found = []
    for published in entries:
        told = figures.get(published.entry["study"]["name"], ())
        if not told or not published.is_current:
            continue
        for number, board in enumerate(published.entry["boards"]):
            if board["leaks"]:
                continue
            for row in board["rows"]:
                found += [
                    Remeasured(line.name, one.metric, one.value, here, _result(published, number, board, line))
                    for one in told
                    if one.value is not None and _fits(one, board, row)
                    and (here := row.get(MEASURES.get(one.metric, ""))) is not None
                    and (line := table_line(row))
                ]  # fmt: skip
    return found


def _fits(one: PublishedTable, board: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    same_data = not one.dataset or one.dataset == board["dataset"].removeprefix("phantom:")
    return same_data and one.arm == row["augmenter"] and one.classifier in ("", row["classifier"])


def _result(published: Published, number: int, board: Mapping[str, Any], line: Line) -> Result:
    tier = published.history.tier if board["recomputed"] else "claimed"
    return Result(published, number, board, line, True, tier, None)
