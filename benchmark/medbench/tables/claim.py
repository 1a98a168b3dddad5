"""What the figures of a published gain say, in plain words and as values."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from medbench.analyses.claim import COUNTED, OF_AUROCS, WITHIN_PATIENT, ExaminedClaim, Reading
from medbench.statistics.published_counts import Counts, Figure
from medbench.tables.writers.terminal import PIPE, Screen, joined, under
from medbench.text import counted, listed, pad, points, wrapped

SURE = 0.025
"""A lower probability of no gain is what a 95 % interval above 0 says."""
NAME_WIDTH, COLUMN_WIDTH = 46, 16
PAGE = "docs/explanation/inflation.md"
LEAKS: Mapping[str, tuple[str, str]] = {
    "synthetic-scored": (
        "Added images are among the scored ones: the network is tested on images of the kind it was fed.",
        "Measured by medbench run --leak synthetic-scored,copies",
    ),
    "copies": (
        "Images were added before the split: an image can be trained on and its copy be tested.",
        "Measured by medbench run --leak copies",
    ),
    "fitted-on-all": (
        "A scaler, an encoder or a generator learned from the test images.",
        "Measured by medbench run --leak fitted-on-all",
    ),
    "images": (
        "Images were split, not patients: patients can be trained on with one image and tested on another.",
        "Measured by medbench run --leak images",
    ),
    "steps": (
        "The method was trained for more steps than what it is compared with.",
        "Measured by medbench run --leak steps",
    ),
    "selection": (
        "The epoch was chosen on the scored images: the luckiest of many is reported.",
        "Measured by medbench run --leak selection",
    ),
    "several": ("The best of several is reported, chosen by the result itself.", "Counted above."),
}
"""What each leak does, and the switch of ``medbench run`` that measures it, where there is one."""
METRICS = {"accuracy": "accuracy", "recall": "recall", "balanced-accuracy": "balanced accuracy", "auroc": "AUROC"}


def render(found: Sequence[ExaminedClaim], *, screen: Screen = PIPE) -> str:
    """Write claims for a terminal, what holds for several of them once below all."""
    parts = [joined(_lines(one, screen), plain=screen.plain) for one in found]
    below = joined(_below(found, screen), plain=screen.plain)
    return "\n\n\n".join(parts) + (f"\n{below}" if below else "")


def to_json(found: Sequence[ExaminedClaim]) -> str:
    """Write claims as a list in JSON; shares from 0 to 1, gains in points."""
    return json.dumps([values(one) for one in found], indent=1, ensure_ascii=False, allow_nan=False)


def answer(found: ExaminedClaim) -> str:
    """Say in one or two sentences what is left to believe."""
    claim = found.claim
    leaks = len(claim.leaks)
    if found.none is None:
        said = "No figure to compare with was published, so nothing can be said of a gain."
        if claim.metric == "other":
            said = "medbench has no formula for the luck in such figures."
        elif claim.before is None and claim.after is None:
            said = "No figure was published, so nothing can be computed."
        return f"{said} {_admits(leaks)}".strip()
    low, high = found.none
    assert claim.gain is not None
    if claim.gain <= 0:
        return f"No gain is claimed: the second figure is not above the first. {_admits(leaks)}".strip()
    one, other = (probability(end).replace("<", "below ").replace(">", "above ") for end in (low, high))
    range_ = one if one == other else f"{one} to {other}"
    if high < SURE:
        said = f"Luck in the test images does not explain this gain: the probability that there is none is {range_}."
        return f"{said} {_admits(leaks).removesuffix('.')}, which may." if leaks else said
    if low >= SURE:
        said = f"Luck in the test images alone can explain this gain: the probability that there is none is {range_}."
    else:
        why = "how often the two methods agree" if claim.patients in (0, claim.n) else "what was not published"
        why += " and on how the figures were rounded" if found.is_open_by_rounding else ""
        said = f"Whether luck in the test images explains this gain depends on {why}: the probability that there is "
        said += f"none is {range_}."
    return f"{said} {_admits(leaks)}".strip()


def probability(value: float) -> str:
    """Write a probability: ``.031``, ``<.001``, ``>.999``."""
    if value < 0.001:
        return "<.001"
    if value > 0.999:
        return ">.999"
    return f"{value:.3f}".removeprefix("0")


def sentences(found: ExaminedClaim) -> Iterator[str]:
    """Yield what a reader must know of the figures: impossible ones, a constant answer, rounding, assumptions."""
    claim = found.claim
    for given, n, counts in found.impossible:
        yield _impossible(given, n, counts)
    if found.commonest is not None:
        said = f"Naming the commonest class for every image scores {100 * found.commonest:.1f} %."
        below = [g for g in (claim.before, claim.after) if g is not None and g.value < found.commonest]
        yield f"{said} {_all_below(below)}".strip()
    if found.rounding is not None and (found.is_open_by_rounding or found.rounding[1] - found.rounding[0] > 0.0015):
        low, high = found.rounding
        yield f"The figures are rounded: the gain lies between {points(low)} and {points(high)} points."
    if found.alone is not None:
        low, high = found.alone
        yield f"95 % CI of {_shown(claim.after)}: {100 * low:.1f} to {100 * high:.1f} %."
    if claim.note:
        yield claim.note


def assumptions(found: ExaminedClaim) -> Iterator[str]:
    """Yield what stands under the numbers: what the probability is, and what was assumed."""
    claim = found.claim
    if not found.readings:
        return
    paired = claim.is_paired and claim.metric in COUNTED
    rounded = ", and the largest and the smallest gain that is rounded to them" if found.is_open_by_rounding else ""
    prior = "a uniform prior" if claim.metric in COUNTED else "a flat prior, normal errors"
    yield (
        f"Probability: the posterior of the true gain under {prior}. It counts luck in the test images only, not luck "
        "in training, and holds if nothing leaked."
    )
    if claim.comparisons > 1:
        yield (
            "As the best of several: an upper end, reached where the true gains of all of them are equal and their "
            "luck is independent."
        )
    if claim.is_paired and claim.metric == "auroc" and claim.correlation is None:
        high, low = OF_AUROCS
        yield f"The correlation of the two AUROCs was not given: {high:g} (little luck) to {low:g} (much) is assumed."
    elif (paired or claim.metric == "balanced-accuracy") and claim.agreement is None:
        yield (
            "How often both methods are right or wrong together was not given: the columns have the most and the least "
            f"that these figures allow{rounded}. --agreement makes it one column."
        )
    if not claim.is_paired:
        yield "The two methods were tested on different images, which count as independent."
    if not claim.patients:
        yield "Patients were not given: every image counts by itself. Several images of a patient mean more luck."
    elif claim.patients < claim.n:
        low, high = WITHIN_PATIENT
        yield (
            f"{counted(claim.patients, 'patient')} with {claim.n / claim.patients:.1f} images each: images of one are "
            f"assumed to correlate by {low:g} (little luck) to {high:g} (much)."
        )


def values(found: ExaminedClaim) -> dict[str, Any]:
    """Return a claim as plain values: gains in points, probabilities and shares from 0 to 1."""
    claim = found.claim
    return {
        "about": claim.about or None,
        "metric": claim.metric,
        "from": None if claim.before is None else claim.before.text,
        "to": None if claim.after is None else claim.after.text,
        "n": claim.n or None,
        "n_to": claim.n_to or None,
        "classes": list(claim.classes),
        "patients": claim.patients or None,
        "comparisons": claim.comparisons,
        "worth": round(100 * claim.worth, 6),
        "gain": None if claim.gain is None else _in_points(claim.gain),
        "answer": answer(found),
        "probability_of_no_gain": None if found.none is None else list(found.none),
        "commonest_class": found.commonest,
        "impossible": [
            {"figure": given.text, "n": n, "if_cut": counts.how == "cut", "nearest": [counts.below, counts.above]}
            for given, n, counts in found.impossible
        ],
        "readings": [_reading(reading) for reading in found.readings],
        "leaks": [
            {"name": leak, "text": " ".join(LEAKS[leak])} for leak in claim.leaks
        ],
        "notes": [*sentences(found), *assumptions(found)],
        "source": claim.source or None,
    }  # fmt: skip


def _reading(one: Reading) -> dict[str, Any]:
    return {
        "agreement": one.agreement,
        "correlation": one.correlation,
        "correlation_within_patient": one.within_patient,
        "independent_images": one.images,
        "gain": _in_points(one.gain),
        "gain_low": _in_points(one.low),
        "gain_high": _in_points(one.high),
        "probability_of_no_gain": one.none,
        "probability_as_best": one.none_as_best,
        "probability_below_worth": one.below_worth,
        "luck_of_the_best": _in_points(one.luck),
        "images_needed": None if math.isinf(one.needed) else math.ceil(one.needed),
        "detectable_gain": None if math.isnan(one.detectable) else _in_points(one.detectable),
    }


def _in_points(value: float) -> float:
    return round(100 * value, 4) + 0.0


def _lines(found: ExaminedClaim, screen: Screen) -> Iterator[str]:
    yield from (screen.bold(line) for line in wrapped(_title(found), screen.width))
    yield ""
    yield from under([answer(found)], screen.width)
    if found.readings:
        yield ""
        yield from _table(found)
    if said := [*sentences(found)]:
        yield ""
        yield from under(said, screen.width)


def _below(found: Sequence[ExaminedClaim], screen: Screen) -> Iterator[str]:
    """Yield assumptions, leaks and sources, each once."""
    if said := dict.fromkeys(sentence for one in found for sentence in assumptions(one)):
        yield ""
        yield from under(said, screen.width)
    of_claims = {leak: [n for n, one in enumerate(found, 1) if leak in one.claim.leaks] for leak in LEAKS}
    if any(of_claims.values()):
        yield ""
        yield from under([f"Leaks that the text admits ({PAGE}):"], screen.width)
    for leak, numbers in of_claims.items():
        if numbers:
            meaning, how = LEAKS[leak]
            which = f"Claim {listed([str(n) for n in numbers])}: " if len(numbers) < len(found) else ""
            first, *rest = wrapped(f"{which}{meaning} {how}", screen.width - 3)
            yield from (f" -{first}", *(f"  {line}" for line in rest))
    if sources := dict.fromkeys(one.claim.source for one in found if one.claim.source):
        yield ""
        yield from under([f"Source: {source}" for source in sources], screen.width)


def _title(found: ExaminedClaim) -> str:
    claim = found.claim
    what = ""
    if claim.gain is not None and claim.before is not None:
        unit = " %" if _shown(claim.after).endswith("%") else ""
        what = f"{METRICS[claim.metric]} from {claim.before.text} to {_shown(claim.after).removesuffix(' %')}{unit}"
    elif claim.after is not None:
        what = f"{METRICS[claim.metric]} {_shown(claim.after)}"
    if what and claim.n:
        what += (
            f", {claim.n:,} and {claim.n_to:,} test images"
            if not claim.is_paired
            else f", {counted(claim.n, 'test image')}"
        )
    if what and claim.classes:
        what += f" ({'/'.join(f'{count:,}' for count in claim.classes)})"
    return ": ".join(filter(None, ["Claim", claim.about, what]))


def _shown(given: Figure | None) -> str:
    if given is None:
        return ""
    return f"{given.text} %" if given.percent else given.text


def _table(found: ExaminedClaim) -> Iterator[str]:
    claim, readings = found.claim, found.readings
    both = len(readings) > 1
    if both:
        yield _row("", ["least luck", "most luck"])

    def row(name: str, of: Callable[[Reading], str]) -> str:
        return _row(name, [of(reading) for reading in readings])

    if readings[0].agreement is not None:
        yield row("both right or both wrong", lambda r: f"{100 * (r.agreement or 0):.1f} %")
    if readings[0].correlation is not None:
        yield row("correlation of the two AUROCs", lambda r: f"{r.correlation:g}")
    if readings[0].within_patient is not None:
        yield row("as many independent images", lambda r: f"{r.images:,.0f}")
    assert claim.gain is not None
    if found.is_open_by_rounding:
        yield row(f"gain {points(claim.gain)} points; before rounding", lambda r: points(r.gain))
        yield row("  95 % CI", lambda r: f"{points(r.low)} to {points(r.high)}")
    else:
        yield row(f"gain {points(claim.gain)} points, 95 % CI", lambda r: f"{points(r.low)} to {points(r.high)}")
    yield row("probability that the true gain is 0 or less", lambda r: probability(r.none))
    if claim.comparisons > 1:
        yield row(f"  as the best of {claim.comparisons}", lambda r: probability(r.none_as_best))
        yield row("  points that the best gains by luck alone", lambda r: f"{100 * r.luck:.1f}")
    yield row(f"probability that it is below {100 * claim.worth:g} points", lambda r: probability(r.below_worth))
    yield row("images needed to detect this gain (80 % power)", lambda r: _images(r.needed))
    yield row(f"smallest gain that {claim.n:,} images can detect", lambda r: _smallest(r.detectable))


def _row(name: str, cells: Sequence[str]) -> str:
    return pad(f" {name}", NAME_WIDTH) + "".join(pad(cell, -COLUMN_WIDTH) for cell in cells)


def _images(needed: float) -> str:
    return "n/a" if math.isinf(needed) else f"{math.ceil(needed):,}"


def _smallest(gain: float) -> str:
    return "none" if math.isnan(gain) else f"{100 * gain:.1f} points"


def _impossible(given: Figure, n: int, counts: Counts) -> str:
    digits = len(given.text.partition(".")[2])
    scale = 100 if _shown(given).endswith("%") else 1
    near = " and ".join(f"{count:,} are {scale * count / n:.{digits}f}" for count in (counts.below, counts.above))
    if counts.how == "cut":
        return (
            f"{_shown(given)} is no rounded share of {n:,} images ({near}); with digits cut off, {counts.fewest:,} are."
        )
    return f"{_shown(given)} is no share of {n:,} images: {near}."


def _all_below(below: Sequence[Figure]) -> str:
    if not below:
        return ""
    verb = "lies" if len(below) == 1 else "lie"
    return f"{listed([_shown(given) for given in below])} {verb} below that."


def _admits(leaks: int) -> str:
    return f"Its text admits {counted(leaks, 'leak')}." if leaks else ""
