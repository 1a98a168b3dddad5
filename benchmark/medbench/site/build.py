"""Write a site: into a folder aside, moved into place when all of it is there."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

from medbench import __version__
from medbench.errors import ResourceError, UsageError
from medbench.planning.study_schema import PublishedTable
from medbench.publishing.entries.entry_files import BUNDLE, LEDGER
from medbench.publishing.verify.evidence import MAINTAINERS
from medbench.site import downloads, pages, svg
from medbench.site.data_cards import known_cards
from medbench.site.feed import feed
from medbench.site.order_entries import DataSet, data_sets
from medbench.site.preview import preview
from medbench.site.read_entries import Published, read_entries
from medbench.site.remeasured import remeasured
from medbench.site.results import current_results, methods_of

MARK = "site.json"
"""A folder with this file is a site of ours and may be replaced."""


@dataclass(frozen=True)
class Settings:
    """What a site is made with.

    Attributes:
        bundles: Put the bundles into the site; without them its pages name their SHA-256.
        address: Where the site will lie, with a slash at its end; "" where that is not known: links that leave the
            site, as those of its feed and its preview, are relative then.
        figures: Published figures, by the name of the study that reruns them.
    """

    bundles: bool = True
    address: str = ""
    figures: Mapping[str, Sequence[PublishedTable]] = field(default_factory=dict)


def build(root: Path, out: Path, settings: Settings | None = None) -> int:
    """Write the site of a folder of published entries; the same entries give the same bytes.

    Args:
        root: As ``results/published``.
        out: Folder of the site: absent, empty, or a site that is replaced.
        settings: What it is made with.

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
    entries, settings = read_entries(root), settings or Settings()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with _replacing(out) as folder, known_cards(entries):
            _write(folder, entries, root / LEDGER, settings)
    except OSError as error:
        raise ResourceError(f"{out}: cannot be written ({error.strerror}); give another -o.") from None
    return len(entries)


def _write(folder: Path, entries: list[Published], ledger: Path, settings: Settings) -> None:
    for name in ("data", "entries", "methods", "badges", *["bundles"] * settings.bundles):
        (folder / name).mkdir()
    for package, name, stored in (
        ("site", "style.css", "style.css"), ("report", "page.js", pages.SCRIPT), ("site", "site.js", pages.FILTERS),
    ):  # fmt: skip
        (folder / stored).write_bytes(files(f"medbench.{package}").joinpath(name).read_bytes())
    if entries:
        shutil.copyfile(ledger, folder / LEDGER)
        if (ledger.parent / MAINTAINERS).is_file():
            shutil.copyfile(ledger.parent / MAINTAINERS, folder / MAINTAINERS)
    sets, address = data_sets(entries), settings.address
    head = max((p.history.rows[-1] for p in entries), key=lambda row: row.row).sha256 if entries else ""
    again = remeasured(entries, settings.figures)
    texts = {
        "index.html": pages.index(entries, sets, has_bundles=settings.bundles, address=address, found=again),
        "protocols.html": pages.protocols_page(entries, address=address),
        "feed.atom": feed(entries, address),
        MARK: json.dumps({"entries": len(entries), "ledger": head, "medbench": __version__}, sort_keys=True) + "\n",
    }
    for name, _ in pages.MENU:
        texts[f"{name}.html"] = pages.fixed_page(name, entries, sets, head=head, address=address)
    for method in methods_of(current_results(entries)):
        texts[f"methods/{method.slug}.html"] = pages.method_page(method, address=address)
    for published in entries:
        texts |= _of_entry(published, settings)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8", newline="\n")
    (folder / "preview.png").write_bytes(preview("Does data augmentation help?", [pages.headline(entries)]))
    _write_tables(folder, entries, sets, settings)


def _of_entry(published: Published, settings: Settings) -> dict[str, str]:
    """Return the pages, values and badges of an entry, by file."""
    key = published.entry["id"]
    boards = pages.shown_boards(published)
    badges = {f"badges/{key}-{shown.number + 1}.svg": svg.badge_of_result(shown.badge, shown.tier) for shown in boards}
    page = pages.entry_page(published, boards=boards, has_bundle=settings.bundles, address=settings.address)
    return badges | {
        f"entries/{key}.html": page,
        f"entries/{key}.json": downloads.facts(published.entry),
        f"entries/{key}.svg": svg.badge(published.history),
    }


def _write_tables(folder: Path, entries: Sequence[Published], sets: Sequence[DataSet], settings: Settings) -> None:
    """Write the pages of data sets, every table as a file, and the bundles."""
    every = downloads.rows(entries)
    for of_set in sets:
        page = folder / "data" / f"{of_set.slug}.html"
        text = pages.data_page(of_set, has_bundles=settings.bundles, address=settings.address)
        page.write_text(text, encoding="utf-8", newline="\n")
        here = [row for row in every if row["dataset"] == of_set.name]
        for form in downloads.FORMATS:
            page.with_suffix(f".{form}").write_bytes(downloads.serialise(here, form))
    for form in downloads.FORMATS:
        (folder / f"all.{form}").write_bytes(downloads.serialise(every, form))
    for published in entries if settings.bundles else ():
        shutil.copyfile(published.folder / BUNDLE, folder / "bundles" / f"{published.entry['id']}.medbench.zip")


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
