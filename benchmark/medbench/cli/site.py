"""``medbench site``: published entries as static pages."""

from __future__ import annotations

from pathlib import Path

import click

from medbench.site.build import build


@click.command(short_help="Write static pages of published entries.")
@click.argument("published", type=click.Path(path_type=Path), default=Path("results/published"), metavar="[FOLDER]")
@click.option("-o", "--out", type=click.Path(path_type=Path), default=Path("site"), show_default=True,
              help="Folder of the site; a site that is there is replaced.")  # fmt: skip
@click.option("--no-bundles", is_flag=True, help="Leave the bundles out; pages name their SHA-256.")
def site(published: Path, out: Path, no_bundles: bool) -> None:
    """Write the leaderboards of FOLDER, by default results/published, as pages that need no server and no network.

    Entries are checked against their bundles and the ledger first; 9 where something was changed.
    """
    count = build(published, out, bundles=not no_bundles)
    click.echo(f"wrote {out / 'index.html'}: {count:,} {'entry' if count == 1 else 'entries'}")
