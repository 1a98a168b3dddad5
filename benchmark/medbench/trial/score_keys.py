"""Keys of scores: what a stored score was computed with, and whether that is the code at hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from medbench.identity.identity import digest, identity
from medbench.interfaces import Extractor, Score
from medbench.trial.metrics import core_key, measure_key

ORIGIN_LABEL = "origin-label"

KEY_OF = "key of "
"""What stands in :attr:`GeneratorScores.how` before the name of a score whose key it is."""


def score_keys(scores: Sequence[Score]) -> dict[str, str]:
    """Return what each score is computed with, and the core's own one: names to 16 hex digits, "" where unknown."""
    found = {score.name: measure_key(score, "scoring")[:16] for score in scores}
    return found | {ORIGIN_LABEL: core_key("scoring")[:16]}


def is_stale(how: Mapping[str, Any], *, extractor: str, scores: Mapping[str, str]) -> bool:
    """Say whether stored scores are of other code than that at hand, or lack some of it.

    Args:
        how: As :attr:`GeneratorScores.how` was stored; older results name no key of a score.
        extractor: :func:`extractor_key` of the extractor at hand.
        scores: :func:`score_keys` of the scores at hand.
    """
    if extractor and how.get("sha256") != extractor:
        return True
    if "skipped" in how or "failed" in how:  # the same extractor would do the same again
        return False
    return any(key and how.get(f"{KEY_OF}{name}") != key for name, key in scores.items())


def score_of(name: str, how: Mapping[str, Any]) -> str:
    """Return the score that a stored number belongs to: ``kid`` of ``kid-floor``; "" where its key is not stored."""
    known = [key.removeprefix(KEY_OF) for key in how if key.startswith(KEY_OF)]
    mine = [k for k in known if name in (k, f"{k}-floor", f"{k}-spread") or name.startswith(f"{k}:")]
    return max(mine, key=len, default="")


def extractor_key(extractor: Extractor) -> str:
    """Return the SHA-256 of an extractor's recipe, code, libraries and weights; empty where it cannot be said."""
    try:
        return digest(identity(extractor))
    except Exception:  # noqa: BLE001  it reads what a plugin is made of, and costs no trial
        return ""
