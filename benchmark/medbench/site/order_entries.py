"""Which boards of which entries stand in which table of a data set's page, and in what order.

A board is ranked where its entry's tier is recomputed or reproduced, it was itself recomputed, its protocol leaks
nothing and an arm of it has a word. All others are shown apart, each with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medbench.errors import UsageError
from medbench.registry.display_names import method_name
from medbench.site.read_entries import Published
from medbench.site.safe_texts import slug
from medbench.statistics.verdicts import WORDS
from medbench.tables.wording import auroc_share
from medbench.text import points, printed

APART = {
    "unjudged": ("No verdict", "Checked, but the study is too small or not finished; each row says why."),
    "leaky": ("Leaky protocols", "These protocols leak by design, to rerun published work. Never ranked."),
    "claimed": ("Claimed", "Nobody computed these numbers again. Never ranked, in order of their titles."),
    "withdrawn": ("Withdrawn", "Taken back; each entry's page says why."),
}
"""Tables that are not ranked: title and what they hold."""


@dataclass(frozen=True)
class Line:
    """An arm as a table shows it: texts, and the ends of its range in points for the drawing.

    Attributes:
        arm: Its name.
        control: Its control's name; "" for a root.
        numbers: Balanced accuracy, AUROC, gain and range as boards print them; "" where there is none.
        word: Of the verdict; "" without one.
        why: Why there is no word; "" where there is.
        span: Low end, gain and high end in points, or None.
        raw: The row of ``entry.json``.
    """

    arm: str
    control: str
    numbers: tuple[str, str, str, str]
    word: str
    why: str
    span: tuple[float, float, float] | None
    raw: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Standing:
    """A board of an entry: the surest arm that was asked for, and how many others have which word.

    Attributes:
        published: The entry.
        number: Of the board within its entry, from 0.
        board: Its JSON values.
        line: The arm that stands for it.
        others: Words of the other arms that were asked for, with their counts.
    """

    published: Published
    number: int
    board: Mapping[str, Any] = field(repr=False)
    line: Line
    others: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Ranking:
    """Boards that may be compared: one protocol, one state of the data set, one unit.

    Attributes:
        protocol: Its text.
        data: Fingerprint of the decoded data, 64 hex digits.
        unit: What is scored, patients or images.
        standings: In order.
    """

    protocol: str
    data: str
    unit: str
    standings: tuple[Standing, ...]


@dataclass(frozen=True)
class DataSet:
    """A page: a data set with all boards on it.

    Attributes:
        name: The data set.
        slug: Its file name.
        phantom: Whether its images are drawn.
        facts: A board of it, for counts and classes.
        rankings: What is ranked.
        apart: Tables that are not, by their key in APART.
        boards: All boards on it.
    """

    name: str
    slug: str
    phantom: bool
    facts: Mapping[str, Any] = field(repr=False)
    rankings: tuple[Ranking, ...]
    apart: Mapping[str, tuple[Standing, ...]]
    boards: int


def table_line(row: Mapping[str, Any]) -> Line:
    """Return an arm as tables show it."""
    low, gain, high = row["gain_low"], row["gain"], row["gain_high"]
    span = None if low is None or gain is None or high is None else (100 * low, 100 * gain, 100 * high)
    own = row["classifier"] if row["control_classifier"] else ""
    control = recipe(row["control"]) if row["control"] else ""
    why = row["withheld"] or ""
    if row["skipped"]:
        why = "skipped"
    elif row["failed"]:
        why = " ".join(filter(None, (f"{row['failed']} of {row['planned']} failed.", why)))
    return Line(
        arm=f"{recipe(row['augmenter'])} / {recipe(own)}" if own else recipe(row["augmenter"]),
        control=f"{control} / {recipe(row['control_classifier'])}" if control and own else control,
        numbers=(
            percent(row["balanced_accuracy"]),
            "" if row["auroc"] is None else auroc_share(row["auroc"]),
            "" if gain is None else points(gain),
            "" if low is None or high is None else f"{points(low)} to {points(high)}",
        ),
        word=row["word"] or "",
        why=why,
        span=span,
        raw=row,
    )


def recipe(text: str) -> str:
    """Write a recipe as boards do; one that cannot be read stays as it is."""
    try:
        return method_name(text)
    except UsageError:
        return text


def percent(share: float | None) -> str:
    """Write a share in percent to one digit, without the sign."""
    return "" if share is None else f"{100 * share:.1f}"


def requested_arms(published: Published, board: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the arms of a board that the study asked for, without the controls that came with them.

    Where the bundle's plan does not say, an arm that is another one's control was not asked for.
    """
    rows = [row for row in board["rows"] if row["control"] is not None and not row["plain"]]
    named = published.requested.get(board["dataset"], frozenset())
    found = [row for row in rows if (row["augmenter"], row["classifier"]) in named]
    if found:
        return found
    controls = {(row["control"], row["control_classifier"] or row["classifier"]) for row in rows}
    return [row for row in rows if (row["augmenter"], row["classifier"]) not in controls]


def leading_arm(
    rows: Sequence[Mapping[str, Any]], asked: Collection[Mapping[str, Any]] = ()
) -> Mapping[str, Any] | None:
    """Return the arm that stands for a board: the best word, then the highest low end; None without any arm.

    Args:
        rows: Of the board.
        asked: Those that were asked for; a control stands for a board only where none of them was compared.
    """
    compared = [row for row in rows if row["control"] is not None and not row["plain"] and row["gain_low"] is not None]
    compared = [row for row in compared if any(row is one for one in asked)] or compared
    if not compared:
        return next((row for row in rows if not row["plain"]), None)
    return min(compared, key=lambda row: (*_place(row), row["augmenter"], row["classifier"]))


def data_sets(entries: Iterable[Published]) -> list[DataSet]:
    """Sort the boards of all entries into the tables of the data sets' pages, by name."""
    boards: dict[str, list[Standing]] = {}
    for published in entries:
        for number, board in enumerate(published.entry["boards"]):
            asked = requested_arms(published, board)
            row = leading_arm(board["rows"], asked)
            if row is not None:
                others = [r["word"] for r in asked if r is not row and r["word"]]
                counts = tuple((word, others.count(word)) for word in WORDS if word in others)
                boards.setdefault(board["dataset"], []).append(
                    Standing(published, number, board, table_line(row), counts)
                )
    return [_data_set(name, boards[name]) for name in sorted(boards)]


def _data_set(name: str, standings: Sequence[Standing]) -> DataSet:
    ranked: dict[tuple[str, str, str], list[Standing]] = {}
    apart: dict[str, list[Standing]] = {key: [] for key in APART}
    for standing in sorted(standings, key=_by_title):
        if why := _why_apart(standing):
            apart[why].append(standing)
        else:
            board = standing.board
            ranked.setdefault((board["protocol"], board["data"], board["unit"]), []).append(standing)
    rankings = [
        Ranking(*key, tuple(sorted(found, key=lambda s: (*_place(s.line.raw), *_by_title(s)))))
        for key, found in sorted(ranked.items(), key=lambda item: (-len(item[1]), item[0]))
    ]
    facts = (rankings[0].standings[0] if rankings else standings[0]).board
    return DataSet(
        name, slug(name), any(s.board["phantom"] for s in standings), facts, tuple(rankings),
        {key: tuple(found) for key, found in apart.items() if found}, len(standings),
    )  # fmt: skip


def _why_apart(standing: Standing) -> str:
    """Return the key in APART of a board that is not ranked; "" for one that is."""
    history = standing.published.history
    if history.tier == "withdrawn":
        return "withdrawn"
    if not (history.is_ranked and standing.board["recomputed"]):
        return "claimed"
    if standing.board["leaks"]:
        return "leaky"
    return "" if standing.line.word else "unjudged"


def _place(row: Mapping[str, Any]) -> tuple[int, float]:
    """Order by the word, then by the low end of the range as it is printed; without a word, by the range alone."""
    low = row["gain_low"]
    rank = WORDS[row["word"]].rank if row["word"] else len(WORDS)
    return rank, -printed(low) if low is not None else 0.0


def _by_title(standing: Standing) -> tuple[str, str, int]:
    entry = standing.published.entry
    return entry["method"]["title"].casefold(), entry["id"], standing.number
