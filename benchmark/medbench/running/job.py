"""What a worker process does: fit one stage or run one trial, and leave the outcome in its job folder."""

from __future__ import annotations

import contextlib
import json
import os
import platform
import random
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from medbench import __version__
from medbench.data.audit_official_cut import waived_leaks
from medbench.data.cache import open_samples
from medbench.data.external_test import open_with_test_set
from medbench.data.transfer_sources import datasets_in, key_of_dataset, open_sources
from medbench.errors import ContractError, DataError, MedbenchError, ResourceError, Skip, StoreError
from medbench.identity.identity import SCHEME, identity
from medbench.interfaces import outside_identity
from medbench.machine_faults import find_machine_fault
from medbench.protocols.protocol import protocol
from medbench.redact import sentence, without_names, without_paths
from medbench.registry import plugins
from medbench.registry.catalogue import Catalogue
from medbench.registry.source_lines import last_plugin_line
from medbench.running import devices, numerics
from medbench.store.trial_files import Failure, drop_unmeasured, keep_unmeasured, write_result, write_scores
from medbench.trial.context import TrialContext
from medbench.trial.encode import encode_samples, encoder_and_head
from medbench.trial.fit_one_stage import fit_stage, training_part
from medbench.trial.kept_features import kept_by
from medbench.trial.run_one_trial import Measures, Recipes, run_trial, score_again
from medbench.trial.stages import ENCODER, EVERYTHING, find_announced_stage, recipe_digest
from medbench.trial.trial import Result, Trial

REPORT_SECONDS = 0.5
SCORES = "scores"
"""Kind of a task that scores the made rows of a stored trial again, and the file it leaves them in."""


@dataclass(frozen=True)
class Task:
    """What a worker reads from ``task.json``.

    Attributes:
        kind: "stage", "trial", or SCORES.
        trial: The trial; for a stage, one of those that need it.
        decoded: Folder of the decoded data.
        plugin_folders: As given to ``--plugins-dir``.
        blocked: As given to ``-p no:NAME``.
        stages: Folder of each stored stage by key.
        stage: How people call the stage to fit.
        recipe: SHA-256 of its recipe, by which it is found among those the trial's recipes announce; ENCODER for the
            trial's encoder.
        on: What it is fitted on: "pixels", "features", EVERYTHING, or another data set's name, as `sources` has it.
        key: Its key.
        sources: Decoded folder of each other data set that recipes name, and of those that external tests test.
        waived: Findings of the official cut that the study waives.
        checks: Outcome by recipe of a plugin, as :mod:`medbench.running.check_plugins` has it.
    """

    kind: str
    trial: Mapping[str, Any]
    decoded: str
    plugin_folders: tuple[str, ...] = ()
    blocked: tuple[str, ...] = ()
    stages: Mapping[str, str] = field(default_factory=dict)
    stage: str = ""
    recipe: str = ""
    on: str = "pixels"
    key: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)
    waived: tuple[str, ...] = ()
    checks: Mapping[str, str] = field(default_factory=dict)


def work(folder: str, device: str) -> int:
    """Do the task in `folder` on `device`; return the exit code of what happened.

    Everything printed goes into ``log.txt``. A failure is written to ``failure.json`` with its kind; where a disk is
    full the exit code alone may be left to tell it.
    """
    try:
        return _work(Path(folder), device)
    except OSError as error:
        if (fault := find_machine_fault(error)) is None:
            raise
        return _fail(Path(folder), *fault, 6)


def _work(place: Path, device: str) -> int:
    task = Task(**json.loads((place / "task.json").read_text()))
    log = os.open(place / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    _flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    spare = [log]
    try:
        numerics.check_process(Trial.from_json(task.trial).budget)
        do_task(task, place, device)
    except Skip as skip:
        return _fail(place, "skip", sentence(str(skip), _names(task)), 0)
    except (DataError, StoreError, ResourceError) as error:  # worded here: they name the file that is to be mended
        with contextlib.suppress(OSError):
            traceback.print_exc()
        return _fail(place, error.kind, str(error), error.exit_code)
    except MedbenchError as error:
        names = _log(error, task)
        return _fail(place, error.kind, sentence(str(error), names), error.exit_code)
    except (Exception, SystemExit) as error:  # noqa: BLE001  a trial is one of the two borders that must survive
        names = _log(error, task)
        os.close(spare.pop())  # where too many files are open, the next line needs its place
        if (fault := find_machine_fault(error)) is not None:
            return _fail(place, *fault, 6)
        said = str(error.strerror) if isinstance(error, OSError) else sentence(str(error), names)
        where = last_plugin_line(error)[1].partition(":")[0]
        return _fail(place, "bug", f"{type(error).__name__}: {said}{f' ({where})' if where else ''}", 1)
    finally:
        _flush()
        for left in spare:  # a process may do further jobs
            os.close(left)
    return 0


def _flush() -> None:
    """Write out what was printed; what a full disk does not take is dropped, and is in no later job's log."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except OSError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, number)
            os.close(nowhere)
            stream.flush()


def _names(task: Task) -> frozenset[str]:
    """Return the ids of the task's images, patients and groups, which no message shall hold; none where unreadable."""
    try:
        opened = [open_samples(Path(folder)) for folder in (task.decoded, *task.sources.values())]
    except (OSError, ValueError, KeyError, MedbenchError):
        return frozenset()
    return frozenset(name for s in opened for column in (s.ids, s.patients, s.groups) for name in column.tolist())


def _log(error: BaseException, task: Task) -> frozenset[str]:
    """Print the traceback into the log, without ids and paths; return the names that were looked for."""
    names = _names(task)
    text = without_names(without_paths("".join(traceback.format_exception(error))), names)
    with contextlib.suppress(OSError):  # a full disk must not take the place of what happened
        print(text, end="", file=sys.stderr)
    return names


def do_task(task: Task, place: Path, device: str) -> None:
    """Fit the stage or run the trial of a task, and write what came out into its folder."""
    trial = Trial.from_json(task.trial)
    devices.use(device, trial.budget.numerics)
    numerics.hold_libraries(trial.budget)
    catalogue = plugins.load(folders=[Path(f) for f in task.plugin_folders], blocked=task.blocked)
    rules = protocol(trial.protocol)
    samples = open_with_test_set(rules, Path(task.decoded), task.sources)
    sources = open_sources(task.sources, Path(task.decoded))
    context = TrialContext(
        trial,
        device=device,
        folder=place,
        stage_folder=lambda key: Path(task.stages[key]) if key in task.stages else None,
        report=Reporter(place / "progress.json"),
        sources=sources,
        made_of=samples.made_of,
    )
    _seed_globals(context)
    augmenter = catalogue.resolve("augmenter", trial.augmenter)
    classifier = catalogue.resolve("classifier", trial.classifier)
    extractor = catalogue.resolve("extractor", trial.extractor) if trial.extractor else None
    if task.kind == "stage":
        encoder, head = encoder_and_head(augmenter, classifier)
        stage = _find_stage(task.recipe, encoder, augmenter, head, extractor)
        train = training_part(rules, samples, trial.cut)
        if task.on == EVERYTHING:
            train = open_samples(Path(task.decoded))
        elif task.on not in ("pixels", "features"):
            train = next(sources(d) for d in datasets_in(augmenter, classifier) if key_of_dataset(d) == task.on)
        elif encoder is not None:
            learnt_from = rules.encoder_rows(samples, trial.cut, train)
            (train,) = (learnt_from,) if task.on == "pixels" else encode_samples(encoder, context, learnt_from, train)
        fit_stage(stage, train, context, key=task.key, text=task.stage)
        return
    recipes = Recipes(augmenter, classifier, rules)
    extractor = extractor or next(iter(catalogue.items("extractor")), None)
    measures = Measures(catalogue.items("metric"), catalogue.items("score"), extractor)
    if task.kind == SCORES:
        context.only_stored = True
        scores = score_again(trial, recipes, samples, context, measures)
        if scores is None:
            raise ContractError("there is nothing to score any more.")
        write_scores(place, scores)
        return
    before = _surroundings()
    made_with = {**provenance(catalogue, augmenter, classifier), "checks": dict(task.checks)}

    def keep(result: Result) -> None:
        _check_surroundings(before, trial)  # what measures is held to it by itself, and libraries that write are not
        keep_unmeasured(place, result, made_with)

    waived = waived_leaks(rules.name, task.waived)
    result = run_trial(trial, recipes, samples, context, measures, waived=waived, keep=keep)
    write_result(place, result, made_with)
    drop_unmeasured(place)


def _find_stage(recipe: str, encoder: Any, augmenter: Any, head: Any, extractor: Any) -> Any:
    """Find the stage of a task among the trial's encoder, its extractor's kept features, and what recipes announce."""
    if recipe == ENCODER:
        return encoder
    kept = kept_by(extractor)
    if kept is not None and recipe_digest(kept) == recipe:
        return kept
    return find_announced_stage(recipe, encoder, augmenter, head, extractor)


def _seed_globals(context: TrialContext) -> None:
    """Seed the global generators, so that a recipe that draws from them repeats all the same.

    Drawing itself cannot be refused: libraries do it for reasons of their own.
    """
    random.seed(context.seed("global random"))
    np.random.seed(context.seed("global numpy") % 2**32)  # noqa: NPY002  this is the one place that sets it


def _surroundings() -> dict[str, str]:
    return {"the working directory": os.getcwd(), **{f"the variable {k}": v for k, v in os.environ.items()}}


def _check_surroundings(before: dict[str, str], trial: Trial) -> None:
    """Refuse a result of recipes that changed what other trials share; libraries may add variables of their own."""
    after = _surroundings()
    if changed := [name for name, value in before.items() if after.get(name) != value]:
        raise ContractError(f"{trial.augmenter}/{trial.classifier} changed {changed[0]}; leave it as it is.")


@outside_identity
def provenance(catalogue: Catalogue, *recipes: Any) -> dict[str, Any]:
    """Say what a result was made with: versions, code, plugins and the kind of machine; no names and no paths."""
    return {
        "medbench": __version__,
        "identity_scheme": SCHEME,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "cpus": os.cpu_count(),
        **numerics.computed_with(),
        "recipes": [identity(recipe) for recipe in recipes],
        "plugins": [
            {"name": p.name, "distribution": Path(p.distribution).name, "version": p.version}
            for p in catalogue.plugins
            if not p.error and not p.blocked
        ],
    }


@outside_identity
class Reporter:
    """Writes how far a fit is into a file, at most twice a second."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last = 0.0

    def __call__(self, step: int, total: int, values: Mapping[str, float]) -> None:
        now = time.monotonic()
        if now - self._last >= REPORT_SECONDS or step >= total:
            self._last = now
            fresh = self._path.with_suffix(".new")
            fresh.write_text(json.dumps({"step": step, "total": total, **{k: float(v) for k, v in values.items()}}))
            fresh.replace(self._path)


def _fail(place: Path, kind: str, message: str, code: int) -> int:
    failure = Failure(kind, message)
    try:
        (place / "failure.json").write_text(json.dumps({"kind": failure.kind, "message": failure.message}))
    except OSError:  # the exit status still tells a full disk
        return ResourceError.exit_code
    return code or 7
