"""A published gain examined from its figures alone: no images, no predictions."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from medbench.statistics import claimed_gain as gains
from medbench.statistics.class_count_errors import auroc_gain_error, balanced_gain_error
from medbench.statistics.published_counts import Counts, Figure, counts_of

Metric = Literal["accuracy", "recall", "balanced-accuracy", "auroc", "other"]
COUNTED = ("accuracy", "recall")
"""Metrics that count images; recall is also sensitivity, and specificity."""
WITHIN_PATIENT = (0.2, 0.8)
"""Assumed correlation of two images of a patient, from nearly independent ones to near copies."""
OPEN = 0.001
"""Rounding that moves a gain by more, a digit of what tables print, is told."""
OF_AUROCS = (0.8, 0.0)
"""Assumed correlation of two AUROCs of the same cases, from alike methods to unrelated ones."""


# The facts of a claim are as many as there are.
@dataclass(frozen=True)
class Claim:
    """What a publication says of a gain; what it does not say is left out.

    Attributes:
        about: Which method is compared with which, on what.
        metric: What was measured; "other" where no formula is at hand, as for an inception score.
        before: Figure of the method that it is compared with; None where none was published.
        after: Figure of the method that is said to be better; None likewise.
        n: Test images; 0 where unknown.
        n_to: Test images of the second method, where they are other ones; 0 where both were tested on the same.
        classes: Test images of each class; empty where unknown.
        agreement: Share of the test images on which both methods are right or both are wrong; None where unknown.
        correlation: Of the two AUROCs; None where unknown.
        patients: Patients whose images were tested; 0 where unknown.
        split_by: Whether images or patients were split; "" where unknown.
        comparisons: Methods or settings of which the best is reported.
        selected_on: What the epoch was chosen on; "" where unknown.
        augmented_before_split: Whether images were added before the split.
        synthetic_scored: Whether added images are among the scored ones.
        fitted_on_all: Whether a scaler, an encoder or a generator learned from test images.
        longer_training: Whether the method was trained for more steps than what it is compared with.
        worth: Gain that matters, 0 to 1.
        source: Where the figures stand.
        note: What a reader must know.
    """

    about: str = ""
    metric: Metric = "accuracy"
    before: Figure | None = None
    after: Figure | None = None
    n: int = 0
    n_to: int = 0
    classes: tuple[int, ...] = ()
    agreement: float | None = None
    correlation: float | None = None
    patients: int = 0
    split_by: Literal["", "images", "patients"] = ""
    comparisons: int = 1
    selected_on: Literal["", "test", "validation"] = ""
    augmented_before_split: bool = False
    synthetic_scored: bool = False
    fitted_on_all: bool = False
    longer_training: bool = False
    worth: float = 0.02
    source: str = ""
    note: str = ""

    @property
    def gain(self) -> float | None:
        """As published, -1 to 1; None where a figure is missing."""
        return None if self.before is None or self.after is None else self.after.value - self.before.value

    @property
    def is_paired(self) -> bool:
        """Whether both methods were tested on the same images."""
        return not self.n_to

    @property
    def leaks(self) -> tuple[str, ...]:
        """Leaks that the publication admits, as ``run --leak`` calls them; "several" has no switch of its own."""
        several_images = not self.patients or self.patients < self.n
        found = {
            "synthetic-scored": self.synthetic_scored,
            "copies": self.augmented_before_split,
            "fitted-on-all": self.fitted_on_all,
            "images": self.split_by == "images" and several_images,
            "steps": self.longer_training,
            "selection": self.selected_on == "test",
            "several": self.comparisons > 1,
        }
        return tuple(leak for leak, is_there in found.items() if is_there)


@dataclass(frozen=True)
class Reading:
    """A claim under one assumption about what was not published.

    Attributes:
        agreement: Share of images on which both are right or both wrong; None where that is no part of it.
        correlation: Of the two AUROCs; None likewise.
        within_patient: Correlation of the images of a patient; None where each image counts.
        images: As many independent images hold as much information.
        gain: That is read here, -1 to 1: one of those that are rounded to the published one.
        low: Lower end of the 95 % CI of the gain, -1 to 1.
        high: Its upper end.
        none: Probability that the true gain is 0 or less.
        none_as_best: The same, as the best of so many comparisons: an upper end.
        below_worth: Probability that the true gain is at most what matters.
        luck: How much the best of so many equal methods gains by luck alone, on average, 0 to 1.
        needed: Images that tell this gain with a power of 80 %; infinite for a gain of 0.
        detectable: Smallest gain that these images tell with this power; NaN where none.
    """

    agreement: float | None
    correlation: float | None
    within_patient: float | None
    images: float
    gain: float
    low: float
    high: float
    none: float
    none_as_best: float
    below_worth: float
    luck: float
    needed: float
    detectable: float


@dataclass(frozen=True)
class ExaminedClaim:
    """What the figures of a claim say.

    Attributes:
        claim: The facts.
        readings: One where everything is known; else two, from the least to the most luck that is possible. Empty where
            figures are missing.
        impossible: Figures that no count of the images gives, or only by cutting digits off, with the nearest counts.
        commonest: Share of the commonest class, which a constant answer scores; None where unknown or no accuracy.
        rounding: How far rounding leaves the gain open, lowest and highest, where images are counted.
        alone: 95 % CI of the second figure where there is none to compare it with.
    """

    claim: Claim
    readings: tuple[Reading, ...] = ()
    impossible: tuple[tuple[Figure, int, Counts], ...] = ()
    commonest: float | None = None
    rounding: tuple[float, float] | None = None
    alone: tuple[float, float] | None = None

    @property
    def is_open_by_rounding(self) -> bool:
        """Whether what is read differs from the published gain by a digit of the table, or much of the interval."""
        as_published = self.claim.gain or 0.0
        return any(abs(r.gain - as_published) > min(OPEN, (r.high - r.low) / 4) for r in self.readings)

    @property
    def none(self) -> tuple[float, float] | None:
        """Lowest and highest probability that there is no gain, as the best of the comparisons."""
        found = [reading.none_as_best for reading in self.readings]
        return (min(found), max(found)) if found else None


def examine(claim: Claim) -> ExaminedClaim:
    """Say what the figures of a claim allow; see the functions of :mod:`medbench.statistics.claimed_gain`."""
    counted = claim.metric in COUNTED and claim.n > 0
    sizes = ((claim.before, claim.n), (claim.after, claim.n_to or claim.n)) if counted else ()
    impossible = tuple(
        (given, n, counts)
        for given, n in sizes
        if given is not None and (counts := counts_of(given, n)).how != "rounded"
    )
    commonest = max(claim.classes) / sum(claim.classes) if claim.metric == "accuracy" and claim.classes else None
    found = ExaminedClaim(claim, impossible=impossible, commonest=commonest)
    if claim.gain is None or claim.metric == "other":
        if claim.after is None or not counted:
            return found
        return replace(found, alone=gains.share_interval(claim.after.value * claim.n, claim.n))
    read: Callable[[bool, float | None], Reading] = partial(_read_normal, claim)
    if counted:
        of_before, of_after = _right(claim.before, claim.n), _right(claim.after, claim.n_to or claim.n)
        ends = [(of_after[one] / (claim.n_to or claim.n) - of_before[1 - one] / claim.n) for one in (0, 1)]
        found = replace(found, rounding=(ends[0], ends[1]))
        read = partial(_read_paired if claim.is_paired else _read_apart, claim, of_before, of_after)
    is_open = claim.is_paired and claim.agreement is None and claim.correlation is None
    clustered = WITHIN_PATIENT if 0 < claim.patients < claim.n else (None, None)
    if not is_open and clustered[0] is None:
        return replace(found, readings=(read(False, None),))
    return replace(found, readings=(read(False, clustered[0]), read(True, clustered[1])))


def _right(given: Figure | None, n: int) -> tuple[float, float]:
    """Return the fewest and the most images that a figure says are right; what no count gives is taken as it stands."""
    assert given is not None
    counts = counts_of(given, n)
    return (counts.fewest, counts.most) if counts.how else (given.value * n, given.value * n)


def _thinned(claim: Claim, within_patient: float | None) -> float:
    """Return what one image is worth, in independent ones."""
    if within_patient is None:
        return 1.0
    return 1 / gains.design_effect(claim.n / claim.patients, within_patient)


def _read_paired(
    claim: Claim, before: tuple[float, float], after: tuple[float, float], unlucky: bool, within: float | None
) -> Reading:
    """Read two methods that were tested on the same images, agreeing as often as they can or as seldom."""
    n, thinned = claim.n, _thinned(claim, within)
    if claim.agreement is not None:
        first, second = sum(before) / 2, sum(after) / 2
        only_first = ((1 - claim.agreement) * n - (second - first)) / 2
        only_first = max(0.0, first - second, min(first, n - second, only_first))  # figures are rounded
    else:
        first, second = (before[1], after[0]) if unlucky else (before[0], after[1])
        only_first = min(first, n - second) if unlucky else max(0.0, first - second)
    only_second = only_first + second - first
    disagreement = (only_first + only_second) / n
    b, c, images = only_second * thinned, only_first * thinned, n * thinned
    gain = (second - first) / n
    needed = partial(gains.images_needed, comparisons=claim.comparisons)
    agrees_most = claim.agreement is None and not unlucky
    detectable = gains.detectable(
        lambda g: needed(g, g if agrees_most else max(disagreement, g)), images, 1 - first / n
    )
    none = gains.probability_of_none(b, c)
    error = math.sqrt(max(disagreement - gain * gain, 1 / (images + 2)) / images)
    return Reading(
        1 - disagreement,
        None,
        within,
        images,
        gain,
        *gains.paired_interval(b, c, images),
        none,
        gains.as_best_of(none, claim.comparisons),
        gains.probability_of_none(b, c, n=images, worth=claim.worth),
        gains.luck_of_the_best(claim.comparisons) * error,
        needed(gain, disagreement) / thinned if gain else math.inf,
        detectable,
    )


def _read_apart(
    claim: Claim, before: tuple[float, float], after: tuple[float, float], unlucky: bool, within: float | None
) -> Reading:
    """Read two methods that were tested on different images."""
    thinned = _thinned(claim, within)
    n, n_to = claim.n * thinned, claim.n_to * thinned
    first, second = sum(before) / 2 * thinned, sum(after) / 2 * thinned
    p, q, ratio = first / n, second / n_to, n_to / n
    none = gains.probability_of_none_apart(first, n, second, n_to)
    needed = partial(gains.images_needed_apart, ratio=ratio, comparisons=claim.comparisons)
    error = math.sqrt(p * (1 - p) / n + q * (1 - q) / n_to)
    return Reading(
        None,
        None,
        within,
        n,
        q - p,
        *gains.interval_apart(first, n, second, n_to),
        none,
        gains.as_best_of(none, claim.comparisons),
        gains.probability_of_none_apart(first, n, second, n_to, worth=claim.worth),
        gains.luck_of_the_best(claim.comparisons) * error,
        needed(p, q) / thinned if p != q else math.inf,
        gains.detectable(lambda g: needed(p, p + g), n, 1 - p),
    )


def _read_normal(claim: Claim, unlucky: bool, within: float | None) -> Reading:
    """Read two AUROCs or balanced accuracies of the same images, by the normal approximation."""
    assert claim.before is not None
    assert claim.after is not None
    gain = claim.after.value - claim.before.value
    thinned = _thinned(claim, within)
    classes = [count * thinned for count in claim.classes]
    one, other = claim.before.value, claim.after.value
    agreement = correlation = None
    if claim.metric == "auroc":
        correlation = OF_AUROCS[unlucky] if claim.correlation is None else claim.correlation
        error = auroc_gain_error(one, other, classes[0], classes[1], correlation)
    else:
        widest = gains.widest_disagreement(one, other)
        disagreement = (widest if unlucky else abs(gain)) if claim.agreement is None else 1 - claim.agreement
        agreement = 1 - disagreement
        error = balanced_gain_error(gain, disagreement, classes)
    factor, none = gains.factor_of_power(claim.comparisons), gains.probability_by_normal(gain, error)
    return Reading(
        agreement,
        correlation,
        within,
        claim.n * thinned,
        gain,
        *gains.interval_by_normal(gain, error),
        none,
        gains.as_best_of(none, claim.comparisons),
        gains.probability_by_normal(gain, error, worth=claim.worth),
        gains.luck_of_the_best(claim.comparisons) * error,
        claim.n * (factor * error / gain) ** 2 if gain else math.inf,
        factor * error,
    )
