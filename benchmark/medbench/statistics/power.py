"""What a design sees: the smallest gain it finds with a power of 80 %, before a run and after it.

Before, from the number of patients and assumptions that are stated; after, from the standard error that was observed.
Neither is an "observed power": the gain that was found plays no part.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, floor, log10, nan, sqrt
from statistics import NormalDist

from medbench.statistics.gain_intervals import MOST_SHARED, Interval
from medbench.statistics.student_t import two_sided
from medbench.statistics.variances import PRIOR, allowance, degrees
from medbench.text import counted

POWER = 0.8
DISAGREE = 0.15  # arm and control decide 10 to 20 % of the patients differently, as a rule
LASTING = 0.6
"""Share of the variance of one repeat that no further repeat takes away, since it is that of the patients.

With it half-widths of one, three and five repeats stand in the proportions that simulated linear classifiers on 300
patients have: 9.2, 8.6 and 8.4 points.
"""
LEARNT = 0.05
"""What one training draw of an official cut varies by, over what a decision by chance on the trained patients would.

From linear classifiers on draws of 120 and of 298 patients, different ones and one retrained: .049, .050, .046, .057.
"""


@dataclass(frozen=True)
class PlannedDesign:
    """What decides how small a gain a study sees.

    Attributes:
        class_patients: Patients of each class that are tested.
        folds: K; 1 for an official cut.
        repeats: Partitions, or training draws of an official cut.
        comparisons: Arms that are compared with a control, at least 1.
        trained: Patients of each class that an official cut trains on; without them what their draws add is left out.
            Folds do without: their constants were taken from designs that train on the rest of the same patients.
        disagree: Share of patients that arm and control of one training decide differently.
        pool: Patients that an official cut draws from over those of one draw; draws are disjoint while it lasts.
    """

    class_patients: Sequence[int]
    folds: int
    repeats: int
    comparisons: int = 1
    trained: Sequence[float] = ()
    disagree: float = DISAGREE
    pool: float = float("inf")

    @property
    def is_one_draw(self) -> bool:
        """Whether there is one training draw, which does not show how much draws differ."""
        return self.folds == 1 and self.repeats == 1 and bool(self.trained)

    @property
    def overlap(self) -> float:
        """Part of the training patients that two repeats of an official cut share, mean over pairs."""
        repeats = self.repeats
        disjoint = max(1, int(min(self.pool + 1e-9, repeats)))
        blocks = [sum(r // disjoint == b for r in range(repeats)) for b in range(ceil(repeats / disjoint))]
        apart = repeats * (repeats - 1) - sum(n * (n - 1) for n in blocks)
        return apart / (repeats * (repeats - 1)) / self.pool if self.folds == 1 and repeats > 1 else 0.0


@dataclass(frozen=True)
class Alternative:
    """Another design.

    Attributes:
        design: The design.
        gain: Smallest gain of balanced accuracy seen with a power of 80 %, 0 to 1; NaN where that is not known.
        cost: Trainings, relative to the design it stands beside.
        label: What is different in it: "5 folds x 1", "1 comparison only".
    """

    design: PlannedDesign
    gain: float
    cost: float
    label: str


def smallest_gain(design: PlannedDesign) -> float:
    """Forecast the smallest gain, 0 to 1, that a design sees: this interval, this family, a power of 80 %.

    Comparisons count as independent, which is slightly pessimistic.

    Returns:
        0 to 1 and above; NaN for one training draw, whose interval leaves out what other draws would give.

    Raises:
        ValueError: If a class has fewer than two patients: no variance can be estimated then.
    """
    critical, error = _range_of(design)
    return nan if design.is_one_draw else (critical + NormalDist().inv_cdf(POWER)) * error


def half_width(design: PlannedDesign) -> float:
    """Forecast half the width of an interval, 0 to 1: "no relevant difference" needs one that fits around 0.

    Raises:
        ValueError: If a class has fewer than two patients.
    """
    critical, error = _range_of(design)
    return critical * error


def _range_of(design: PlannedDesign) -> tuple[float, float]:
    """Return how many standard errors the joint range reaches, and the standard error."""
    folds, repeats, rare = design.folds, design.repeats, min(design.class_patients)
    df = rare - 1
    if df < 1:
        raise ValueError(f"every class needs at least 2 patients, got {rare}")
    once = design.disagree * _by_class(design.class_patients)
    lasting = LASTING if repeats > 1 else 1.0  # one repeat does not show it, see between_patients
    of_mean = lasting + (1 - lasting) / repeats
    patients = once * (of_mean + allowance(folds, (1 - lasting) / of_mean) * lasting)
    has_draws = folds == 1 and design.trained and min(design.trained) > 0
    shared = design.overlap if design.overlap <= MOST_SHARED else 0.0
    trainings = LEARNT * _by_class(design.trained) * ((1 - shared) / repeats + shared) if has_draws else 0.0
    if repeats > 1:  # one draw does not show its variance, and the interval leaves it out
        df = degrees(patients, trainings, df, PRIOR * (1 - 1 / design.comparisons) + repeats - 1, folds)
    return two_sided(df, comparisons=design.comparisons), sqrt(patients + trainings)


def _by_class(patients: Sequence[float]) -> float:
    """Return the variance of balanced accuracy per unit variance of a decision."""
    return sum(1 / n for n in patients) / len(patients) ** 2


def alternatives(design: PlannedDesign) -> tuple[Alternative, ...]:
    """Forecast two cheaper designs and a dearer one: the cheaper ones first.

    Repeats go first, then comparisons, then folds. A design that is as small as designs get has fewer than two.
    """
    folds, repeats, m = design.folds, design.repeats, design.comparisons
    cheaper = [
        replace(design, repeats=1),
        replace(design, comparisons=1),
        replace(design, repeats=max(1, repeats // 2)),
        replace(design, comparisons=max(1, m // 2)),
        *(replace(design, folds=k) for k in (3, 2) if k < folds),
    ]
    different = [other for n, other in enumerate(cheaper) if other != design and other not in cheaper[:n]]
    found = []
    for other in (*different[:2], replace(design, repeats=10 if repeats < 10 else 2 * repeats)):
        trainings = other.folds * other.repeats * (other.comparisons + 1)  # arms and the control they share
        label = f"{counted(other.comparisons, 'comparison')} only" if other.comparisons != m else name_of(other)
        found.append(Alternative(other, smallest_gain(other), trainings / (folds * repeats * (m + 1)), label))
    return tuple(found)


def outlook(design: PlannedDesign) -> tuple[Alternative, ...]:
    """Return a design, then others beside it: cheaper ones, a dearer one, and itself with twice the patients.

    Empty where the rarest class has fewer than two patients, so that nothing can be detected. Twice the patients cost
    NaN: they are not for sale.
    """
    if min(design.class_patients) < 2:
        return ()
    twice = replace(
        design, class_patients=[2 * n for n in design.class_patients], trained=[2 * n for n in design.trained]
    )
    of_both = " in both parts" if design.folds == 1 and design.trained else ""
    this = Alternative(design, smallest_gain(design), 1.0, f"{name_of(design)} (this plan)")
    return (
        this,
        *alternatives(design),
        Alternative(twice, smallest_gain(twice), float("nan"), f"twice as many patients{of_both}"),
    )


def name_of(design: PlannedDesign) -> str:
    """Name a design: ``5 folds x 3``."""
    return f"{design.folds} folds x {design.repeats}" if design.folds > 1 else counted(design.repeats, "training draw")


def smallest_gain_seen(interval: Interval) -> float:
    """Return the smallest gain that the design saw in this comparison, by the standard error observed in it."""
    return (interval.critical + NormalDist().inv_cdf(POWER)) * interval.standard_error


def patients_to_see(worth: float, *, sees: float, patients: int) -> int:
    """Return how many such patients it takes to see a gain of `worth`, to two digits.

    Variance falls as one over the number of patients, of every class alike; training noise falls more slowly, so this
    is a lower end.

    Args:
        worth: A gain, in the unit of `sees`.
        sees: What the design sees with `patients`.
        patients: Patients tested.
    """
    needed = patients * (sees / worth) ** 2
    if needed < 100:
        return ceil(needed)
    step = 10 ** (floor(log10(needed)) - 1)
    return round(needed / step) * int(step)
