"""The feed of entries in force, newest first, as Atom (RFC 4287)."""

from __future__ import annotations

import uuid
import xml.etree.ElementTree as ET
from collections.abc import Iterable

from medbench.site.data_cards import data_name
from medbench.site.read_entries import Published
from medbench.site.safe_texts import safe_text

NAMESPACE = "http://www.w3.org/2005/Atom"
LONGEST = 50
EMPTY = "1970-01-01"


def feed(entries: Iterable[Published], address: str) -> str:
    """Write the feed.

    Args:
        entries: All of them.
        address: Of the site, with a slash at its end; "" where it is not known, then links are relative.
    """
    newest = sorted((p for p in entries if p.is_current), key=lambda p: p.history.rows[0].row, reverse=True)
    root = ET.Element("feed", xmlns=NAMESPACE)
    _add(root, "title", "medbench: published results")
    _add(root, "id", _urn("feed"))
    _add(root, "updated", _moment(max((p.history.rows[-1].date for p in newest), default=EMPTY)))
    ET.SubElement(root, "link", href=f"{address}index.html")
    ET.SubElement(root, "link", rel="self", href=f"{address}feed.atom")
    for published in newest[:LONGEST]:
        entry = published.entry
        one = ET.SubElement(root, "entry")
        _add(one, "title", safe_text(entry["method"]["title"]))
        _add(one, "id", _urn(entry["id"]))
        _add(one, "published", _moment(published.date))
        _add(one, "updated", _moment(published.history.rows[-1].date))
        for name in entry["method"]["authors"]:
            _add(ET.SubElement(one, "author"), "name", safe_text(name))
        ET.SubElement(one, "link", href=f"{address}entries/{entry['id']}.html")
        datasets = dict.fromkeys(data_name(board["dataset"]) for board in entry["boards"])
        _add(one, "summary", safe_text(f"{published.history.tier}: {'; '.join(datasets)}"))
    ET.indent(root)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _add(parent: ET.Element, name: str, text: str) -> None:
    ET.SubElement(parent, name).text = text


def _urn(name: str) -> str:
    """Return an id that stays the same wherever the site lies."""
    return uuid.uuid5(uuid.NAMESPACE_URL, f"https://github.com/medbench/medbench#{name}").urn


def _moment(day: str) -> str:
    return f"{day}T00:00:00Z"
