"""``medbench report``: a run as one document."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from medbench.cli.shared_options import load_catalogue, open_run, plugin_options, record_options
from medbench.errors import ResourceError, UsageError
from medbench.planning.leak_staircase import SUFFIX
from medbench.planning.plan_records import open_record
from medbench.registry.catalogue import Catalogue
from medbench.registry.recipes import parse
from medbench.text import clean

ENDINGS = {"html": "html", "md": "md", "latex": "tex"}
CHECKLISTS = ("claim2024",)


# One parameter per option.
@click.command(short_help="Write the results as one web page, Markdown or LaTeX.")
@record_options
@click.option("--format", "form", type=click.Choice(list(ENDINGS)), help="Default: html; md for a checklist.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Default: report.html, .md or .tex.")
@click.option(
    "--checklist",
    type=click.Choice(CHECKLISTS),
    help="Write a reporting checklist instead, filled in where the run knows the answer.",
)
@click.option("--no-pictures", is_flag=True, help="No sheets of images, even where a data set's card allows them.")
@plugin_options
def report(
    study_name: str | None,
    results: Path,
    form: str | None,
    out: Path | None,
    checklist: str | None,
    no_pictures: bool,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Write a report of the run of STUDY, or of the latest one: answers, tables, plots, and where all came from.

    The same results give the same bytes.
    """
    form = form or ("md" if checklist else "html")
    target = out or Path(f"{checklist or 'report'}.{ENDINGS[form]}")
    if target.is_dir():
        raise UsageError(f"{target}: is a folder; give a file to --out.")
    store, record = open_run(results, study_name)
    if study_name is None and record["study"].get("staircase"):
        record = _of_study(results, record)
    catalogue = load_catalogue(plugin_folders, plugin_switches)
    from medbench.report import inputs
    from medbench.report import report as contents

    for name in _not_loaded(record, catalogue):
        click.echo(
            f"note: the plugin of {clean(name)} is not loaded, so its licence, citation and images are left out; give "
            "--plugins-dir as for the run.",
            err=True,
        )
    found = inputs.gather(store, record, stairs=_stairs(results, record), catalogue=catalogue)
    made = contents.checklist_alone(found) if checklist else contents.report(found, pictures=not no_pictures)
    try:
        target.write_bytes(_content_of(made, form))
    except OSError as error:
        raise ResourceError(f"{target}: cannot be written ({error.strerror}); give another --out.") from None
    click.echo(f"wrote {target}", err=True)


def _not_loaded(record: dict[str, Any], catalogue: Catalogue) -> list[str]:
    """Return the data sets of a run whose plugins are not at hand."""
    known = set(catalogue.names("dataset"))
    names = [parse(str(source["dataset"]).removeprefix("phantom:")).name for source in record["sources"]]
    return [name for name in dict.fromkeys(names) if name not in known]


def _of_study(results: Path, record: dict[str, Any]) -> dict[str, Any]:
    """Return the plan of the study itself where its staircase was run last; the latter is a section of its report."""
    try:
        return open_record(results, str(record["study"]["name"]).removesuffix(SUFFIX))[1]
    except UsageError:
        return record


def _stairs(results: Path, record: dict[str, Any]) -> dict[str, Any] | None:
    """Return the plan of the same study's staircase; None where that was not run."""
    try:
        return open_record(results, str(record["study"]["name"]), suffix=SUFFIX)[1]
    except UsageError:
        return None


def _content_of(made: Any, form: str) -> bytes:
    if form == "html":
        from medbench.report.write_html import page

        return page(made)
    from medbench.report.write_paper import latex, markdown

    return (markdown if form == "md" else latex)(made).encode("utf-8", "replace")
