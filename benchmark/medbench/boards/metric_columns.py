"""Metrics of every cell of an arm, of the same units as its board: stored, kept aside, or computed again.

A stored number counts where its key is that of the metric at hand. What is missing, or was computed by other code, is
computed from the stored predictions and kept in ``.measures`` beside the results, which may be thrown away.
"""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medbench import sealed_records
from medbench.boards.arm_trials import ArmTrials
from medbench.interfaces import Metric
from medbench.statistics.patient_scores import Cell
from medbench.statistics.pool_images_by_patient import Units
from medbench.store.recomputed_scores import FOLDER, digest_of_result
from medbench.store.trial_files import Stored
from medbench.trial.metrics import Measurement, measure, measure_key, metric_name
from medbench.trial.prior_correction import correct_prior

ON_EVERY_BOARD = frozenset({"balanced-accuracy", "macro-auroc", "macro-f1", "auprc", "mcc", "brier"})
"""Metrics that boards compute for themselves, from the units of all folds, under columns of their own."""
ELSEWHERE = "its plugin is not loaded here"


@dataclass(frozen=True)
class ArmMetrics:
    """Further metrics of one arm.

    Attributes:
        values: Mean over the cells where the metric gave a number, by name; None where it gave none.
        why: Why cells have none, and how many, by name.
    """

    values: Mapping[str, float | None]
    why: Mapping[str, tuple[str, int]]


@dataclass(frozen=True)
class _Kept:
    key: str
    measured: Measurement


@dataclass
class CellMetrics:
    """Finds and computes the metrics of cells, and keeps what it computed.

    Attributes:
        root: Folder of the store.
        metrics: Every metric that is registered.
        kept: What was computed before, by file.
        keys: Of the metrics.
    """

    root: Path
    metrics: Sequence[Metric]
    kept: dict[Path, dict[str, Any]] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    _changed: set[Path] = field(default_factory=set)

    def of_arm(self, found: ArmTrials, tested: Mapping[Cell, Units], *, by_patient: bool) -> ArmMetrics:
        """Return every metric that boards have no column for, of one arm whose cells are all there.

        Args:
            found: Its trials.
            tested: What was tested in every cell; a failed cell holds its control's units, and so its control's number.
            by_patient: Whether the units are patients.
        """
        unit = "patient" if by_patient else "image"
        mine = {metric_name(m): m for m in self.metrics if metric_name(m) not in ON_EVERY_BOARD}
        held = {name for s in found.cells.values() for name in (*s.metrics, *self._read_kept(s, unit))}
        values: dict[str, float | None] = {}
        why: dict[str, tuple[str, int]] = {}
        for name in (*mine, *sorted(held - set(mine) - ON_EVERY_BOARD)):
            if name in mine:
                of_cells = [
                    self._cell(name, mine[name], found.cells.get(cell), units, unit)
                    for cell, units in sorted(tested.items())
                ]
            else:
                of_cells = self._without(name, found.cells, tested, unit)
            known = [m.value for m in of_cells if m.value is not None]
            values[name] = sum(known) / len(known) if known else None
            words = Counter(m.why for m in of_cells if m.why)
            if words:
                why[name] = (words.most_common(1)[0][0], words.total())
        return ArmMetrics(values, why)

    def save(self) -> None:
        """Keep what was computed; a store that cannot be written is read all the same."""
        for path in sorted(self._changed):
            fresh = path.with_suffix(f".{os.getpid()}")
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                fresh.write_text(sealed_records.seal(self.kept[path]))
                fresh.replace(path)
            except OSError:
                continue
        self._changed.clear()

    def _cell(self, name: str, metric: Metric, stored: Stored | None, units: Units, unit: str) -> Measurement:
        key = self.keys.setdefault(name, measure_key(metric))
        found = self._look_up(name, key, stored, unit) if stored is not None and key else None
        if found is None:
            found = measure(metric, units.labels, units.probabilities, quiet=True)
            if stored is not None and key and not found.passing:
                self._keep(stored, unit, name, {"key": key, "value": found.value, "why": found.why})
        return found

    def _look_up(self, name: str, key: str, stored: Stored, unit: str) -> Measurement | None:
        if unit == "image" and stored.metric_keys.get(name) == key and name in stored.metrics:
            return Measurement(stored.metrics[name], stored.unmeasured.get(f"metric {name}", ""))
        kept = self._read_kept(stored, unit).get(name)
        return kept.measured if kept is not None and kept.key == key else None

    def _without(
        self, name: str, stored: Mapping[Cell, Stored], tested: Mapping[Cell, Units], unit: str
    ) -> list[Measurement]:
        """Return what is stored of a metric that nobody provides here: all of one code and of these units, or none."""
        found = []
        for cell in sorted(tested):
            row = stored.get(cell)
            if row is None:
                continue
            if unit == "image" and row.metric_keys.get(name):
                why = row.unmeasured.get(f"metric {name}", "")
                found.append((row.metric_keys[name], Measurement(row.metrics.get(name), why)))
            elif (kept := self._read_kept(row, unit).get(name)) is not None:
                found.append((kept.key, kept.measured))
        if len(found) < len(tested) or len({key for key, _ in found}) > 1:
            return [Measurement(None, ELSEWHERE)] * len(tested)
        return [measured for _, measured in found]

    def _read_kept(self, stored: Stored, unit: str) -> dict[str, _Kept]:
        """Return what was kept of a result by name; what is not written as we write it was never there."""
        of_unit = self._entry(stored).get(unit)
        found = {}
        for name, entry in (of_unit if isinstance(of_unit, dict) else {}).items():
            value, why, key = (entry.get(part) if isinstance(entry, dict) else None for part in ("value", "why", "key"))
            is_number = isinstance(value, float | int) and math.isfinite(value)
            if isinstance(key, str) and isinstance(why, str) and (is_number or (value is None and why)):
                found[name] = _Kept(key, Measurement(None if value is None else float(value), why))
        return found

    def _entry(self, stored: Stored) -> dict[str, Any]:
        """Return what was kept of exactly this result; of one that was run again, nothing is kept."""
        entry = self._file(self._path(stored)).get(stored.folder.name)
        return entry if isinstance(entry, dict) and entry.get("of") == digest_of_result(stored.folder) else {}

    def _keep(self, stored: Stored, unit: str, name: str, value: dict[str, Any]) -> None:
        path = self._path(stored)
        entry = self._entry(stored) or {"of": digest_of_result(stored.folder)}
        of_unit = entry.get(unit)
        entry[unit] = {**(of_unit if isinstance(of_unit, dict) else {}), name: value}
        self.kept[path][stored.folder.name] = entry
        self._changed.add(path)

    def _path(self, stored: Stored) -> Path:
        return self.root / FOLDER / stored.folder.parent.relative_to(self.root) / "metrics.json"

    def _file(self, path: Path) -> dict[str, Any]:
        if path not in self.kept:
            try:
                self.kept[path] = sealed_records.read(path)[0] if path.is_file() else {}
            except sealed_records.Damaged as error:  # numbers of metrics that are not installed here stand there alone
                raise sealed_records.damage_error(path.parent, str(error)) from None
            except OSError:
                self.kept[path] = {}
        return self.kept[path]


def metrics_of(stored: Stored, metrics: Sequence[Metric]) -> dict[str, float | None]:
    """Return the metrics of one trial by image: stored ones, those at hand computed again where other code made them.

    Args:
        stored: A trial with a result.
        metrics: Those at hand.
    """
    found = dict(stored.metrics)
    stale = [
        m
        for m in metrics
        if metric_name(m) not in found or stored.metric_keys.get(metric_name(m)) != (measure_key(m) or None)
    ]
    if stale:
        predicted = stored.predictions()
        corrected = correct_prior(predicted.probabilities, np.asarray(stored.frequencies))
        found |= {metric_name(m): measure(m, predicted.labels, corrected, quiet=True).value for m in stale}
    return found
