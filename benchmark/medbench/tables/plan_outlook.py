"""What gain a plan could detect, beside other designs, and what rules a verdict out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

from medbench.data.describe import DatasetDescription
from medbench.data.external_test import with_test_set
from medbench.planning.arms import is_primary
from medbench.planning.leak_staircase import arms_under
from medbench.planning.plan import Plan
from medbench.planning.study import Study
from medbench.planning.time_forecast import duration_text
from medbench.protocols.folds import VALIDATION_FOLDS
from medbench.protocols.protocol import EvaluationProtocol, protocol
from medbench.registry.display_names import classifier_name, dataset_name, method_name
from medbench.samples import Samples
from medbench.statistics.power import DISAGREE, PlannedDesign, half_width, outlook, patients_to_see, smallest_gain
from medbench.statistics.verdicts import FEWEST_RARE, WORDS, Evidence, reasons
from medbench.tables.board_notes import knows_patients
from medbench.tables.writers.terminal import PIPE, Screen, under
from medbench.text import counted


def planned_design(
    plan: Plan, source: DatasetDescription, text: str, rule: EvaluationProtocol, comparisons: int
) -> PlannedDesign:
    """Return what decides how small a gain a plan can detect under a protocol.

    Args:
        plan: What would be run.
        source: One of its data sets.
        text: A protocol of its study.
        rule: The same protocol.
        comparisons: Methods of a table that are compared with another.
    """
    s = with_test_set(source, rule).samples
    patients = patients_of_class(tested_samples(source, rule))
    on = next((t.patients for t in plan.trained_on if (t.dataset, t.protocol) == (source.text, text)), 0.0)
    pool = patients_of_class(s.take(s.parts == "train")) if s.parts is not None else patients
    trained = [n * on / max(1, sum(pool)) for n in pool]
    times = (1 - 1 / VALIDATION_FOLDS) * sum(pool) / on if on else float("inf")
    folds = rule.folds(plan.study.folds)
    return PlannedDesign(patients, folds, plan.study.repeats, comparisons, trained, pool=max(1.0, times))


def primary_line(study: Study, design: PlannedDesign) -> str:
    """Say what is tested first."""
    detects = f", and {_detects(smallest_gain(design))}" if min(design.class_patients) > 1 else ""
    return (
        f"Primary comparison: {_name(study.primary)}. It is tested first and by itself{detects}; the others "
        "together, once it is decided. For these:"
    )


def outlook_lines(
    design: PlannedDesign, *, worth: float, whole: float = 0.0, unit: str = "patients", screen: Screen = PIPE
) -> Iterator[str]:
    """Yield what a design can detect, and what other designs would, as a small table.

    Args:
        design: What is planned.
        worth: Points of balanced accuracy that are relevant.
        whole: Seconds that it takes; 0 where that is not known, and costs are given as multiples.
        unit: What is tested: "images" where patients are not known.
        screen: What a terminal can show.
    """
    found = outlook(design)
    if not found:
        rare = counted(min(design.class_patients), "patient")
        yield from under([f"No gain can be detected: the rarest class has {rare}."], screen.width)
        return
    gain, comparisons = 100 * found[0].gain, counted(design.comparisons, "comparison")
    detects = _detects(found[0].gain)
    said = detects[0].upper() + detects[1:] + (f" (80 % power, {comparisons})." if not math.isnan(gain) else ".")
    if gain > worth:
        patients = sum(design.class_patients)
        needed = patients_to_see(worth, sees=gain, patients=patients)
        said += (
            f" {worth:g} points count as relevant (--worth), so this design is too small to confirm such a gain: that "
            f"would need about {needed:,} such {unit} in place of {patients:,}."
        )
        if (half := 100 * half_width(design)) > worth:
            needed = patients_to_see(worth, sees=half, patients=patients)
            said += (
                f' Nor can it show "{WORDS["same"].text}", for which the whole interval must lie within {worth:g} '
                f"points of 0: about {needed:,}."
            )
    yield from under(filter(None, (said, _practice(design))), screen.width)
    yield f"   {'design':<38}{'detects from':>14}{'cost':>14}"
    for number, other in enumerate(found):
        least = "unknown" if math.isnan(other.gain) else f"{100 * other.gain:.1f}" if other.gain <= 1 else "none"
        yield f" {'>' if not number else ' '} {other.label:<38}{least:>14}{_cost(other.cost, whole):>14}"
    share = f"{100 * DISAGREE:.0f} %"
    yield from under([f"It is assumed that two methods decide {share} of the patients differently."], screen.width)


def _detects(gain: float) -> str:
    """Say what gain of balanced accuracy, 0 to 1, is detected; with a handful of patients it would be above 1."""
    if math.isnan(gain):
        return "one training draw does not show how much draws differ, so what gain it can detect is not known"
    return f"can detect a gain of {100 * gain:.1f} points or more" if gain <= 1 else "cannot detect any gain"


def detectable(plan: Plan) -> Iterator[str]:
    """Yield what gain a plan can detect, in a sentence for each table that may have a verdict."""
    for source in plan.sources:
        for text in dict.fromkeys(plan.study.protocols):
            rule, arms = protocol(text), arms_under(plan.study, text, plan.arms[source.text])
            if rule.leaks or any((o.dataset, o.protocol) == (source.text, text) for o in plan.skipped):
                continue
            keys = {arm.key for arm in arms}
            compared = Counter(arm.board or arm.classifier for arm in arms if arm.control and arm.control_key in keys)
            first = {arm.board or arm.classifier for arm in arms if is_primary(arm, plan.study.primary)}
            for classifier, comparisons in compared.items():
                is_first = classifier in first
                found = outlook(planned_design(plan, source, text, rule, 1 if is_first else comparisons))
                if found:
                    several = len(plan.sources) > 1 or len(compared) > 1
                    of = f"{data_name(source)}, {classifier_name(classifier)}: " * several
                    said = _detects(found[0].gain)
                    if not math.isnan(found[0].gain):
                        said += " (80 % power)" + " in the primary comparison" * is_first
                    yield f"{of}{said if of else said.capitalize()}."


def unit_of_plan(source: DatasetDescription) -> str:
    """Name what is counted: images where patients are not known."""
    return "patients" if knows_patients(source.facts()) else "images"


def tested_samples(source: DatasetDescription, rule: EvaluationProtocol) -> Samples:
    """Return what is tested, over all folds."""
    s = with_test_set(source, rule).samples
    return s.take(s.parts == "test") if rule.has_one_cut and s.parts is not None else s


def patients_of_class(samples: Samples) -> list[int]:
    """Return how many patients each class has."""
    return [len(set(samples.patients[samples.labels == k].tolist())) for k in range(len(samples.classes))]


def data_name(source: DatasetDescription) -> str:
    """Name a data set as people read it."""
    return dataset_name(source.text, source.title)


def _name(primary: str) -> str:
    augmenter, _, classifier = primary.partition(" / ")
    return f"{method_name(augmenter)} with {classifier_name(classifier)}" if classifier else method_name(augmenter)


def _practice(design: PlannedDesign) -> str:
    """Say that a design is too small for a verdict; "" where it is not."""
    patients = sum(design.class_patients)
    evidence = Evidence(design.folds, design.repeats, 1, 1, FEWEST_RARE, patients, overlap=design.overlap)
    return next(iter(reasons(evidence)), "")


def _cost(cost: float, whole: float) -> str:
    if math.isnan(cost):
        return "-"
    return duration_text(cost * whole) if whole else f"{cost:.2g} x"
