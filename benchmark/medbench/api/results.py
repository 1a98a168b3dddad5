"""What a store says of a study: boards, comparisons of two arms, and frames of their numbers."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from medbench.analyses.compare import ArmPair
from medbench.analyses.compare import compare as compare_arms
from medbench.analyses.corruptions import find_corruptions
from medbench.analyses.inflation import find_inflations
from medbench.analyses.learning_curves import find_learning_curves
from medbench.analyses.published_figures import compare as compare_with_published
from medbench.analyses.scores_and_gains import find_scores_and_gains
from medbench.boards.board import Board
from medbench.boards.build import boards
from medbench.data.positive_class import with_positive
from medbench.errors import UsageError
from medbench.planning.arms import Arm
from medbench.planning.leak_staircase import SUFFIX
from medbench.registry.catalogue import Catalogue
from medbench.store.store import Store
from medbench.tables.across_datasets import render_all
from medbench.tables.board_values import board_rows
from medbench.tables.compare import render as render_compared
from medbench.tables.compare import values
from medbench.tables.corruptions import render as render_corruptions
from medbench.tables.document import FORMATS
from medbench.tables.inflation import render as render_inflation
from medbench.tables.learning_curves import render as render_curves
from medbench.tables.published_figures import render as render_published
from medbench.tables.scores_and_gains import render as render_scores
from medbench.tables.writers.terminal import Screen, screen_of
from medbench.tables.writers.values import cleaned
from medbench.text import WIDTH, clean

if TYPE_CHECKING:
    import polars  # it starts threads, so only where a frame is wanted

Table = Literal["gains", "published", "inflation", "growth", "scores", "corruptions"]
TABLES: tuple[Table, ...] = ("gains", "published", "inflation", "growth", "scores", "corruptions")
"""Tables of a study: gains over controls, figures of the publication beside ours, a gain leak by leak, gains by
training size, which scores of generated images go with gains, and gains on corrupted test images."""


@dataclass(frozen=True, eq=False)
class Results:
    """Stored results of a study, as they are when they are first looked at.

    Printed, it is the leaderboard; in a notebook it is drawn as a table.

    Attributes:
        store: Where the trials are.
        record: What was planned.
        catalogue: Loads what is registered, whose metrics are computed for trials that were stored without them.
        beside: What was planned in other runs of the store, which the table of scores counts too.
    """

    store: Store
    record: dict[str, Any] = field(repr=False)
    catalogue: Callable[[], Catalogue] = field(repr=False)
    beside: Sequence[dict[str, Any]] = field(default=(), repr=False)

    @property
    def study(self) -> str:
        """Name of the study."""
        return str(self.record["study"]["name"])

    @cached_property
    def boards(self) -> tuple[BoardView, ...]:
        """Every board: one per data set, protocol and classifier."""
        return tuple(BoardView(board) for board in self.built())

    def built(self, *, further: bool = True, metrics: bool = True, fair: bool = False) -> list[Board]:
        """Return every board as it was computed.

        Args:
            further: Compute the further measures as well: precision, confusion, calibration.
            metrics: Compute metrics of plugins as well.
            fair: Compute the gain of every method at a fair threshold, as with further measures.
        """
        wanted = further, metrics, fair or further
        for known, built in self._cache.items():
            if all(
                has >= wants for has, wants in zip(known, wanted, strict=True)
            ):  # what shows less is shown from what holds more
                return built
        registered = self.catalogue().items("metric") if metrics else None
        record = with_positive(self.record, self.catalogue()) if further else self.record
        self._cache[wanted] = boards(self.store, record, wide=further, fair=fair, metrics=registered)
        return self._cache[wanted]

    @cached_property
    def _cache(self) -> dict[tuple[bool, bool, bool], list[Board]]:
        return {}

    def board(
        self, dataset: str | None = None, *, protocol: str | None = None, classifier: str | None = None
    ) -> BoardView:
        """Return the one board that fits.

        Args:
            dataset: As the board has it, such as ``ddti:benign-malignant``; None where that leaves no choice.
            protocol: Likewise.
            classifier: Likewise.

        Raises:
            UsageError: If none fits, or several do.
        """
        wanted = {"dataset": dataset, "protocol": protocol, "classifier": classifier}
        fitting = [b for b in self.boards if all(text in (None, getattr(b, key)) for key, text in wanted.items())]
        if len(fitting) == 1:
            return fitting[0]
        there = "; ".join(f"{b.dataset}, {b.protocol}, {b.classifier}" for b in fitting or self.boards)
        given = ", ".join(f"{key}={text!r}" for key, text in wanted.items() if text is not None) or "no choice"
        how_many = "several boards" if fitting else "no board"
        raise UsageError(f"{how_many} of {self.study} fit {given}; there are: {there or 'none'}.")

    def compare(self, arm: str, other: str, *, details: bool = False) -> ArmComparison:
        """Compare two arms on every board where both stand.

        Args:
            arm: As boards write it: ``hybrid``, ``hybrid[generator=reacgan]`` or ``hybrid / resnet18``.
            other: Likewise; the gain is that of `arm` over it.
            details: Work out the cross-checks as well; they make no verdict.

        Raises:
            UsageError: For a name that no arm has, for two names of one arm, and for two arms that share no board.
        """
        metrics = self.catalogue().items("metric") if details else None
        found = compare_arms(self.store, self.record, arm, other, in_detail=details, metrics=metrics)
        return ArmComparison(arm, other, tuple(found))

    def frame(self) -> polars.DataFrame:
        """Return a frame with a row per arm of every board; gains and shares are in percent, times in seconds.

        The columns are those of ``medbench leaderboard --format csv``. ``.to_pandas()`` makes it one of pandas.
        """
        return _frame([row for board in self.built() for row in board_rows(board)])

    def write(
        self,
        form: str = "table",
        *,
        which: Table = "gains",
        wide: bool = False,
        plain: bool = False,
        width: int = WIDTH,
        colour: bool = False,
    ) -> str:
        """Return a table as text.

        Args:
            form: "table" (a terminal), "md", "csv", "json", "latex", or "html" (for a notebook).
            which: One of :data:`TABLES`.
            wide: More columns and every note, in the formats that are read by people.
            plain: ASCII only, in a terminal.
            width: Columns of the terminal.
            colour: Use the colours and weights of a terminal.

        Raises:
            UsageError: If the study has no such table, or there is no such format or table.
        """
        for given, known, what in ((form, (*FORMATS, "html"), "format"), (which, TABLES, "table")):
            if given not in known:
                raise UsageError(f"there is no {what} {given!r}; there are: {', '.join(known)}.")
        if which == "inflation" and not self.record["study"].get("staircase"):
            raise UsageError(
                f"{clean(self.study)}: its gain was not taken apart; run it with inflation=True (or --inflation), and "
                f"open the study {clean(self.study)}{SUFFIX}."
            )
        screen = Screen(width, colour, plain)
        if which == "scores":
            found = find_scores_and_gains(self.store, [self.record, *self.beside])
            return render_scores(found, form, screen=screen)
        if which == "corruptions":
            return self._write_corruptions(form, screen)
        further = wide or form in ("csv", "json")
        fair = which == "gains" and form in ("md", "latex", "html")
        built = self.built(further=further, metrics=further or which == "published", fair=fair)
        if which == "inflation":
            return render_inflation(find_inflations(built), form, screen=screen)
        if which == "published":
            return render_published(compare_with_published(built), form, screen=screen)
        if which == "growth":
            by_size = find_learning_curves(built)
            if not by_size:
                raise UsageError(
                    f"{clean(self.study)}: trains on one size only; name two protocols such as official[patients=50]."
                )
            return render_curves(by_size, form, screen=screen)
        return render_all(built, form, wide=wide, screen=screen)

    def _write_corruptions(self, form: str, screen: Screen) -> str:
        keep = [Arm(**arm).key for arms in self.record["arms"].values() for arm in arms]
        if not (found := find_corruptions(boards(self.store, self.record, keep=keep))):
            raise UsageError(
                f"{clean(self.study)}: tests no corrupted images; run it with --protocol 'patients[corrupted=all]'."
            )
        return render_corruptions(found, form, screen=screen)

    def __str__(self) -> str:
        return self.write(**asdict(screen_of(sys.stdout)))

    def _repr_html_(self) -> str:
        return self.write("html")


@dataclass(frozen=True, eq=False)
class BoardView:
    """One board: the arms of one data set, protocol and classifier, each beside its own control.

    Attributes:
        board: Everything that was computed.
    """

    board: Board

    @property
    def dataset(self) -> str:
        """Name of the data set, with ``phantom:`` before it where it is drawn."""
        return str(self.board.source["dataset"])

    @property
    def protocol(self) -> str:
        """Evaluation protocol."""
        return self.board.protocol

    @property
    def classifier(self) -> str:
        """What is trained."""
        return self.board.classifier

    def frame(self) -> polars.DataFrame:
        """Return a frame with a row per arm; gains and shares are in percent, times in seconds."""
        return _frame(board_rows(self.board))

    def write(
        self, form: str = "table", *, wide: bool = False, plain: bool = False, width: int = WIDTH, colour: bool = False
    ) -> str:
        """Return the board as text, in a format of :meth:`Results.write`."""
        return render_all([self.board], form, wide=wide, screen=Screen(width, colour, plain))

    def __str__(self) -> str:
        return self.write(**asdict(screen_of(sys.stdout)))

    def _repr_html_(self) -> str:
        return self.write("html")


@dataclass(frozen=True, eq=False)
class ArmComparison:
    """One arm over another, on every board where both stand.

    Attributes:
        arm: As it was asked for.
        other: Likewise.
        found: What was computed, by board.
    """

    arm: str
    other: str
    found: Sequence[ArmPair]

    def frame(self) -> polars.DataFrame:
        """Return a frame with a row per board: the gain in points with its 95 % range, and the word for it."""
        return _frame(cleaned(map(values, self.found)))

    def write(self, form: str = "table", *, plain: bool = False, width: int = WIDTH, colour: bool = False) -> str:
        """Return the comparison as text, in a format of :meth:`Results.write`."""
        return render_compared(self.found, form, screen=Screen(width, colour, plain))

    def __str__(self) -> str:
        return self.write(**asdict(screen_of(sys.stdout)))

    def _repr_html_(self) -> str:
        return self.write("html")


def _frame(rows: Iterable[dict[str, Any]]) -> polars.DataFrame:
    """Return rows under the keys of all of them."""
    import polars  # it starts threads, so only where a frame is wanted

    return polars.DataFrame(list(rows), infer_schema_length=None)
