"""Stored trials: the files of one trial, written by the job that ran it and read as a row."""

from __future__ import annotations

import functools
import io
import json
import math
import os
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medbench import sealed_records
from medbench.interfaces import outside_identity
from medbench.machine_faults import is_interruption
from medbench.store.corrupted import write_corrupted
from medbench.trial.generator_scores import GeneratorScores
from medbench.trial.trial import Predictions, Result, Trial

UNMEASURED = "unmeasured"
"""Folder in a job's folder that holds its result before any metric or score is computed."""
TESTED, WATCHED = "predictions.parquet", "validation.parquet"
"""Predictions of the test part, and of the part that was watched in training, which results of before lack."""
SMALL = 2**15
"""Bytes that are read at once: most files whole, and little enough that the memory for them is at hand."""


@dataclass(frozen=True)
class Failure:
    """Why a trial has no result.

    Attributes:
        kind: bug, plugin, contract, usage, leak, diverged, timeout or skip; or, of the machine and never scored:
            store, data, disk, memory, resources or lost.
        message: One sentence.
    """

    kind: str
    message: str


@dataclass(frozen=True, eq=False)
class Stored:
    """One row of a store: a trial with its result's numbers, or with its failure.

    Attributes:
        trial: What was asked for.
        folder: Where it lies.
        status: done, failed, skipped, or interrupted by a fault of the machine, which is tried again.
        metrics: Number by metric, None where it gave none on these labels; empty without a result.
        cost: Of the trial alone.
        stages: SHA-256 by stage key.
        frequencies: Class frequencies the classifier was trained on.
        classes: Names of the classes.
        facts: What the predictor said of its training.
        counts: Rows in training, validation and test.
        leaks: Leaks that were found.
        scores: Number by score of the made rows, None where it is not defined on them; empty without made pixels.
        scored: What they were computed with and on: extractor, sha256, d, train, held_out, made, classes.
        failure: Why there is no result.
        metric_keys: By metric, what it was computed with; older results do not say.
        unmeasured: Why a number is missing, by ``metric NAME``, ``score NAME`` or ``extractor NAME``.
        sums: SHA-256 of the other files of its folder by name; None where it was stored before there were any.
    """

    trial: Trial
    folder: Path
    status: Literal["done", "failed", "skipped", "interrupted"]
    metrics: dict[str, float | None] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    stages: dict[str, str] = field(default_factory=dict)
    frequencies: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    facts: dict[str, Any] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    leaks: tuple[str, ...] = ()
    scores: dict[str, float | None] = field(default_factory=dict)
    scored: dict[str, Any] = field(default_factory=dict)
    failure: Failure | None = None
    metric_keys: dict[str, str] = field(default_factory=dict)
    unmeasured: dict[str, str] = field(default_factory=dict)
    sums: Mapping[str, str] | None = None

    def check(self, *names: str) -> None:
        """Compare files of the folder with what was stored, all of them by default.

        Raises:
            StoreError: If one is missing or changed.
        """
        _check(self.folder, self.sums, *names)

    def predictions(self) -> Predictions:
        """Read what was predicted for every test sample."""
        return read_predictions(self)

    @property
    def has_watched(self) -> bool:
        """Whether predictions of the validation part were stored."""
        return self.sums is not None and WATCHED in self.sums

    def watched(self) -> Predictions:
        """Read what was predicted for every validation sample, where :attr:`has_watched`."""
        return read_predictions(self, WATCHED)


def write_result(folder: Path, result: Result, provenance: dict[str, Any]) -> None:
    """Write a finished trial into its job folder: spec, predictions, and last the result with the sums of all."""
    tested = Predictions(result.ids, result.patients, result.labels, result.probabilities, result.groups)
    _write_predictions(folder / TESTED, tested)
    if result.watched is not None:
        _write_predictions(folder / WATCHED, result.watched)
    if result.corrupted:
        write_corrupted(folder, result)
    record = {
        "metrics": _finite(result.metrics),
        "scores": _finite(result.scores),
        "scored": dict(result.scored),
        "frequencies": result.frequencies.tolist(),
        "classes": list(result.classes),
        "leaks": list(result.leaks),
        "cost": dict(result.cost),
        "stages": dict(result.stages),
        "facts": dict(result.facts),
        "counts": dict(result.counts),
        "metric_keys": dict(result.metric_keys),
        "unmeasured": dict(result.unmeasured),
        "provenance": provenance,
    }
    (folder / "spec.json").write_text(json.dumps(result.trial.to_json(), indent=1, sort_keys=True))
    if result.learning:
        lines = ["step,train_loss,validation_loss"]
        lines += [f"{int(step)},{_number(train)},{_number(watched)}" for step, train, watched in result.learning]
        (folder / "learning.csv").write_text("\n".join(lines) + "\n")
    (folder / "result.json").write_text(sealed_records.seal(record, sealed_records.sums_of_job(folder)))


def _write_predictions(path: Path, found: Predictions) -> None:
    import polars

    columns: dict[str, Any] = {"id": found.ids, "patient": found.patients, "label": found.labels}
    columns |= {"group": found.groups} if found.groups is not None else {}
    columns |= {f"p{k}": found.probabilities[:, k] for k in range(found.probabilities.shape[1])}
    polars.DataFrame(columns).write_parquet(path)


def write_failure(folder: Path, trial: Trial, failure: Failure) -> None:
    """Write why a trial has no result into its job folder, with the sums of all that it left there."""
    (folder / "result.json").unlink(missing_ok=True)
    (folder / "spec.json").write_text(json.dumps(trial.to_json(), indent=1, sort_keys=True))
    record = {"kind": failure.kind, "message": failure.message}
    (folder / "failure.json").write_text(sealed_records.seal(record, sealed_records.sums_of_job(folder)))


@outside_identity
def keep_unmeasured(folder: Path, result: Result, provenance: dict[str, Any]) -> None:
    """Write a trial's result aside in its job folder before anything is measured; half of it is never there."""
    aside = folder / f"{UNMEASURED}.new"
    aside.mkdir()
    write_result(aside, result, provenance)
    aside.rename(folder / UNMEASURED)


@outside_identity
def take_unmeasured(folder: Path) -> bool:
    """Take what was kept aside for the result of a job whose process ended while it measured.

    Returns:
        Whether there was any; if not, nothing was changed.
    """
    kept = folder / UNMEASURED
    if not kept.is_dir():
        return False
    for path in sorted(kept.iterdir()):
        path.replace(folder / path.name)
    (folder / "failure.json").unlink(missing_ok=True)
    drop_unmeasured(folder)
    return True


@outside_identity
def drop_unmeasured(folder: Path) -> None:
    """Remove what was kept aside, as soon as the whole result is there."""
    for name in (UNMEASURED, f"{UNMEASURED}.new"):
        shutil.rmtree(folder / name, ignore_errors=True)


@outside_identity
def write_scores(folder: Path, made: GeneratorScores) -> None:
    """Write scores that were computed again into their job's folder."""
    record = {"scores": _finite(made.values), "scored": dict(made.how), "unmeasured": dict(made.why)}
    (folder / "scores.json").write_text(json.dumps(record, indent=1, sort_keys=True))


def _number(value: float) -> str:
    return f"{value:.6g}" if math.isfinite(value) else ""


def _finite(values: Mapping[str, float | None]) -> dict[str, float | None]:
    return {name: value if value is not None and math.isfinite(value) else None for name, value in values.items()}


def read_stored(folder: Path) -> Stored:
    """Read one row.

    Raises:
        StoreError: If a file of it is missing or damaged.
    """
    place = os.fspath(folder)  # a leaderboard reads 100,000 of these: a Path a file would take half of the time
    failed = os.path.isfile(f"{place}/failure.json")
    try:
        record, sums = _unseal(place, "failure.json" if failed else "result.json")
        spec = read_bytes(f"{place}/spec.json")
        sealed_records.check(folder, sums, "spec.json", content=spec)
        trial = _trial_reader().validate_python(sealed_records.parse(spec))
        if failed:
            failure = Failure(record["kind"], record["message"])
            return Stored(trial, folder, _status(failure), failure=failure, sums=sums)
        return Stored(
            trial,
            folder,
            "done",
            metrics=record["metrics"],
            cost=record["cost"],
            stages=record["stages"],
            frequencies=tuple(record["frequencies"]),
            classes=tuple(record["classes"]),
            facts=record["facts"],
            counts=record["counts"],
            leaks=tuple(record["leaks"]),
            scores=record.get("scores", {}),  # older results have none
            scored=record.get("scored", {}),
            metric_keys=dict(record.get("metric_keys", {})),
            unmeasured=dict(record.get("unmeasured", {})),
            sums=sums,
        )
    except sealed_records.Damaged as error:
        raise sealed_records.damage_error(folder, str(error)) from None
    except FileNotFoundError:
        raise sealed_records.damage_error(folder, "spec.json is missing") from None
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise sealed_records.damage_error(folder, f"it cannot be read ({type(error).__name__})") from None


def read_bytes(path: str) -> bytes:
    """Return the content of a small file, without the buffers and objects of an open one.

    Raises:
        OSError: If it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = os.read(descriptor, SMALL)
        if len(content) < SMALL:
            return content
        parts = [content]
        while part := os.read(descriptor, SMALL):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def _unseal(place: str, name: str) -> tuple[dict[str, Any], dict[str, str] | None]:
    try:
        return sealed_records.unseal(read_bytes(f"{place}/{name}"))
    except FileNotFoundError:
        raise sealed_records.Damaged(f"{name} is missing") from None
    except sealed_records.Damaged as error:
        raise sealed_records.Damaged(f"{name} {error}") from None


def _check(folder: Path, sums: Mapping[str, str] | None, *names: str) -> None:
    try:
        sealed_records.check(folder, sums, *names)
    except sealed_records.Damaged as error:
        raise sealed_records.damage_error(folder, str(error)) from None
    except OSError as error:
        raise sealed_records.damage_error(folder, f"it cannot be read ({error.strerror})") from None


def _status(failure: Failure) -> Literal["failed", "skipped", "interrupted"]:
    if failure.kind == "skip":
        return "skipped"
    return "interrupted" if is_interruption(failure.kind, failure.message) else "failed"


@functools.cache
def _trial_reader() -> Any:
    from pydantic import TypeAdapter

    return TypeAdapter(Trial)


def read_predictions(stored: Stored, name: str = TESTED) -> Predictions:
    """Read a trial's predictions: TESTED or WATCHED.

    Raises:
        StoreError: If the file is missing or damaged.
    """
    import polars

    path = stored.folder / name
    try:
        content = path.read_bytes()
        sealed_records.check(stored.folder, stored.sums, path.name, content=content)
        table = polars.read_parquet(io.BytesIO(content))
        names = sorted((c for c in table.columns if re.fullmatch(r"p\d+", c)), key=lambda c: int(c[1:]))
        return Predictions(
            table["id"].to_numpy().astype(np.str_),
            table["patient"].to_numpy().astype(np.str_),
            table["label"].to_numpy(),
            np.column_stack([table[name].to_numpy() for name in names]),
            table["group"].to_numpy().astype(np.str_) if "group" in table.columns else None,
        )
    except sealed_records.Damaged as error:
        raise sealed_records.damage_error(stored.folder, str(error)) from None
    except FileNotFoundError:
        raise sealed_records.damage_error(stored.folder, f"{path.name} is missing") from None
    except (OSError, polars.exceptions.PolarsError, ValueError) as error:
        raise sealed_records.damage_error(
            stored.folder, f"{path.name} cannot be read ({type(error).__name__})"
        ) from None
