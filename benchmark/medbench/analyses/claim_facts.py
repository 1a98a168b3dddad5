"""Facts of a claim as they are typed or written into a file, checked one by one."""

from __future__ import annotations

import difflib
import math
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from medbench.analyses.claim import COUNTED, Claim, Metric
from medbench.errors import UsageError
from medbench.statistics.claimed_gain import widest_disagreement
from medbench.statistics.published_counts import Figure, fewest_images, figure

METRICS: tuple[str, ...] = typing.get_args(Metric)
COUNTS = {"n": 1, "n-to": 1, "patients": 1, "comparisons": 1}
"""Facts that are whole numbers, and the least each can be."""
CHOICES = {"metric": METRICS, "split-by": ("images", "patients"), "selected-on": ("test", "validation")}
SWITCHES = ("augmented-before-split", "synthetic-scored", "fitted-on-all", "longer-training")
TEXTS = ("about", "source", "note")
KEYS = ("from", "to", "classes", "agreement", "correlation", "worth", *COUNTS, *CHOICES, *SWITCHES, *TEXTS)
"""Every fact, as options and files name it."""
MOST_IMAGES = 10_000_000


def read_claim(facts: Mapping[str, Any]) -> Claim:
    """Turn facts into a claim.

    Args:
        facts: By the names of KEYS; what is None or "" was not given.

    Raises:
        UsageError: For an unknown fact, one that is no number or out of range, and facts that contradict each other.
    """
    given = {key.replace("_", "-"): value for key, value in facts.items() if value not in (None, "")}
    if unknown := sorted(set(given) - set(KEYS)):
        near = difflib.get_close_matches(unknown[0], KEYS, 1)
        hint = f"; did you mean {near[0]!r}?" if near else f"; there are {', '.join(KEYS)}."
        raise UsageError(f"a claim has no {unknown[0]!r}{hint}")
    values: dict[str, Any] = {}
    for key, least in COUNTS.items():
        if key in given:
            values[key] = _count(key, given[key], least)
    for key, known in CHOICES.items():
        if key in given and given[key] not in known:
            raise UsageError(f"{key} is {given[key]!r}; give {' or '.join(known)}.")
    for key in SWITCHES:
        if key in given and not isinstance(given[key], bool):
            raise UsageError(f"{key} is {given[key]!r}; give true or false.")
    values |= {key: given[key] for key in (*CHOICES, *SWITCHES) if key in given}
    values |= {key: str(given[key]) for key in TEXTS if key in given}
    values["before"], values["after"] = _figures(given)
    if "classes" in given:
        values["classes"] = _classes(given["classes"])
    if "agreement" in given:
        values["agreement"] = _share("agreement", given["agreement"])
    if "correlation" in given:
        values["correlation"] = _number("correlation", given["correlation"], 0, 1)
    if "worth" in given:
        values["worth"] = round(_number("worth", given["worth"], 0, 100), 2) / 100  # to what tables print
    claim = Claim(**{key.replace("-", "_"): value for key, value in values.items()})
    return _checked(claim)


def read_claims(path: Path) -> list[Claim]:
    """Read the ``[[claim]]`` tables of a TOML file; its other top-level facts hold for every claim.

    Raises:
        UsageError: If the file cannot be read or a claim in it is wrong.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"{path}: cannot be read ({error.strerror or type(error).__name__}).") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path}: is not TOML ({error}).") from None
    tables = content.pop("claim", [])
    if not isinstance(tables, list) or not tables or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"{path}: holds no claim; write a [[claim]] table for each, with n, from and to.")
    claims = []
    for number, table in enumerate(tables, start=1):
        try:
            claims.append(read_claim({**content, **table}))
        except UsageError as error:
            raise UsageError(f"{path}, claim {number}: {error}") from None
    return claims


def _checked(claim: Claim) -> Claim:
    """Fill in what follows from other facts, and refuse what contradicts them."""
    total = sum(claim.classes)
    if claim.n and total and claim.n != total:
        raise UsageError(f"classes add up to {total:,} images, n is {claim.n:,}; correct one of the two.")
    if total and not claim.n:
        claim = Claim(**{**vars(claim), "n": total})
    of_classes = claim.metric in ("auroc", "balanced-accuracy")
    has_figures = claim.before is not None and claim.after is not None and claim.metric != "other"
    if has_figures and not of_classes and not claim.n:
        raise UsageError(f"{claim.metric} needs n, the number of test images{_fewest(claim)}.")
    if has_figures and of_classes and not claim.classes:
        raise UsageError(f"{claim.metric} needs classes, the test images of each class, as 140/52.")
    if has_figures and claim.metric == "auroc" and len(claim.classes) != 2:
        raise UsageError("an AUROC is of two classes; give classes as DISEASED/HEALTHY.")
    if claim.patients > claim.n > 0:
        raise UsageError(f"{claim.patients:,} patients cannot have {claim.n:,} images; correct one of the two.")
    if claim.n_to and claim.metric not in COUNTED:
        raise UsageError(f"n-to, other test images for the second method, is for {' and '.join(COUNTED)} only.")
    _check_agreement(claim)
    return claim


def _fewest(claim: Claim) -> str:
    """Say which numbers of images can be ruled out, for who looks for n."""
    given = [one for one in (claim.before, claim.after) if one is not None]
    found = fewest_images(given, 2000)
    figures = " and ".join(one.text for one in given)
    return f"; the fewest that give {figures} are {found:,}" if found else f"; none up to 2,000 gives {figures}"


def _check_agreement(claim: Claim) -> None:
    if claim.correlation is not None and claim.metric != "auroc":
        raise UsageError("correlation is that of two AUROCs; give agreement for other metrics.")
    if claim.agreement is None:
        return
    if claim.metric == "auroc":
        raise UsageError("agreement is a share of decisions, which an AUROC has none of; give correlation.")
    if not claim.is_paired:
        raise UsageError("two methods that were tested on different images have no agreement; leave one of them out.")
    if claim.before is None or claim.after is None:
        return
    one, other = claim.before.value, claim.after.value
    most, least = 1 - abs(other - one), 1 - widest_disagreement(one, other)
    rounding = claim.before.step + claim.after.step + 1e-9
    if not least - rounding <= claim.agreement <= most + rounding:
        raise UsageError(
            f"with these figures both methods can be right or wrong together on {100 * least:.1f} to "
            f"{100 * most:.1f} % of the images, not on {100 * claim.agreement:.1f} %."
        )


def _figures(given: Mapping[str, Any]) -> tuple[Figure | None, Figure | None]:
    """Read both figures; percent where one of them is above 1."""
    texts = {key: str(given[key]).strip().removesuffix("%").strip() for key in ("from", "to") if key in given}
    numbers = {key: _number(key, text, -math.inf, math.inf) for key, text in texts.items()}
    if given.get("metric") == "other":
        return None, None
    signed = {key for key in texts if "%" in str(given[key])}
    percent = bool(signed) or any(value > 1 for value in numbers.values())
    of_shares = [key for key, value in numbers.items() if percent and 0 < value < 1 and key not in signed]
    if of_shares and len(numbers) == 2:
        raise UsageError(
            f"from is {texts['from']} and to is {texts['to']}: one reads as a share, the other as percent; write both "
            f"alike, or {of_shares[0]} as {texts[of_shares[0]]}% where that is meant."
        )
    for key, value in numbers.items():
        if not 0 <= value <= (100 if percent else 1):
            raise UsageError(f"{key} is {texts[key]}; give percent from 0 to 100 or a share from 0 to 1.")
    first, second = (figure(texts[key], percent=percent) if key in texts else None for key in ("from", "to"))
    if not percent and first is not None and second is not None:  # 1 beside .97 is 1.00
        first, second = (replace(one, step=min(first.step, second.step, 0.01)) if one.step == 1 else one
                         for one in (first, second))  # fmt: skip
    return first, second


def _classes(value: object) -> tuple[int, ...]:
    parts = value if isinstance(value, list | tuple) else str(value).split("/")
    counts = tuple(_count("classes", part, 1) for part in parts)
    if len(counts) < 2:
        raise UsageError("classes names two counts or more, as 140/52.")
    return counts


def _count(key: str, value: object, least: int) -> int:
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    text = str(value).strip().replace(",", "")
    if not (is_whole or (isinstance(value, str) and text.isascii() and text.isdigit())):
        raise UsageError(f"{key} is {value!r}; give a whole number.")
    if not least <= int(text) <= MOST_IMAGES:
        raise UsageError(f"{key} is {int(text):,}; give a number from {least} to {MOST_IMAGES:,}.")
    return int(text)


def _share(key: str, value: object) -> float:
    number = _number(key, value, 0, 100)
    return number / 100 if number > 1 else number


def _number(key: str, value: object, low: float, high: float) -> float:
    try:
        number = math.nan if isinstance(value, bool) else float(str(value).strip().removesuffix("%"))
    except ValueError:
        number = math.nan
    if math.isnan(number) or math.isinf(number):
        raise UsageError(f"{key} is {value!r}; give a number.")
    if not low <= number <= high:
        raise UsageError(f"{key} is {number:g}; give a number from {low:g} to {high:g}.")
    return number
