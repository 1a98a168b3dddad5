"""``medbench site``: published entries as static pages."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlsplit

import click

from medbench.errors import UsageError
from medbench.planning import study as studies
from medbench.planning.study_schema import PublishedTable
from medbench.registry import plugins
from medbench.site.build import Settings, build


@click.command(short_help="Write static pages of published entries.")
@click.argument("published", type=click.Path(path_type=Path), default=Path("results/published"), metavar="[FOLDER]")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("site"), show_default=True,
              help="Folder of the site; a site that is there is replaced.")  # fmt: skip
@click.option("--no-bundles", is_flag=True, help="Leave the bundles out; pages name their SHA-256.")
@click.option("--url", default="", metavar="URL", help="Where the site will lie, for its feed, badges and previews.")
def site(published: Path, out: Path, no_bundles: bool, url: str) -> None:
    """Write the published entries of FOLDER, by default results/published, as pages that need no server.

    Entries are checked against their bundles and the ledger first; 9 where something was changed.
    """
    count = build(published, out, Settings(not no_bundles, _address(url), _published_figures()))
    click.echo(f"wrote {out / 'index.html'}: {count:,} {'entry' if count == 1 else 'entries'}")


def _published_figures() -> dict[str, list[PublishedTable]]:
    """Return the figures of publications that registered studies rerun, by the study's name."""
    catalogue = plugins.load()
    known = [studies.read(catalogue.registered("study", name)) for name in catalogue.names("study")]
    return {study.name: study.published for study in known if study.published}


def _address(url: str) -> str:
    """Return an address with a slash at its end.

    Raises:
        UsageError: If it is none of the web.
    """
    parts = urlsplit(url)
    if url and (parts.scheme not in ("http", "https") or not parts.netloc or parts.query or parts.fragment):
        raise UsageError(f"--url {url}: is no address of a folder; write it as https://example.org/medbench/.")
    return f"{url.rstrip('/')}/" if url else ""
