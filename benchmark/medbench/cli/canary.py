"""``medbench audit --canary``: what medbench itself reports where there is nothing to find."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click

from medbench.analyses.canary import LEAKY_AUROC, NAMES, SHARE, Canary, PlantedLeak, canary, with_each_leak
from medbench.analyses.inflation import CAUSES
from medbench.api.terminal_progress import Display
from medbench.boards.board import Board
from medbench.boards.build import boards
from medbench.cli.shared_options import blocked
from medbench.data.cache import open_samples
from medbench.planning.arm_names import short
from medbench.planning.study import Study
from medbench.registry.catalogue import Catalogue
from medbench.registry.recipes import parse
from medbench.running.outcome import check_not_interrupted
from medbench.running.request import StudyOptions, build_request
from medbench.running.resources import Resources
from medbench.running.study_run import StudyRun, run_study
from medbench.text import WIDTH, cut, pad, wrapped

STUDY = "canary"
TITLES = {"": "none", **CAUSES, "fitted-on-all": "generators that learned from test images"}
"""Leaks in at most 42 characters."""


def run_canary(
    *,
    budget: str | None,
    results: Path,
    workers: int | None,
    as_json: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> int:
    """Run the study "canary", with each leak and without; print what was found, 8 if anything is not as it must be.

    Args:
        budget: As ``--budget`` has it; "smoke" for a quick look with fewer patients and folds.
        results: Store; what is there is not run again.
        workers: Jobs at a time.
        as_json: For programs.
        plugin_folders: As ``--plugins-dir`` has it.
        plugin_switches: As ``-p`` has it.
    """
    # What jobs compute outside of a fit, as when they draw, would take all cores; jobs side by side have one each.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    left_out = blocked(plugin_switches)
    options: StudyOptions = {
        "budget": budget, "results": results, "plugin_folders": plugin_folders, "blocked": left_out
    }  # fmt: skip
    options["blocked"] = (*left_out, *_only_scores(build_request(STUDY, **options).catalogue))
    request = build_request(STUDY, **options)
    study = _one_a_name(request.study, request.catalogue)
    resources = Resources(workers)
    with Display() as display:
        display.say("Part 1 of 2: one method under each leak.")
        leaky = run_study(dataclasses.replace(request, study=with_each_leak(study)), display, resources)
        check_not_interrupted(leaky.summaries)
        display.say("Part 2 of 2: every method without a leak.")
        honest = run_study(dataclasses.replace(request, study=study), display, resources)
        check_not_interrupted(honest.summaries)
    samples = open_samples(cast("Path", honest.plan.sources[0].folder))
    found = canary(_boards(honest)[0], _boards(leaky), samples)
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(found), "reach": found.reach, "faults": found.faults}, indent=1))
    else:
        click.echo("\n".join(_text(found, study)))
    return 8 if found.faults else 0


def _only_scores(catalogue: Catalogue) -> list[str]:
    """Return the plugins that give nothing but scores: they change no prediction and take a third of the time."""
    return [p.name for p in catalogue.plugins if {kind for kind, names in p.provides.items() if names} == {"score"}]


def _one_a_name(study: Study, catalogue: Catalogue) -> Study:
    """Return the study with every glob written out, less what it also names with parameters, as a lighter one."""
    named = {spec.name for text in study.augmenters if (spec := parse(text)).parameters}
    every = [(text, recipe) for text in study.augmenters for recipe in catalogue.matching("augmenter", text)]
    kept = [catalogue.spec(recipe) for text, recipe in every if parse(text).parameters or recipe.name not in named]
    return study.model_copy(update={"augmenters": kept})


def _boards(run: StudyRun) -> list[Board]:
    keys = {arm.key for arms in run.plan.arms.values() for arm in arms}
    return boards(run.store, run.plan.record(), keep=keys)


def _text(found: Canary, study: Study) -> Iterator[str]:
    yield "canary: synthetic images whose labels are noise"
    yield (
        f" {study.phantom.patients} patients, {study.folds}-fold cross-validation, {study.budget.steps} training steps,"
        f" {study.budget.generator_steps} for generators"
    )
    yield ""
    yield f" {pad('no leak: AUROC of every method', 44)}{'AUROC':>7}   simultaneous 95 % CI"
    for arm in sorted(found.arms, key=lambda a: a.name):
        mark = "" if arm.holds else "   LEAVES OUT .5"
        name = pad(cut(f"  {short(arm.name)}", 43), 44)
        yield f" {name}{arm.auroc:>7.3f}   {arm.low:.3f} to {arm.high:.3f}{mark}"
    for name in found.missing:
        yield cut(f"   {name}", WIDTH)
    yield f"   an AUROC {found.reach:.2f} away from .5 would be detected in every method"
    yield ""
    yield f" {pad('a leak planted in one method', 44)}{'AUROC':>7}   found by name"
    for leak in found.leaks:
        yield f"   {pad(TITLES[leak.switch], 42)}{_figure(leak)}   {_named(leak)}"
    yield ""
    planted = f"a picture of {100 * SHARE:.0f} % of the test patients, brighter, among the training patients"
    yield f" {planted}"
    yield f"   {pad('found by the audit', 42)}{found.found} of {found.planted}, {found.alarms} false alarms"
    yield ""
    if found.faults:
        for fault in found.faults:
            yield from wrapped(f"FAULT: {fault}.")
    else:
        yield from wrapped(
            "As it must be: without a leak no method tells the classes apart and no leak is named; each planted leak "
            f"is found by its name, copies of tested images lift the AUROC above {LEAKY_AUROC:.2f}, and the audit "
            "finds a weak leak."
        )


def _figure(leak: PlantedLeak) -> str:
    return f"{'-' if leak.auroc is None else format(leak.auroc, '.3f'):>7}"


def _named(leak: PlantedLeak) -> str:
    if not leak.switch:
        return ", ".join(leak.named) or "nothing"
    return NAMES[leak.switch] if NAMES[leak.switch] in leak.named else "NO"
