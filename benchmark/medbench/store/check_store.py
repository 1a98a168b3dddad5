"""Whether a store is what was stored: every file that is read back is compared with its sum, and damage moved aside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medbench import sealed_records
from medbench.errors import StoreError
from medbench.store.recomputed_scores import FOLDER
from medbench.store.store import Store
from medbench.trial.stages import check_stage, read_stage

WORTH = ".worth.json"
PLANS = ".plans"


@dataclass(frozen=True)
class Soundness:
    """What was found when every file of a store was compared with its sum.

    Attributes:
        results: Trials with a result.
        failures: Failures, skips and interruptions.
        stages: Fitted stages.
        plans: Records of plans.
        without_sums: How many of all these were stored before files had sums: only what cannot be read is noticed.
        damaged: Places relative to the store, each with what is wrong.
        foreign: Places relative to the store that are none of it; nothing reads them.
        missing: Stages that results stand on and that are not there: costs leave them out.
    """

    results: int
    failures: int
    stages: int
    plans: int
    without_sums: int
    damaged: tuple[tuple[str, str], ...]
    foreign: tuple[str, ...]
    missing: tuple[str, ...]


def check_every_file(store: Store) -> Soundness:
    """Compare every file of a store with its sum; change nothing."""
    damaged: list[tuple[str, str]] = []
    counts = dict.fromkeys(("done", "failed", "stages", "plans", "unsummed"), 0)
    needed: set[str] = set()

    def note(place: Path, error: Exception) -> None:
        why = str(error).removeprefix(f"{place}: ").partition("; run `medbench store repair`")[0]
        why = why.removeprefix(f"{place.name} ")  # a file says its own name
        damaged.append((str(place.relative_to(store.root)), why))

    for folder in store.folders():
        try:
            stored = store.check(folder)
        except StoreError as error:
            note(folder, error)
            continue
        counts["done" if stored.status == "done" else "failed"] += 1
        counts["unsummed"] += stored.sums is None
        needed |= {key for key, sha in stored.stages.items() if sha}
    for folder in store.stages():
        try:
            check_stage(folder)
            record = read_stage(folder)
            if str(record.get("key", folder.name))[:16] != folder.name:
                raise StoreError("it holds another stage")
        except StoreError as error:
            note(folder, error)
            continue
        counts["stages"] += 1
        counts["unsummed"] += sealed_records.read(folder / "stage.json")[1] is None
        needed |= {key for key, sha in record.get("stages", {}).items() if sha}
    for path in record_files(store):
        try:
            record, sums = sealed_records.read(path)
            if path.name == WORTH and not all(isinstance(value, int | float) for value in record.values()):
                raise sealed_records.Damaged("holds something else than numbers")
            counts["unsummed"] += sums is None
        except (sealed_records.Damaged, OSError) as error:
            note(path, error)
            continue
        counts["plans"] += path.parent.name == PLANS
    return Soundness(
        counts["done"],
        counts["failed"],
        counts["stages"],
        counts["plans"],
        counts["unsummed"],
        tuple(damaged),
        tuple(str(place.relative_to(store.root)) for place in store.foreign()),
        tuple(sorted(key[:16] for key in needed if not store.stage_place(key).is_dir())),
    )


def repair(store: Store) -> list[tuple[str, str]]:
    """Move everything that is damaged into ``.damaged``; return each place with where it lies now.

    What matters, as it was fixed before the first run, is put together again from the plans.
    """
    moved = []
    for place, _ in check_every_file(store).damaged:
        aside = store.set_aside(store.root / place)
        moved.append((place, str(aside.relative_to(store.root))))
        if place == WORTH:
            (store.root / WORTH).write_text(sealed_records.seal(_worth_of_plans(store)))
    return moved


def record_files(store: Store) -> Iterator[Path]:
    """Yield the files of plans, of scores computed again, and of what matters, that are the store's own."""
    yield from sorted(p for p in (store.root / PLANS).glob("*-????????.json") if not p.name.startswith("."))
    yield from sorted(p for p in (store.root / FOLDER).rglob("*.json") if not p.name.startswith("."))
    if (store.root / WORTH).exists():
        yield store.root / WORTH


def _worth_of_plans(store: Store) -> dict[str, Any]:
    """Return what matters by data set and protocol, as the first plan of each had it."""
    known: dict[str, Any] = {}
    plans = [path for path in record_files(store) if path.parent.name == PLANS]
    for path in sorted(plans, key=lambda p: p.stat().st_mtime):
        try:
            record, _ = sealed_records.read(path)
            study, sources = record["study"], record["sources"]
            for source in sources:
                for text in study["protocols"]:
                    known.setdefault(f"{source['data']} {text}", study["worth"])
                    if primary := study.get("primary"):
                        known.setdefault(f"{source['data']} {text} primary", primary)
        except (sealed_records.Damaged, OSError, KeyError, TypeError):
            continue  # it is moved aside as well
    return known
