"""What was planned, kept in the store: the newest record of a study says what status, leaderboard and reports show."""

from __future__ import annotations

import glob
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from medbench import sealed_records
from medbench.errors import StoreError, UsageError
from medbench.identity.identity import digest
from medbench.planning import study
from medbench.planning.fitted_steps import same_but_for_steps
from medbench.planning.plan import Plan
from medbench.planning.study_names import title_of
from medbench.store.check_store import PLANS, WORTH, record_files
from medbench.store.store import Store


def save_record(store: Store, plan: Plan) -> Path:
    """Keep what was planned in the store; the newest record of a study is the one that is shown."""
    record = plan.record()
    folder = store.root / PLANS
    path = folder / f"{plan.study.name}-{digest(record)[:8]}.json"
    _write(path, record, folder)
    now = time.time()
    os.utime(path, (now, now))
    return path


def keep_question(store: Store, plan: Plan, say: Callable[[str], object]) -> Plan:
    """Keep gain that matters and primary comparison as fixed before the first result on these folds.

    Args:
        store: Where results are.
        plan: What is to be run.
        say: Told where the primary comparison was named after results were there.

    Returns:
        The plan, without its primary comparison in that case.

    Raises:
        UsageError: If results are stored that were run with others.
        StoreError: If the record is damaged.
    """
    path = store.root / WORTH
    try:
        known = sealed_records.read(path)[0] if path.exists() else {}
    except (sealed_records.Damaged, OSError) as error:
        raise sealed_records.damage_error(path, _why(error, path)) from None
    worth, primary, late = plan.study.worth, plan.study.primary, False
    for dataset, data, text in {(t.dataset, t.data, t.protocol) for t in plan.trials}:
        before = known.get(key := f"{data} {text}", worth)
        if not isinstance(before, int | float):
            raise sealed_records.damage_error(path, f"holds {before!r} where a number stands")
        first = str(known.get(f"{key} primary", ""))
        if not primary and not any(arm.augmenter == first.partition(" / ")[0] for arm in plan.arms.get(dataset, ())):
            first = ""  # that method is no part of this run, which tests all together
        changed = (before, first) != (worth, primary)
        # Whichever arm a result is of: the folds are the same, and so is what was seen of them.
        is_run = changed and any((r.trial.data, r.trial.protocol) == (data, text) for r in store.rows(dataset))
        if before != worth and is_run:
            raise UsageError(
                f"worth is {worth:g} points here and was {before:g} when these folds were first run; what matters is "
                f"fixed before. Take --worth {before:g}, or another --results."
            )
        if first and first != primary and is_run:
            raise UsageError(
                f"the primary comparison is {primary or 'none'!r} here and was {first!r} when these folds were first "
                f"run; the question is fixed before. Write primary = {json.dumps(first)} in the study file, or take "
                "another --results."
            )
        late |= is_run and not first and bool(primary)
    if late:
        say("these folds were run before the primary comparison was named, so all comparisons are tested together")
        plan = replace(plan, study=plan.study.model_copy(update={"primary": ""}))
    for data, text in {(t.data, t.protocol) for t in plan.trials}:
        known[f"{data} {text}"] = worth
        known |= {f"{data} {text} primary": primary} if primary and not late else {}
    _write(path, known, path)
    return plan


def open_record(results: Path, study_name: str | None, *, suffix: str = "") -> tuple[Store, dict[str, Any]]:
    """Open a store and the newest record of a study in it.

    Args:
        results: Folder of the store.
        study_name: Name or file; None for the newest of all.
        suffix: What the names of wanted records end with.

    Raises:
        StoreError: If the store does not exist or a record is damaged.
        UsageError: If the study was never run there.
    """
    store = Store(results, create=False)
    stem = (glob.escape(_name_of(study_name).removesuffix(suffix)) if study_name else "*") + suffix
    plans = _plans(store)
    found = sorted((p for p in plans if p.match(f"{stem}-????????.json")), key=lambda p: p.stat().st_mtime)
    if not found:
        known = sorted({p.stem[:-9] for p in plans})
        raise UsageError(
            f"{results}: no run of {(study_name or 'any study')}{suffix} here; there are: {', '.join(known) or 'none'}."
        )
    try:
        return store, sealed_records.read(found[-1])[0]
    except (sealed_records.Damaged, OSError) as error:
        raise StoreError(
            f"{found[-1]}: is damaged ({_why(error, found[-1])}); run `medbench store repair` and the study again, "
            "results are not lost."
        ) from None


def fitted_before(store: Store, wanted: study.Study, limit_s: float) -> study.Study | None:
    """Return a study that was run here with steps fitted to this limit, and that differs in nothing else; else None.

    Args:
        store: Where it was run.
        wanted: The study, with the steps that are asked for.
        limit_s: Seconds.
    """
    asked = (limit_s, wanted.budget.steps, wanted.budget.generator_steps)
    plans = (path for path in _plans(store) if path.stem[:-9] == wanted.name)
    for path in sorted(plans, key=lambda p: p.stat().st_mtime, reverse=True):
        try:
            before = study.build(sealed_records.read(path)[0]["study"])
        except (sealed_records.Damaged, OSError, KeyError, UsageError):
            continue
        was = before.fitted
        if was is None or (was.limit_s, was.steps, was.generator_steps) != asked:
            continue
        if same_but_for_steps(before.model_dump(), wanted.model_dump()):
            return before
    return None


@dataclass(frozen=True)
class StoredRun:
    """A run whose record is stored.

    Attributes:
        name: By which commands take it.
        title: For people.
    """

    name: str
    title: str


def stored_runs(store: Store) -> list[StoredRun]:
    """Return the runs that a store has records of, as :func:`newest_records` finds them."""
    return [
        StoredRun(name, title_of(record["study"], record["sources"])) for name, record in newest_records(store).items()
    ]


def newest_records(store: Store) -> dict[str, dict[str, Any]]:
    """Return the newest record of every run by name, the latest first; damaged ones and staircases are left out."""
    newest: dict[str, Path] = {}
    for path in sorted(_plans(store), key=lambda p: p.stat().st_mtime, reverse=True):
        newest.setdefault(path.stem[:-9], path)
    found = {}
    for name, path in newest.items():
        try:
            record, _ = sealed_records.read(path)
        except (sealed_records.Damaged, OSError):
            continue
        if not record["study"].get("staircase"):
            found[name] = record
    return found


def _plans(store: Store) -> list[Path]:
    return [path for path in record_files(store) if path.parent.name == PLANS]


def _name_of(study_name: str) -> str:
    """Return the name of a study; a file of one may give another than its own."""
    path = Path(study_name)
    if path.suffix != ".toml":
        return study_name
    return study.read(path).name if path.is_file() else path.stem


def _write(path: Path, record: Mapping[str, Any], named: Path) -> None:
    fresh = path.with_suffix(f".{os.getpid()}")
    try:
        path.parent.mkdir(exist_ok=True)
        fresh.write_text(sealed_records.seal(record))
        fresh.replace(path)
    except OSError as error:
        raise StoreError(f"{named}: cannot be written ({error.strerror}); give another --results.") from None


def _why(error: Exception, path: Path) -> str:
    return str(error.strerror) if isinstance(error, OSError) else str(error).removeprefix(f"{path.name} ")
