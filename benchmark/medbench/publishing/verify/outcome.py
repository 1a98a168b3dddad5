"""What checking a bundle gave: one line a check, and the entry that comes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from medbench import __version__
from medbench.publishing.bundle.read_bundle import Bundle
from medbench.text import clean

SCHEMA = 1
OTHER_STUDY = "MB925"
"""Of trials that are not what the study amounts to: refused, or unknown where another version ran them."""
Result = Literal["ok", "note", "failed", "flagged", "unknown"]
OUTCOME_WORDS: Mapping[str, str] = {
    "ok": "ok", "note": "note", "failed": "FAILED", "flagged": "flagged", "unknown": "could not be checked",
}  # fmt: skip


@dataclass(frozen=True)
class Check:
    """One line.

    Attributes:
        name: What was checked.
        outcome: ok, failed, flagged, unknown where it could not be checked, or a note where there was nothing to
            check, which holds nothing back.
        detail: What was found, or why it could not be checked.
        code: Of a failure; OTHER_STUDY of what another version may have had otherwise.
        holds_back: A flag that keeps the entry from being ranked until somebody has looked at it.
    """

    name: str
    outcome: Result
    detail: str = ""
    code: str = ""
    holds_back: bool = False


@dataclass
class Report:
    """What checking gave.

    Attributes:
        checks: In the order they were made; a failed one is the last.
        boards: As ``entry.json`` has them.
        flags: Sentences for readers.
    """

    checks: list[Check] = field(default_factory=list)
    boards: list[dict[str, Any]] = field(default_factory=list)
    flags: list[str] = field(default_factory=list)

    @property
    def failed(self) -> Check | None:
        """The check that failed, or None."""
        return next((c for c in self.checks if c.outcome == "failed"), None)

    @property
    def tier(self) -> str:
        """``refused``; ``recomputed`` where every number was computed again; else ``claimed``."""
        if self.failed:
            return "refused"
        held = any(c.outcome == "unknown" or c.holds_back for c in self.checks)
        return "claimed" if held else "recomputed"

    def add(self, name: str, detail: str = "", outcome: Result = "ok", **more: Any) -> None:
        """Note a check."""
        self.checks.append(Check(name, outcome, clean(detail), **more))
        if outcome == "flagged":
            self.flags.append(clean(detail))


def entry_json(bundle: Bundle, report: Report, signer: str | None) -> dict[str, Any]:
    """Return ``entry.json``; see ``docs/reference/publishing.md``."""
    s, method = bundle.plan.study, bundle.method
    return {
        "schema": SCHEMA,
        "id": bundle.sha256[:16],
        "tier": report.tier,
        "bundle": {"bytes": bundle.size, "sha256": bundle.sha256},
        "medbench": __version__,
        "signed_by": signer or None,
        "flags": report.flags,
        "method": method.model_dump(),
        "study": {
            "name": s.name, "protocols": list(dict.fromkeys(s.protocols)), "folds": s.folds, "repeats": s.repeats,
            "seeds": s.seeds, "worth": s.worth, "budget": s.budget.model_dump(),
        },
        "boards": report.boards,
        "environment": bundle.environment.model_dump(exclude={"code"}),
        "checks": list(checks_json(report)),
    }  # fmt: skip


def checks_json(report: Report) -> Iterator[dict[str, str]]:
    """Yield the checks as ``entry.json`` has them."""
    for check in report.checks:
        yield {"name": check.name, "outcome": check.outcome, "code": check.code, "detail": check.detail}
