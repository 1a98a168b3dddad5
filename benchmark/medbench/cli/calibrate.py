"""``medbench calibrate``: what the training runs of a study cost on this machine, in a minute."""

from __future__ import annotations

from typing import Any

import click

from medbench.api.terminal_progress import Display
from medbench.cli.shared_options import read_request, study_options, where_options
from medbench.planning.calibration import JobCost, keep_costs
from medbench.registry.display_names import classifier_name, dataset_name, generator_name, method_name
from medbench.running.calibrate import calibrate as measure
from medbench.running.resources import Resources
from medbench.text import counted


@click.command(short_help="Measure how long a study's training runs take on this machine.")
@study_options
@where_options
def calibrate(workers: int | None, workers_per_gpu: int | None, device: str, executor: str, **options: Any) -> None:
    """Run every method and generator of STUDY for a few steps, and keep what a step costs.

    `medbench plan` and the first line of `medbench run` then say how long the study takes. Measure with as many
    --workers as the run will have, on a machine that does nothing else.
    """
    request = read_request(**options)
    with Display() as display:
        costs = measure(request, display, Resources(workers, device, executor, workers_per_gpu=workers_per_gpu))
    path = keep_costs(costs)
    for cost in costs:
        click.echo(_line(cost))
    click.echo(f"{counted(len(costs), 'cost')} in {path}; `medbench plan` says how long the study takes.")


def _line(cost: JobCost) -> str:
    if cost.kind == "stage":
        name = generator_name(cost.recipe)
    else:
        augmenter, _, classifier = cost.recipe.partition("/")
        name = f"{method_name(augmenter)}, {classifier_name(classifier)}"
    speed = f"{1e3 * cost.per_step:.1f} ms a step and {cost.fixed:.1f} s beside them"
    of = f"{dataset_name(cost.dataset)}, {counted(cost.batch, 'image')} a step, {cost.device}"
    gpu = f", {cost.peak_gpu_mb:.0f} MB of GPU memory" * bool(cost.peak_gpu_mb)
    return f"{name}; {of}: {speed}, {cost.peak_mb:.0f} MB{gpu}"
