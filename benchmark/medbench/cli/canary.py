"""``medbench audit --canary``: what medbench itself reports where there is nothing to find."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import cast

import click

from medbench.analyses.canary import LEAKY_ACCURACY, SHARE, Canary, canary
from medbench.analyses.inflation import find_inflations
from medbench.api.terminal_progress import Display
from medbench.boards.build import boards
from medbench.cli.shared_options import blocked
from medbench.data.cache import open_samples
from medbench.planning.arm_names import short
from medbench.planning.leak_staircase import staircase
from medbench.running.outcome import check_not_interrupted
from medbench.running.request import build_request
from medbench.running.resources import Resources
from medbench.running.study_run import run_study
from medbench.text import WIDTH, cut, pad, wrapped

STUDY = "canary"


def run_canary(
    *,
    budget: str | None,
    results: Path,
    workers: int | None,
    as_json: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> int:
    """Run the study "canary" and its staircase, plant a leak, print what was found; 8 if anything is not as it must be.

    Args:
        budget: As ``--budget`` has it; "smoke" for a quick look with fewer patients and folds.
        results: Store; what is there is not run again.
        workers: Jobs at a time.
        as_json: For programs.
        plugin_folders: As ``--plugins-dir`` has it.
        plugin_switches: As ``-p`` has it.
    """
    request = build_request(
        STUDY, budget=budget, results=results, plugin_folders=plugin_folders, blocked=blocked(plugin_switches)
    )
    steps = staircase(request.study, lambda kind, text: request.catalogue.spec(request.catalogue.resolve(kind, text)))
    resources = Resources(workers)
    with Display() as display:
        honest = run_study(request, display, resources)
        check_not_interrupted(honest.summaries)
        leaky = run_study(dataclasses.replace(request, study=steps), display, resources)
        check_not_interrupted(leaky.summaries)
    keys = {arm.key for arms in honest.plan.arms.values() for arm in arms}
    board = boards(honest.store, honest.plan.record(), keep=keys)[0]
    staircases = find_inflations(boards(leaky.store, leaky.plan.record()))
    samples = open_samples(cast("Path", honest.plan.sources[0].folder))
    found = canary(board, next(iter(staircases), None), samples)
    if as_json:
        click.echo(json.dumps({**dataclasses.asdict(found), "reach": found.reach, "faults": found.faults}, indent=1))
    else:
        click.echo("\n".join(_text(found)))
    return 8 if found.faults else 0


def _text(found: Canary) -> Iterator[str]:
    yield "canary: synthetic images whose labels are noise"
    yield ""
    yield f" {pad('honest protocol: AUROC of every method', 44)}{'AUROC':>7}   simultaneous 95 % CI"
    for arm in sorted(found.arms, key=lambda a: a.name):
        mark = "" if arm.holds else "   LEAVES OUT .5"
        name = pad(cut(f"  {short(arm.name)}", 43), 44)
        yield f" {name}{arm.auroc:>7.3f}   {arm.low:.3f} to {arm.high:.3f}{mark}"
    for name in found.missing:
        yield cut(f"   {name}", WIDTH)
    yield f"   an AUROC {found.reach:.2f} away from .5 would be detected in every method"
    yield ""
    yield " the same labels where images are copied and augmented before the cut"
    for title, value in (
        ("accuracy there", found.leaky),
        ("always the commonest class, honest", found.majority),
        ("the same method, honest", found.honest),
    ):
        yield f"   {pad(title, 42)}" + ("not computed" if value is None else f"{100 * value:>6.1f} %")
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
            "As it must be: nothing is found where there is nothing, a leak pays at least "
            f"{100 * LEAKY_ACCURACY:.0f} % accuracy, and the audit finds a weak one."
        )
