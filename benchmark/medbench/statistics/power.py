"""What a design sees: the smallest gain it finds with a power of 80 %, before a run and after it.

Before, from the number of patients and assumptions that are stated; after, from the standard error that was observed.
Neither is an "observed power": the gain that was found plays no part.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, floor, log10, sqrt
from statistics import NormalDist

from medbench.statistics.intervals import Interval
from medbench.statistics.student_t import two_sided
from medbench.statistics.variances import allowance, degrees

POWER = 0.8
ROOM = 63  # columns of a line of a plan for further designs, with a blank or three between them
DISAGREE = 0.15  # arm and control decide 10 to 20 % of the patients differently, as a rule
LASTING = 0.6
"""Share of the variance of one repeat that no further repeat takes away, since it is that of the patients.

From the half-widths of one, three and five repeats of linear classifiers on 300 patients: 9.1, 8.0 and 7.2 points.
"""
LEARNT = 0.05
"""What one training draw of an official cut varies by, over what a decision by chance on the trained patients would.

From linear classifiers on draws of 120 and of 298 patients, different ones and one retrained: .049, .050, .046, .057.
"""


@dataclass(frozen=True)
class Forecast:
    """A design and what it would see.

    Attributes:
        folds: K; 1 for an official cut.
        repeats: Partitions, or training draws of an official cut.
        comparisons: Size of the family.
        gain: Smallest gain of balanced accuracy seen with a power of 80 %, 0 to 1.
        cost: Trainings, relative to the design it stands beside.
        label: What is different in it: "5 x 1", "1 comparison"; "" for the design itself.
    """

    folds: int
    repeats: int
    comparisons: int
    gain: float
    cost: float = 1.0
    label: str = ""


def forecast(
    class_patients: Sequence[int],
    *,
    folds: int,
    repeats: int,
    comparisons: int = 1,
    disagree: float = DISAGREE,
    trained: Sequence[float] = (),
) -> Forecast:
    """Forecast the smallest gain that a design sees: this interval, this family, a power of 80 %.

    Comparisons count as independent, which is slightly pessimistic.

    Args:
        class_patients: Patients of each class that are tested; at least 2 each.
        folds: K; 1 for an official cut.
        repeats: Partitions, or training draws of an official cut.
        comparisons: Arms that are compared with a control.
        disagree: Share of patients that arm and control of one training decide differently.
        trained: Patients of each class that an official cut trains on; without them what their draws add is left out.
            Folds do without: their constants were taken from designs that train on the rest of the same patients.

    Raises:
        ValueError: If a class has fewer than two patients: nothing can be said then.
    """
    df = min(class_patients) - 1
    if df < 1:
        raise ValueError(f"every class needs at least 2 patients, got {min(class_patients)}")
    once = disagree * _by_class(class_patients)
    patients = once * (1 + allowance(folds, repeats, min(class_patients))) * (LASTING + (1 - LASTING) / repeats)
    trainings = LEARNT * _by_class(trained) / repeats if folds == 1 and trained and min(trained) > 0 else 0.0
    if repeats > 1:  # of one draw nobody can tell, and the interval leaves it out
        df = degrees(patients, trainings, df, repeats, folds)
    gain = (two_sided(df, comparisons=comparisons) + NormalDist().inv_cdf(POWER)) * sqrt(patients + trainings)
    return Forecast(folds, repeats, comparisons, gain)


def _by_class(patients: Sequence[float]) -> float:
    """Return the variance of balanced accuracy per unit variance of a decision."""
    return sum(1 / n for n in patients) / len(patients) ** 2


def alternatives(
    class_patients: Sequence[int],
    *,
    folds: int,
    repeats: int,
    comparisons: int = 1,
    disagree: float = DISAGREE,
    trained: Sequence[float] = (),
) -> tuple[Forecast, ...]:
    """Forecast two cheaper designs and a dearer one: the cheaper ones first.

    Repeats go first, then comparisons, then folds. A design that is as small as designs get has fewer than two.
    """
    cheaper = [(folds, 1, comparisons), (folds, repeats, 1)]
    cheaper += [(folds, max(1, repeats // 2), comparisons), (folds, repeats, max(1, comparisons // 2))]
    cheaper += [(k, repeats, comparisons) for k in (3, 2) if k < folds]
    dearer = (folds, 10 if repeats < 10 else 2 * repeats, comparisons)
    wanted = [*list(dict.fromkeys(d for d in cheaper if d != (folds, repeats, comparisons)))[:2], dearer]
    found = []
    for k, r, m in wanted:
        of_it = forecast(class_patients, folds=k, repeats=r, comparisons=m, disagree=disagree, trained=trained)
        cost = k * r * (m + 1) / (folds * repeats * (comparisons + 1))  # arms and the control they share
        plural = "s" if m > 1 else ""
        label = f"{m} comparison{plural}" if m != comparisons else f"{k} x {r}" if folds > 1 else f"{r} draws"
        found.append(Forecast(k, r, m, of_it.gain, cost, label))
    return tuple(found)


def outlook(
    class_patients: Sequence[int],
    *,
    folds: int,
    repeats: int,
    comparisons: int,
    price: Callable[[float], str] = lambda cost: f"at {cost:.2g}x",
    trained: Sequence[float] = (),
) -> list[tuple[str, str]]:
    """Say what a design sees and what others would, as lines of a plan: a word and what stands behind it.

    Args:
        class_patients: Patients of each class that are tested.
        folds: K; 1 for an official cut.
        repeats: Partitions, or training draws of an official cut.
        comparisons: Arms that are compared with a control, at least 1.
        price: Says what a design costs, relative to this one.
        trained: Patients of each class that an official cut trains on.
    """
    if min(class_patients) < 2:
        return [("sees", f"nothing: the rarest class has {min(class_patients)} patients")]
    design = {"folds": folds, "repeats": repeats, "comparisons": comparisons}
    gain = forecast(class_patients, **design, trained=trained).gain
    plural = "s" if comparisons > 1 else ""
    said = [("sees", f"{100 * gain:.1f} points of balanced accuracy or more, for {comparisons} comparison{plural}")]
    others = alternatives(class_patients, **design, trained=trained)
    lines = [""]
    for item in (f"{o.label}: {100 * o.gain:.1f} {price(o.cost)}" for o in others):
        if len(lines[-1]) + len(item) > ROOM:
            lines.append("")
        lines[-1] += f"   {item}" if lines[-1] else item
    said += [("instead", line) for line in lines]
    twice = forecast([2 * n for n in class_patients], **design, trained=[2 * n for n in trained]).gain
    said.append(
        ("note", f"twice the patients{' of both parts' if folds == 1 and trained else ''} would see {100 * twice:.1f}")
    )
    said.append(("assuming", f"arm and control decide {100 * DISAGREE:.0f} % of the patients differently"))
    return said


def seen(interval: Interval) -> float:
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
