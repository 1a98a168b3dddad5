"""Which boards of which entries stand in which table of a data set's page, and in what order.

A board is ranked where its entry's tier is recomputed or reproduced, it was itself recomputed, its protocol leaks
nothing and a method of it has a verdict. All others are not ranked, each with the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from medbench.registry.display_names import classifier_name, control_name, method_name, step_name
from medbench.site import protocol_pages
from medbench.site.read_entries import Published
from medbench.site.safe_texts import slug
from medbench.site.stored_sentences import in_plain_words
from medbench.statistics.verdicts import WORDS, Word
from medbench.tables.board_notes import UNKNOWN_PATIENTS
from medbench.tables.wording import auroc_share
from medbench.text import points, printed

NOT_RANKED = {
    "unjudged": ("No verdict", "Checked, but the study is too small or not finished; each row says why."),
    "claimed": ("Claimed", "Nobody computed these numbers again. Never ranked, in order of their titles."),
    "leaky": ("LEAKY protocols", "Information of test patients reaches training, on purpose, to rerun published work. "
              "Never ranked."),
    "withdrawn": ("Withdrawn or replaced", "Taken back; each entry's page says why."),
}  # fmt: skip
"""Tables that are not ranked: title and what they hold."""


@dataclass(frozen=True)
class Line:
    """A method as a table shows it: texts, and the ends of its interval in points for the drawing.

    Attributes:
        name: What people read, by itself: ``hybrid: copied images``.
        step: What people read below the method it is compared with: ``+ copied images``.
        recipe: What commands and files call it.
        control: Name of the method it is compared with; "" for a reference.
        numbers: Balanced accuracy, AUROC, gain and range as boards print them; "" where there is none.
        word: Of the verdict; "" without one.
        why: Why there is no word; "" where there is.
        span: Low end, gain and high end in points, or None.
        fair: Gain at a fair threshold with its range, as boards print it; "" where the entry has none.
        fair_span: The same for the drawing, or None.
        raw: The row of ``entry.json``.
    """

    name: str
    step: str
    recipe: str
    control: str
    numbers: tuple[str, str, str, str]
    word: Word
    why: str
    span: tuple[float, float, float] | None
    fair: str
    fair_span: tuple[float, float, float] | None
    raw: Mapping[str, Any] = field(repr=False)

    @property
    def short_why(self) -> str:
        """Two words for a verdict that is withheld; "" where there is one."""
        if self.word or not self.why:
            return ""
        return "practice run" if self.why.startswith("Practice run") else "no verdict"


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
        unranked: Tables that are not, by their key in NOT_RANKED.
        boards: All boards on it.
    """

    name: str
    slug: str
    phantom: bool
    facts: Mapping[str, Any] = field(repr=False)
    rankings: tuple[Ranking, ...]
    unranked: Mapping[str, tuple[Standing, ...]]
    boards: int


def is_practice(board: Mapping[str, Any]) -> bool:
    """Say whether a table is of a practice run, whatever else keeps it from a verdict."""
    return any(in_plain_words(text).startswith("Practice run") for text in _said_of(board))


def knows_patients(board: Mapping[str, Any]) -> bool:
    """Say whether a table's data set tells patients apart."""
    return board["unit"] != "image" and UNKNOWN_PATIENTS not in board["sentences"]


def unit_of(board: Mapping[str, Any]) -> str:
    """Return what a table counts for readers: images where nobody knows the patients."""
    return "patient" if knows_patients(board) else "image"


def _said_of(board: Mapping[str, Any]) -> list[str]:
    return [*board["sentences"], *(row["withheld"] or "" for row in board["rows"])]


def table_line(row: Mapping[str, Any]) -> Line:
    """Return a method as tables show it."""
    low, gain, high = row["gain_low"], row["gain"], row["gain_high"]
    span, fair = _span(row, "gain"), _span(row, "gain_fair_threshold")
    own, control = row["classifier"] if row["control_classifier"] else "", row["control"] or ""
    why = in_plain_words(row["withheld"] or "")
    if row["skipped"]:
        why = "left out: makes no sense here"
    elif row["failed"]:
        why = " ".join(filter(None, (f"{row['failed']} of {row['planned']} training runs failed.", why)))
    name = method_name(row["augmenter"])
    step = step_name(row["augmenter"], "" if own else control)
    return Line(
        name=f"{name} with {classifier_name(own)}" if own else name,
        step=f"{name} with {classifier_name(own)}" if own else step,
        recipe=f"{row['augmenter']} / {own}" if own else row["augmenter"],
        control=" with ".join(filter(None, (
            control and control_name(control), own and classifier_name(row["control_classifier"])
        ))),
        numbers=(
            percent(row["balanced_accuracy"]),
            "" if row["auroc"] is None else auroc_share(row["auroc"]),
            "" if gain is None else points(gain),
            "" if low is None or high is None else f"{points(low)} to {points(high)}",
        ),
        word=row["word"] or "",
        why=why,
        span=span,
        fair="" if fair is None else f"{points(fair[1] / 100)} ({points(fair[0] / 100)} to {points(fair[2] / 100)})",
        fair_span=fair,
        raw=row,
    )  # fmt: skip


def _span(row: Mapping[str, Any], name: str) -> tuple[float, float, float] | None:
    """Return low end, value and high end in points; None where one is missing, as in older entries."""
    low, value, high = row.get(f"{name}_low"), row.get(name), row.get(f"{name}_high")
    return None if low is None or value is None or high is None else (100 * low, 100 * value, 100 * high)


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
    unranked: dict[str, list[Standing]] = {key: [] for key in NOT_RANKED}
    for standing in sorted(standings, key=_by_title):
        if why := _why_not_ranked(standing):
            unranked[why].append(standing)
        else:
            board = standing.board
            ranked.setdefault((board["protocol"], board["data"], board["unit"]), []).append(standing)
    rankings = [
        Ranking(*key, tuple(sorted(found, key=lambda s: (*_place(s.line.raw), *_by_title(s)))))
        for key, found in sorted(ranked.items(), key=lambda item: (*item[0][1:], protocol_pages.place(item[0][0])))
    ]
    facts = (rankings[0].standings[0] if rankings else standings[0]).board
    return DataSet(
        name, slug(name), any(s.board["phantom"] for s in standings), facts, tuple(rankings),
        {key: tuple(found) for key, found in unranked.items() if found}, len(standings),
    )  # fmt: skip


def _why_not_ranked(standing: Standing) -> str:
    """Return the key in NOT_RANKED of a board that is not ranked; "" for one that is."""
    history = standing.published.history
    if history.tier == "withdrawn":
        return "withdrawn"
    if standing.board["leaks"]:
        return "leaky"
    if not (history.is_ranked and standing.board["recomputed"]):
        return "claimed"
    return "" if standing.line.word else "unjudged"


def _place(row: Mapping[str, Any]) -> tuple[int, float]:
    """Order by the word, then by the low end of the range as it is printed; without a word, by the range alone."""
    low = row["gain_low"]
    rank = WORDS[row["word"]].rank if row["word"] else len(WORDS)
    return rank, -printed(low) if low is not None else 0.0


def _by_title(standing: Standing) -> tuple[str, str, int]:
    entry = standing.published.entry
    return entry["method"]["title"].casefold(), entry["id"], standing.number
