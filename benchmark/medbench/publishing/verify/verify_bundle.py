"""Verify a bundle: read it, find our own data set, check one against the other."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medbench.data.decode import Progress
from medbench.errors import UsageError
from medbench.publishing.refusals import Refused
from medbench.publishing.verify import our_data
from medbench.publishing.verify.outcome import OUTCOME_WORDS
from medbench.publishing.verify.sandbox import run_task
from medbench.registry import plugins
from medbench.text import WIDTH, clean, wrapped


@dataclass(frozen=True)
class Verified:
    """What became of a bundle.

    Attributes:
        checks: One line each, as :class:`medbench.publishing.verify.outcome.DoubleStepsResult` has them.
        entry: ``entry.json``; None where it was refused.
        refused: Why it was refused, or None.
    """

    checks: tuple[Mapping[str, Any], ...]
    entry: Mapping[str, Any] | None
    refused: Refused | None

    @property
    def tier(self) -> str:
        """``refused``, ``claimed`` or ``recomputed``."""
        return "refused" if self.entry is None else str(self.entry["tier"])


@dataclass(frozen=True)
class Setup:
    """What a bundle is verified with.

    Attributes:
        data: As given to ``--data``; phantoms are drawn. Each folder must exist, and each name take part.
        standing_data: Taken where `data` is empty, as of ``MEDBENCH_DATA``, which is there for other bundles too.
        plugin_folders: Plugins of ours that may be used.
        blocked: Plugins to leave out.
        workers: Processes that decode our data set.
    """

    data: Sequence[str] = ()
    standing_data: Sequence[str] = ()
    plugin_folders: Sequence[Path] = ()
    blocked: Sequence[str] = ()
    workers: int = 1


def verify_bundle(
    bundle: Path,
    setup: Setup = Setup(),
    *,
    allowed: Path | None = None,
    accept_repeated: bool = False,
    others: Sequence[tuple[str, Path]] | None = None,
    progress: Progress | None = None,
) -> Verified:
    """Verify a bundle.

    Args:
        bundle: The file.
        setup: Our data, plugins and processes.
        allowed: Allowed signers; the bundle must be signed by one of them.
        accept_repeated: Somebody has looked at predictions that occur twice.
        others: Ids and bundles of entries that were published before; None compares with none.
        progress: Called with how far our data set is decoded.

    Raises:
        DataError: If a folder of `setup.data` does not exist.
        UsageError: If no data set of the bundle has a name in `setup.data`.
        MedbenchError: Where something of ours is wrong, such as a plugin folder; a bundle's faults are returned.
    """
    our_data.check_folders(setup.data)
    common = {
        "bundle": str(bundle.absolute()),
        "allowed": _text(allowed) if allowed else None,
        "accept_repeated": accept_repeated,
    }
    try:
        seen = run_task("read", common)
    except Refused as refused:
        return Verified((), None, refused)
    if "refused" in seen:
        return Verified(tuple(seen["checks"]), None, Refused(**seen["refused"]))
    folders = [folder.absolute() for folder in setup.plugin_folders]
    catalogue = plugins.load(folders=folders, blocked=setup.blocked)
    wanted = our_data.needed(seen)
    our_data.check_names(wanted, catalogue, setup.data)
    data = setup.data or setup.standing_data
    ours = our_data.find_our_data(wanted, catalogue, data, workers=setup.workers, progress=progress)
    with tempfile.TemporaryDirectory(prefix="medbench-truth-") as folder:
        our_data.save({name: one for name, one in ours.items() if not isinstance(one, str)}, Path(folder))
        more = {
            "truth": folder,
            "missing": {name: why for name, why in ours.items() if isinstance(why, str)},
            "plugin_folders": list(map(str, folders)),
            "blocked": list(setup.blocked),
            "others": None if others is None else [(entry, str(path.absolute())) for entry, path in others],
        }
        try:
            made = run_task("check", {**common, **seen, **more})
        except Refused as refused:
            return Verified(tuple(seen["checks"]), None, refused)
    if "refused" in made:
        return Verified(tuple(made["checks"]), None, Refused(**made["refused"]))
    cards = our_data.find_cards(wanted, catalogue)
    entry = made["entry"] | ({"cards": cards} if cards else {})
    return Verified(tuple(made["checks"]), entry, None)


def _text(allowed: Path) -> str:
    try:
        return allowed.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"--allowed-signers {allowed}: cannot be read ({error}); see man ssh-keygen.") from None


def check_lines(verified: Verified) -> list[str]:
    """Return the checks as lines of a terminal."""
    lines = []
    for check in verified.checks:
        code = f"{check['code']} " if check["code"] else ""
        said = (
            f"{OUTCOME_WORDS[check['outcome']]}: {code}{clean(check['detail'])}"
            if check["detail"]
            else OUTCOME_WORDS[check["outcome"]]
        )
        head, *rest = wrapped(said, WIDTH - 26)
        lines.append(f"{clean(check['name'])[:25]:<26}{head.strip()}")
        lines += [f"{'':<26}{line.strip()}" for line in rest]
    return lines
