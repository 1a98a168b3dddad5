"""``medbench compare``: two methods against each other, or every gain of a run."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from medbench.analyses.compare import compare as compare_arms
from medbench.boards.build import boards
from medbench.cli.shared_options import load_catalogue, open_run, plugin_options, results_option
from medbench.errors import ResourceError, UsageError
from medbench.plots import style
from medbench.plots.forest import forest
from medbench.tables.compare import forests, gain_forests, render, render_gains
from medbench.tables.document import FORMATS
from medbench.tables.forest import Forest
from medbench.tables.writers.terminal import screen_of


# One parameter per option of the command line.
@click.command(short_help="Compare two methods, or plot every gain of a run.")
@click.argument("one", metavar="[A", required=False)
@click.argument("other", metavar="B]", required=False)
@click.option("--study", "study_name", metavar="STUDY", help="Of the latest run of a study; by default of any.")
@results_option
@click.option(
    "--against", "entry", metavar="ENTRY", help="B is a method of this published entry; nothing is run again."
)
@click.option("--published", type=click.Path(path_type=Path), default=Path("results/published"), show_default=True,
              help="Where entries are.")  # fmt: skip
@click.option("--details", is_flag=True, help="Cross-checks: corrected t-test, folds, seeds. They make no verdict.")
@click.option("--plot", type=click.Path(path_type=Path), metavar="FILE", help="Draw the gains: .svg, .png or .pdf.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--plain", is_flag=True, help="ASCII only.")
@plugin_options
def compare(
    one: str | None,
    other: str | None,
    study_name: str | None,
    results: Path,
    entry: str | None,
    published: Path,
    details: bool,
    plot: Path | None,
    form: str,
    plain: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Compare method A with method B in every table where both stand; without them, plot every gain.

    A and B are written as on the leaderboard: hybrid, 'hybrid[generator=reacgan]', or 'hybrid / resnet18'.
    """
    if entry is not None and (other is None or details):
        raise UsageError("--against takes two methods, one of this run and one of the entry, and no --details.")
    if one is not None and other is None:
        raise UsageError(f"{one} with what? Give two methods, as in `medbench compare {one} balanced`, or none.")
    if details and one is None:
        raise UsageError("--details belongs to two methods; give both, as in `medbench compare hybrid geometric`.")
    if plot is not None:
        style.form_of(plot)  # before anything is read
    store, record = open_run(results, study_name)
    screen = screen_of(sys.stdout, plain=plain)
    if entry is not None and one is not None and other is not None:
        from medbench.publishing.bundle.read_bundle import read_bundle
        from medbench.publishing.entries.arm_against_entry import comparable_entry, compare_with_entry
        from medbench.publishing.entries.entry_files import BUNDLE

        place = comparable_entry(published, entry)
        found = compare_with_entry(store, record, one, other, read_bundle(place / BUNDLE), place.name)
        text, panels = render(found, form, screen=screen), forests(found)
    elif one is not None and other is not None:
        metrics = load_catalogue(plugin_folders, plugin_switches).items("metric") if details else None
        found = compare_arms(store, record, one, other, in_detail=details, metrics=metrics)
        text, panels = render(found, form, screen=screen), forests(found)
    else:
        built = boards(store, record)
        text, panels = render_gains(built, form, screen=screen), [f for f in gain_forests(built) if f.bars]
    if plot is not None:
        _write(plot, panels)
    click.echo(text)


def _write(path: Path, panels: list[Forest]) -> None:
    if not panels:
        raise UsageError(f"{path}: nothing is compared in this run, so there is nothing to draw.")
    try:
        path.write_bytes(style.written(forest(panels), style.form_of(path)))
    except OSError as error:
        raise ResourceError(f"{path}: cannot be written ({error.strerror}); give another --plot.") from None
    click.echo(f"wrote {path}", err=True)
