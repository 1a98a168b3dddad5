"""``medbench leaderboard``: the tables of what is stored."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from medbench.analyses.inflation import find_inflations
from medbench.analyses.learning_curves import find_learning_curves
from medbench.api.results import TABLES, Results, Table
from medbench.cli.shared_options import (
    given_results,
    known_places,
    load_catalogue,
    open_run,
    plugin_options,
    record_options,
)
from medbench.errors import UsageError
from medbench.planning.leak_staircase import SUFFIX
from medbench.planning.plan_records import newest_records, open_record
from medbench.plots.style import form_of, written
from medbench.tables.answer import next_steps
from medbench.tables.board_table import step_lines
from medbench.tables.document import FORMATS
from medbench.tables.writers.terminal import screen_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")


# One parameter per option of the command line.
@click.command(short_help="Print the results of a run.")
@record_options
@click.option("--table", "which", type=click.Choice(TABLES), help="What is printed: gains (the default); beside what "
              "was published; inflation, leak by leak; growth by training size, in patients; which scores of generated "
              "images go with the gain, over all runs stored or that of STUDY; gains on corrupted images.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--wide", is_flag=True, help="More columns and notes, with names as commands take them.")
@click.option("--plain", is_flag=True, help="ASCII only.")
@click.option("--against", type=click.Choice(["published"]), hidden=True)  # this and the next three: short for --table
@click.option("--inflation", is_flag=True, hidden=True)
@click.option("--growth", is_flag=True, hidden=True)
@click.option("--scores", is_flag=True, hidden=True)
@click.option("--plot", type=click.Path(path_type=Path), help="Also draw inflation or growth: FILE.svg, .png or .pdf.")
@plugin_options
def leaderboard(
    study_name: str | None,
    results: Path,
    which: Table | None,
    form: str,
    wide: bool,
    plain: bool,
    against: str | None,
    inflation: bool,
    growth: bool,
    scores: bool,
    plot: Path | None,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Print the results of the run of STUDY, or of the latest one."""
    short: dict[Table, bool] = {"published": bool(against), "inflation": inflation, "growth": growth, "scores": scores}
    given: list[Table] = [*([which] if which else []), *(table for table, is_given in short.items() if is_given)]
    if len(given) > 1:
        raise UsageError("these are tables of their own; give one --table.")
    table = given[0] if given else "gains"
    if plot and table not in ("inflation", "growth"):
        raise UsageError("--plot draws where a gain goes, or gains by training size; add --table inflation or growth.")
    of_every_run = table == "scores" and study_name is None
    opened = open_record if of_every_run else open_run  # which one is the latest does not matter there
    store, record = opened(results, study_name, suffix=SUFFIX if table == "inflation" else "")
    beside = [other for other in newest_records(store).values() if other != record] if of_every_run else []
    found = Results(store, record, lambda: load_catalogue(plugin_folders, plugin_switches), beside)
    screen = screen_of(sys.stdout, plain=plain)
    click.echo(found.write(form, which=table, wide=wide, **asdict(screen)))
    if form == "table" and table == "gains" and (built := found.built(further=False, metrics=False)):
        places, plugins = known_places(store, record), [str(folder) for folder in plugin_folders]
        steps = next_steps(
            built, name=study_name or "", file=places.file, data=places.data, plugins=plugins,
            results=given_results(results),
        )  # fmt: skip
        click.echo("\n" + "\n".join(step_lines(steps, screen)))
    if plot and table == "inflation":
        from medbench.plots.inflation import draw

        _draw(find_inflations(found.built(further=False, metrics=False)), plot, draw)
    elif plot:
        from medbench.plots.learning_curves import draw as draw_growth

        _draw(find_learning_curves(found.built(further=False, metrics=False)), plot, draw_growth)


def _draw(found: list[T], path: Path, draw: Callable[[T], Figure]) -> None:
    """Write the figure of every data set; the second and later ones under a numbered name."""
    form = form_of(path)
    for number, one in enumerate(found, start=1):
        target = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        try:
            target.write_bytes(written(draw(one), form))
        except OSError as error:
            raise UsageError(f"{target}: cannot be written ({error.strerror}); give another --plot.") from None
