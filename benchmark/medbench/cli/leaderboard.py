"""``medbench leaderboard``: the tables of what is stored."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from medbench.analyses.inflation import inflations
from medbench.analyses.learning_curves import growths
from medbench.analyses.published_figures import compare
from medbench.api.terminal import can_draw_trees
from medbench.boards.build import boards
from medbench.cli.options import load_catalogue, plugin_options, record_options
from medbench.errors import UsageError
from medbench.planning.leak_staircase import SUFFIX
from medbench.planning.plan_records import open_record
from medbench.plots.style import form_of, written
from medbench.tables.across_datasets import render_all
from medbench.tables.board_table import FORMATS
from medbench.tables.inflation import render as render_inflation
from medbench.tables.learning_curves import render as render_growth
from medbench.tables.published_figures import render as render_comparison
from medbench.text import clean

if TYPE_CHECKING:
    from matplotlib.figure import Figure

T = TypeVar("T")


@click.command(short_help="Print the leaderboard of a run.")
@record_options
@click.option("--format", "form", type=click.Choice(FORMATS), default="table", show_default=True)
@click.option("--wide", is_flag=True, help="More columns.")
@click.option("--plain", is_flag=True, help="ASCII only.")
@click.option("--against", type=click.Choice(["published"]), help="Print what was published beside what was measured.")
@click.option("--inflation", is_flag=True, help="Print where a gain goes, leak by leak; after run --inflation.")
@click.option("--growth", is_flag=True, help="Print gains by training size, and what they are worth in patients.")
@click.option("--plot", type=click.Path(path_type=Path), help="Also draw one of these two: FILE.svg, .png or .pdf.")
@plugin_options
def leaderboard(
    study_name: str | None,
    results: Path,
    form: str,
    wide: bool,
    plain: bool,
    against: str | None,
    inflation: bool,
    growth: bool,
    plot: Path | None,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Print the leaderboard of the latest run of STUDY, or of any study."""
    if sum(map(bool, (against, inflation, growth))) > 1:
        raise UsageError("--against, --inflation and --growth are tables of their own; give one of them.")
    if plot and not (inflation or growth):
        raise UsageError("--plot draws where a gain goes, or gains by training size; add --inflation or --growth.")
    store, record = open_record(results, study_name, suffix=SUFFIX if inflation else "")
    further = wide or form in ("csv", "json")
    asks = further or against  # a published figure may be one of a plugin's metric
    metrics = load_catalogue(plugin_folders, plugin_switches).items("metric") if asks else None
    built = boards(store, record, wide=further, metrics=metrics)
    plain = plain or not can_draw_trees(sys.stdout)
    if inflation:
        found = inflations(built)
        click.echo(render_inflation(found, form, plain=plain))
        if plot:
            from medbench.plots.inflation import draw

            _draw(found, plot, draw)
    elif growth:
        by_size = growths(built)
        if not by_size:
            name = clean(record["study"]["name"])
            raise UsageError(f"{name}: trains on one size only; name two protocols such as official[patients=50].")
        click.echo(render_growth(by_size, form, plain=plain))
        if plot:
            from medbench.plots.learning_curves import draw as draw_growth

            _draw(by_size, plot, draw_growth)
    elif against:
        click.echo(render_comparison(compare(built), form, plain=plain))
    else:
        click.echo(render_all(built, form, wide=wide, plain=plain))


def _draw(found: list[T], path: Path, draw: Callable[[T], Figure]) -> None:
    """Write the figure of every data set; the second and later ones under a numbered name."""
    form = form_of(path)
    for number, one in enumerate(found, start=1):
        target = path if number == 1 else path.with_stem(f"{path.stem}-{number}")
        try:
            target.write_bytes(written(draw(one), form))
        except OSError as error:
            raise UsageError(f"{target}: cannot be written ({error.strerror}); give another --plot.") from None
