"""``medbench bundle``: a run as one file that others can check."""

from __future__ import annotations

import shlex
import tomllib
from pathlib import Path
from typing import Any

import click
from pydantic import ValidationError

from medbench.cli.shared_options import known_places, load_catalogue, open_run, plugin_options, record_options
from medbench.errors import ResourceError, UsageError
from medbench.publishing.bundle import bundle_members, signatures, zip_container
from medbench.publishing.bundle.read_bundle import read_members
from medbench.publishing.bundle.schemas import Method
from medbench.tables.answer import data_options
from medbench.text import clean

SUFFIX = ".medbench.zip"


# One parameter per option of the command line.
@click.command(short_help="Pack a run into one file that others can check.")
@record_options
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help=f"By default NAME{SUFFIX}.")
@click.option("--title", help="What readers see.")
@click.option("--author", "authors", multiple=True, help="May be repeated.")
@click.option("--method", "card", type=click.Path(path_type=Path), metavar="FILE.toml",
              help="title, authors, links, licence, contact, extra_data, pretraining.")  # fmt: skip
@click.option("--sign", "key", type=click.Path(path_type=Path), metavar="KEY", help="Sign it with an SSH key.")
@plugin_options
def bundle(
    study_name: str | None,
    results: Path,
    out: Path | None,
    title: str | None,
    authors: tuple[str, ...],
    card: Path | None,
    key: Path | None,
    plugin_folders: tuple[Path, ...],
    plugin_switches: tuple[str, ...],
) -> None:
    """Pack the run of STUDY, or the latest one: predictions, times and versions; no labels, patients or images.

    The same run gives the same bytes.
    """
    store, record = open_run(results, study_name)
    method = _method(card, {"title": title, "authors": list(authors)})
    metrics = load_catalogue(plugin_folders, plugin_switches).items("metric")
    members = bundle_members.members_of(store, record, method, metrics)
    members[zip_container.MANIFEST] = bundle_members.manifest_of(members)
    if key is not None:
        members[zip_container.SIGNATURE] = signatures.sign(members[zip_container.MANIFEST], key)
    data = zip_container.write(members)
    read_members(data, zip_container.find(data))  # what others would refuse is refused here
    out = out or Path(f"{record['study']['name']}{SUFFIX}")
    try:
        out.write_bytes(data)
    except OSError as error:
        raise ResourceError(f"{out}: cannot be written ({error.strerror}); give another --out.") from None
    signed = ", signed" if key is not None else ""
    click.echo(f"{clean(str(out))}: {len(members)} files in {len(data):,} bytes{signed}")
    folders = "".join(f" --plugins-dir {shlex.quote(clean(str(folder)))}" for folder in plugin_folders)
    others = " and your plugins (--plugins-dir)" if folders else ""
    click.echo(f"Check it as others will, who have the images (--data){others}:")
    drawn = all(str(source["dataset"]).startswith("phantom:") for source in record["sources"])
    places = known_places(store, record)
    where = "" if drawn else data_options(None if places.file else places.data)
    click.echo(f"  medbench verify {shlex.quote(clean(str(out)))}{where}{folders}")


def _method(card: Path | None, given: dict[str, Any]) -> Method:
    values: dict[str, Any] = {}
    if card is not None:
        try:
            values = tomllib.loads(card.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"--method {card}: cannot be read ({error.strerror}); give an existing file.") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise UsageError(f"--method {card}: is not TOML ({error}); mend it.") from None
    values |= {key: value for key, value in given.items() if value}
    try:
        return Method.model_validate(values)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        field = ".".join(map(str, problem["loc"]))
        said = problem["msg"].removeprefix("Value error, ")
        hint = {"title": "--title", "authors": "--author"}.get(field, f"the method card's {field}")
        raise UsageError(f"{hint}: {said[0].lower()}{said[1:]}.") from None
