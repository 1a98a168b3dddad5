"""A board: one data set, one protocol, one classifier, and its arms as the rows of a tree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from medbench.boards.double_steps_gain import DoubleStepsResult
from medbench.boards.fair_gains import FairGain
from medbench.boards.gains import Judged
from medbench.boards.generator_health import why_poor
from medbench.boards.training_runs import RunKey
from medbench.boards.yardstick_results import YardstickResult
from medbench.planning.arms import Arm, Skipped
from medbench.planning.study import Study
from medbench.registry.display_names import is_of_copies
from medbench.statistics.absolute_intervals import Ranges
from medbench.statistics.further_measures import Measures
from medbench.statistics.gain_intervals import Interval
from medbench.statistics.operating_points import OperatingPoint
from medbench.statistics.patient_scores import ArmScores, Cell
from medbench.statistics.pool_images_by_patient import Units
from medbench.statistics.verdicts import Evidence
from medbench.store.stage_costs import Selection
from medbench.store.trial_files import Stored


@dataclass(frozen=True, eq=False)
class Row:
    """One arm of a board.

    Attributes:
        arm: Augmenter, classifier, control.
        depth: Its depth in the tree of controls.
        last: For each level, whether it is the last child there, for drawing the tree.
        planned: Cells that were planned.
        done: Cells with a result.
        failed: Cells that failed for good; each counts with its control's predictions.
        skipped: Cells that cannot be run, as recipe and data do not fit; an arm with any is not scored.
        kinds: Kinds of the failures.
        reasons: Why cells were skipped.
        superseded: Results of this arm made by other code or under another budget.
        scores: None before every planned cell is done or has failed.
        judged: What it gains over its control, and the word for it; None for a root.
        seconds: Stand-alone cost: its own trials and every stage it needs.
        peak_mb: Largest peak memory of a trial.
        made: Synthetic samples in training, mean over cells.
        scores_of_made: Scores of the synthetic images by name, mean over the cells where each is defined; empty without
            synthetic images, and where cells were scored with different extractors.
        extractor: Name of what they were computed with.
        copied: Synthetic images that are copies of training images, of how many that can be told; and those of which
            it cannot be told, since held-out images are themselves nearly training images.
        chosen: Configurations that tries chose, the commonest first, and in how many training runs.
        improving: Cells whose validation loss was lowest at the end of the schedule, and how many recorded it.
        collapsed: Generators among its stages that draw nearly the same picture again and again, and how many
            recorded whether they do.
        selection: What filters among its stages kept; None where there is none.
        cells: What was tested in every cell, a failed one with its control's predictions; empty unless kept on request.
        trials: Stored trials of the cells that are done; kept on request.
        block: What was tested in its seed block, by generator seed and classifier seed; kept on request.
        measures: Those of wide tables; None unless they were asked for, and while a cell is missing.
        ranges: Intervals of what it reaches by itself; None where `measures` is, and under a leaky protocol.
        metrics: Those that plugins added, by name, mean over the cells where they gave a number; None where they gave
            none. Empty unless they were asked for, and while a cell is missing.
        unmeasured: Why numbers are missing and in how many cells, by ``metric NAME``, ``score NAME`` and
            ``extractor NAME``.
        points: Its sensitivity at fixed specificities; empty where `ranges` is None, and without a positive class.
        fair: What it reaches and gains at a threshold learnt on watched patients; None where that is not known, and for
            rows without a verdict of better unless all were asked for.
        has_watched: Whether all its training runs stored what they predict for the watched patients.
    """

    arm: Arm
    depth: int
    last: tuple[bool, ...]
    planned: int
    done: int
    failed: int
    skipped: int = 0
    kinds: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    superseded: int = 0
    scores: ArmScores | None = None
    judged: Judged | None = None
    seconds: float = 0.0
    peak_mb: float = 0.0
    made: float = 0.0
    scores_of_made: Mapping[str, float] = field(default_factory=dict)
    extractor: str = ""
    copied: tuple[int, int, int] = (0, 0, 0)
    improving: tuple[int, int] = (0, 0)
    chosen: tuple[tuple[str, int], ...] = ()
    collapsed: tuple[int, int] = (0, 0)
    selection: Selection | None = None
    cells: Mapping[Cell, Units] = field(default_factory=dict, repr=False)
    trials: Mapping[Cell, Stored] = field(default_factory=dict, repr=False)
    block: Mapping[tuple[int, int], Units] = field(default_factory=dict, repr=False)
    measures: Measures | None = None
    ranges: Ranges | None = None
    metrics: Mapping[str, float | None] = field(default_factory=dict)
    unmeasured: Mapping[str, tuple[str, int]] = field(default_factory=dict)
    fair: FairGain | None = None
    has_watched: bool = False
    points: tuple[OperatingPoint, ...] = ()

    @property
    def why_poor(self) -> str:
        """Why its generated images are poor; "" where they are not, or are copies of real ones, which are real."""
        return "" if is_of_copies(self.arm.augmenter) else why_poor(self.scores_of_made)

    @property
    def marks(self) -> str:
        """Letters after a name: ``g`` poor generator, ``e`` outside data, ``u`` unchecked plugin, ``i`` incomplete."""
        letters = "g" * bool(self.why_poor) + "e" * self.arm.outside + "u" * self.arm.unchecked
        return letters + "i" * (not self.complete)

    @property
    def gain(self) -> Interval | None:
        """Over its control; None for a root, and while one of the two is incomplete."""
        return self.judged.gain if self.judged else None

    @property
    def complete(self) -> bool:
        """Whether nothing more is expected: every planned cell is done, failed for good, or makes no sense."""
        return self.settled == self.planned

    @property
    def settled(self) -> int:
        """Cells from which nothing more is expected."""
        return self.done + self.failed + self.skipped


@dataclass(frozen=True, eq=False)
class Board:
    """One data set, one protocol, one classifier.

    Attributes:
        source: Facts of the data set as :meth:`medbench.data.describe.Described.facts` gives them.
        protocol: Text of the protocol.
        leaks: What the protocol is known to leak; a board with any is never ranked.
        classifier: Text of the classifier.
        study: The study.
        rows: The tree, controls before the arms compared with them.
        plain: The arm of the footer, or None.
        skipped: Combinations left out, with reasons.
        unit: What was scored: "patient", or "image" where a patient's images differ in label or the protocol leaks.
        looks: Configurations ever evaluated on these folds in this store.
        evidence: What its verdicts rest on.
        device: "CPU" or the name of the GPU.
        warnings: Sentences about the design.
        yardsticks: Further trainings of its control; empty where none were planned.
        yardstick_trials: Trials of the yardsticks, each counted once: planned, done, failed.
        beside: Status of every training run that is planned beside those of the rows; "" where it is still to be done.
        check: Its best arm at twice the steps; None where no check is planned or no arm is chosen yet.
        unseen: Configurations evaluated here before that the board does not show; each widens its ranges.
        trained_on: Training patients, mean over the cuts; NaN where the plan did not say.
    """

    source: Mapping[str, Any]
    protocol: str
    leaks: tuple[str, ...]
    classifier: str
    study: Study
    rows: tuple[Row, ...]
    plain: Row | None
    skipped: tuple[Skipped, ...]
    unit: str
    looks: int
    evidence: Evidence
    device: str
    warnings: tuple[str, ...] = ()
    yardsticks: tuple[YardstickResult, ...] = ()
    yardstick_trials: tuple[int, int, int] = (0, 0, 0)
    beside: Mapping[RunKey, str] = field(default_factory=dict, repr=False)
    check: DoubleStepsResult | None = None
    unseen: int = 0
    trained_on: float = float("nan")

    @property
    def all_rows(self) -> tuple[Row, ...]:
        """The tree, and the arm of the footer where there is one."""
        return (*self.rows, self.plain) if self.plain else self.rows

    @property
    def is_phantom(self) -> bool:
        """Whether the images were drawn by medbench."""
        return str(self.source["dataset"]).startswith("phantom:")
