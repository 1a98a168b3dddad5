"""Rerun one cell of a published entry and compare: what invented predictions do not survive."""

from __future__ import annotations

import dataclasses
import hashlib
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from medbench.data.describe import DatasetDescription
from medbench.errors import MedbenchError, UsageError
from medbench.planning.double_steps_trials import plan_double_steps
from medbench.planning.plan import Plan
from medbench.planning.trial_matrix import expand
from medbench.publishing.bundle.allowed_texts import keep_allowed
from medbench.publishing.bundle.predictions_csv import SubmittedPredictions, name_of, write
from medbench.publishing.bundle.read_bundle import Bundle
from medbench.publishing.refusals import Refused
from medbench.publishing.verify.check_against_data import study_in_bundle, trial_key
from medbench.publishing.verify.evidence import Evidence, choose_cell
from medbench.publishing.verify.recompute import predictions_with_labels
from medbench.registry.catalogue import Catalogue
from medbench.running.numerics import PORTABLE, instruction_set, is_portable_here
from medbench.running.outcome import check_not_interrupted
from medbench.running.resources import LoadedPlugins, Workers
from medbench.running.runner import run
from medbench.running.watcher import Watcher
from medbench.statistics.gain_intervals import intervals
from medbench.statistics.patient_scores import score
from medbench.statistics.pool_images_by_patient import labels_agree, units
from medbench.store.store import Store
from medbench.trial.trial import Predictions, Trial


@dataclass(frozen=True)
class Rerun:
    """One cell, run again.

    Attributes:
        trial: As the bundle has it.
        same_bits: Whether every probability is the same, bit for bit.
        same_platform: Whether that was to be expected: same code, libraries, data, processor and system.
        detail: A sentence.
        predictions: As :func:`medbench.publishing.bundle.predictions_csv.write` writes what was predicted this time.
    """

    trial: Trial
    same_bits: bool
    same_platform: bool
    detail: str
    predictions: bytes = field(default=b"", repr=False)


def cell_to_rerun(bundle: Bundle, salt: str = "") -> Trial:
    """Return the cell to run again: the bundle's own hash chooses, with a salt that its author could not know."""
    return bundle.trials[choose_cell(list(bundle.results), bundle.sha256, salt)]


def plan_of(bundle: Bundle, trial: Trial, sources: Mapping[str, DatasetDescription], catalogue: Catalogue) -> Plan:
    """Plan one trial, and the stages it needs, as our own code has them.

    Raises:
        UsageError: If the study amounts to other trials here.
    """
    study = study_in_bundle(bundle.plan.study)
    plan = expand(study, catalogue, list(sources.values()))
    if trial.budget != study.spending:
        checked = [c for c in bundle.plan.checked if c.dataset in sources]
        plan = plan_double_steps(plan, checked, catalogue)
    mine = next((t for t in plan.trials if trial_key(t) == trial_key(trial)), None)
    if mine is None:
        raise UsageError("this study amounts to other training runs here; use the medbench that made the bundle.")
    keys = plan.stages_of[mine.id]
    return dataclasses.replace(
        plan, trials=(mine,), stages={key: plan.stages[key] for key in keys}, stages_of={mine.id: keys}
    )


def rerun_cell(
    bundle: Bundle,
    trial: Trial,
    sources: Mapping[str, DatasetDescription],
    plugins: LoadedPlugins,
    workers: Workers,
    watcher: Watcher,
    *,
    folder: Path,
) -> Rerun:
    """Run a trial of a bundle again, as any trial is run, and compare.

    Args:
        bundle: As read.
        trial: Of it.
        sources: Our data sets, decoded.
        plugins: What is registered here.
        workers: Where the trial and its stages run.
        watcher: Told how the run goes.
        folder: An empty one for the store.

    Raises:
        Refused: MB960 if the predictions are others where they must be the same, or differ by more than chance.
        MedbenchError: If the trial cannot be run here.
    """
    plan = plan_of(bundle, trial, sources, plugins.catalogue)
    (mine,) = plan.trials
    store = Store(folder)
    check_not_interrupted([run(plan, store, plugins, workers, watcher)])
    stored = store.find(mine)
    if stored is None or stored.failure is not None:
        why = stored.failure.message if stored and stored.failure else "it has no result"
        raise MedbenchError(f"the training run could not be repeated here: {why}; see its log in the store.")
    theirs = next(found for key, found in bundle.predictions() if key == trial.id)
    ours = stored.predictions()
    told = bundle.results[trial.id]
    same_processor = bundle.environment.isa == instruction_set() or (
        trial.budget.numerics == "portable" and bundle.environment.isa in PORTABLE and is_portable_here()
    )
    same_platform = (
        (trial.budget.numerics != "fast" or told.cost.device == "cpu")
        and mine.arm == trial.arm
        and mine.data == trial.data
        and bundle.environment.platforms == [f"{platform.system()} {platform.machine()}"]
        and same_processor
        and stored.cost["device"] == told.cost.device
    )
    found = compare_rerun(trial, ours, stored.frequencies, theirs, told.frequencies, same_platform=same_platform)
    row_of = {name: row for row, name in enumerate(ours.ids.tolist())}
    in_their_order = ours.probabilities[[row_of[name] for name in theirs.ids]]
    return dataclasses.replace(found, predictions=write(theirs.ids, in_their_order))


def compare_rerun(
    trial: Trial,
    ours: Predictions,
    frequencies: Sequence[float],
    theirs: SubmittedPredictions,
    their_frequencies: Sequence[float],
    *,
    same_platform: bool,
) -> Rerun:
    """Compare a rerun with what was published: bit for bit on the same platform, else by the range of one cell."""
    same_bits = ours.ids.tolist() == list(theirs.ids) and np.array_equal(ours.probabilities, theirs.probabilities)
    if same_bits:
        return Rerun(trial, True, same_platform, f"{_name(trial)}: the same predictions, bit for bit")
    if same_platform:
        raise Refused("MB960", f"{_name(trial)}: other predictions on the same platform, by the same code and data.")
    published = predictions_with_labels(ours, theirs)
    by_patient = labels_agree(ours.patients, ours.labels)
    n_classes = ours.probabilities.shape[1]
    cell = (0, 0, 0)
    mine = score({cell: units(ours, frequencies, by_patient=by_patient)}, n_classes)
    its = score({cell: units(published, their_frequencies, by_patient=by_patient)}, n_classes)
    gap = intervals({"cell": (its, mine)}, folds=1)["cell"]
    said = (
        f"{_name(trial)}: balanced accuracy {100 * mine.balanced_accuracy:.1f} here, "
        f"{100 * its.balanced_accuracy:.1f} published, difference {100 * gap.low:.1f} to {100 * gap.high:.1f}"
    )
    if not gap.low <= 0 <= gap.high:
        raise Refused("MB960", f"{said}: more than chance.")
    return Rerun(trial, False, False, f"{said}, other platform")


def _name(trial: Trial) -> str:
    return f"{trial.augmenter} / {trial.classifier}, repeat {trial.repeat}, fold {trial.fold}, seed {trial.seed}"


def evidence_of(bundle: Bundle, found: Rerun, *, salt: str, by: str) -> Evidence:
    """Return what a row of the ledger says of a rerun besides its sentence.

    Args:
        bundle: As read.
        found: Of a cell of it.
        salt: What chose the cell.
        by: Who signs, as ``maintainers`` names them.
    """
    member = name_of(found.trial.id)
    published = bundle.members[member].unpack(member)
    told = [hashlib.sha256(data).hexdigest() for data in (published, found.predictions)]
    return Evidence(by=by, salt=salt, trial=found.trial.id, published=told[0], rerun=told[1])


def ledger_sentence(found: Rerun) -> str:
    """Write a rerun as the ledger has it: in characters that every text may hold."""
    return keep_allowed(found.detail)
