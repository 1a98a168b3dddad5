"""Write a site: into a folder aside, moved into place when all of it is there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from medbench import __version__
from medbench.errors import ResourceError, UsageError
from medbench.publishing.entries.entry_files import BUNDLE, LEDGER
from medbench.publishing.verify.evidence import MAINTAINERS
from medbench.site import downloads, pages, svg
from medbench.site.order_entries import data_sets
from medbench.site.read_entries import Published, read_entries

MARK = "site.json"
"""A folder with this file is a site of ours and may be replaced."""


def build(root: Path, out: Path, *, bundles: bool = True) -> int:
    """Write the site of a folder of published entries; the same entries give the same bytes.

    Args:
        root: As ``results/published``.
        out: Folder of the site: absent, empty, or a site that is replaced.
        bundles: Put the bundles into the site; without them its pages name their SHA-256.

    Returns:
        The number of entries.

    Raises:
        UsageError: If `out` holds something else.
        Refused: If entries and ledger do not fit together; nothing is written then.
        ResourceError: If the disk refuses.
    """
    ours = not out.exists() or (out.is_dir() and ((out / MARK).is_file() or not any(out.iterdir())))
    if out.is_symlink() or not ours:
        raise UsageError(f"{out}: holds something else than a site; give -o an empty or new folder.")
    if out.resolve() == root.resolve() or root.resolve().is_relative_to(out.resolve()):
        raise UsageError(f"{out}: holds the entries themselves; give -o another folder.")
    entries = read_entries(root)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(out) as folder:
            _write(folder, entries, root / LEDGER, bundles)
    except OSError as error:
        raise ResourceError(f"{out}: cannot be written ({error.strerror}); give another -o.") from None
    return len(entries)


def _write(folder: Path, entries: list[Published], ledger: Path, bundles: bool) -> None:
    for name in ("data", "entries", *["bundles"] * bundles):
        (folder / name).mkdir()
    for package, name, stored in (("site", "style.css", "style.css"), ("report", "page.js", pages.SCRIPT)):
        (folder / stored).write_bytes(files(f"medbench.{package}").joinpath(name).read_bytes())
    if entries:
        shutil.copyfile(ledger, folder / LEDGER)
        if (ledger.parent / MAINTAINERS).is_file():
            shutil.copyfile(ledger.parent / MAINTAINERS, folder / MAINTAINERS)
    sets = data_sets(entries)
    head = max((p.history.rows[-1] for p in entries), key=lambda row: row.row).sha256 if entries else ""
    first = pages.index(entries, sets, head, has_bundles=bundles)
    (folder / "index.html").write_text(first, encoding="utf-8", newline="\n")
    (folder / "protocols.html").write_text(pages.protocols_page(entries), encoding="utf-8", newline="\n")
    for published in entries:
        key = published.entry["id"]
        texts = {
            "html": pages.entry_page(published, has_bundle=bundles),
            "json": pages.facts(published.entry),
            "svg": svg.badge(published.history),
        }
        for ending, text in texts.items():
            (folder / "entries" / f"{key}.{ending}").write_text(text, encoding="utf-8", newline="\n")
        if bundles:
            shutil.copyfile(published.folder / BUNDLE, folder / "bundles" / f"{key}.medbench.zip")
    every = downloads.rows(entries)
    for of_set in sets:
        page = folder / "data" / f"{of_set.slug}.html"
        page.write_text(pages.data_page(of_set, has_bundles=bundles), encoding="utf-8", newline="\n")
        here = [row for row in every if row["dataset"] == of_set.name]
        for form in downloads.FORMATS:
            page.with_suffix(f".{form}").write_bytes(downloads.serialise(here, form))
    for form in downloads.FORMATS:
        (folder / f"all.{form}").write_bytes(downloads.serialise(every, form))
    told = {"entries": len(entries), "ledger": head, "medbench": __version__}
    (folder / MARK).write_text(json.dumps(told, sort_keys=True) + "\n", encoding="utf-8", newline="\n")


@contextlib.contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """Give a folder beside `out` that takes its place in the end; an error leaves what was there."""
    with tempfile.TemporaryDirectory(prefix=f".{out.name}-", dir=out.parent) as scratch:
        made, old = Path(scratch) / "made", Path(scratch) / "old"
        made.mkdir(mode=0o755)
        yield made
        if out.exists():
            os.replace(out, old)
        try:
            os.replace(made, out)
        except OSError:
            if old.exists():
                os.replace(old, out)
            raise
