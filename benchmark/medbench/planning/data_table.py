"""The ``[data]`` table of a study file: where the images lie, and how one's own folder is read.

It stands for ``--data FOLDER`` and for the parameters of the one data set that the study names. The folder never
becomes part of a study, so no path of a machine gets into results, reports and bundles.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from medbench.errors import UsageError
from medbench.registry.recipes import parse

FOLDER = "folder"


def take_data_table(table: Mapping[str, Any], place: Path) -> tuple[dict[str, Any], str]:
    """Return a study's values without its ``[data]`` table, whose parameters are written into its data set; the folder.

    Args:
        table: As read from the file.
        place: Folder of the study file, where a relative folder begins.

    Raises:
        UsageError: If it is no table of texts, numbers, true and false, or the study names several data sets and the
            table has parameters.
    """
    values = dict(table)
    if "data" not in values:
        return values, ""
    data = values.pop("data")
    if not isinstance(data, dict):
        raise UsageError("data must be a table; write [data] and folder = '...' below.")
    for key, value in data.items():
        if not isinstance(value, str | bool | int | float):
            raise UsageError(
                f"data.{key} is a {type(value).__name__}, expected a text, number, true or false; write {key} = '...'."
            )
    parameters = dict(data)
    folder = str(parameters.pop(FOLDER, ""))
    texts = values.get("datasets", [])
    if parameters:
        if not isinstance(texts, list) or len(texts) != 1 or not isinstance(texts[0], str):
            raise UsageError("data: its parameters are of one data set; write datasets = ['folder'].")
        if "[" in texts[0]:
            raise UsageError(f"data: {texts[0]} has parameters already; write them in one of the two places.")
        inner = ",".join(f"{key}={_text(value)}" for key, value in parameters.items())
        values["datasets"] = [f"{texts[0]}[{inner}]"]
    return values, os.path.join(place, os.path.expanduser(folder)) if folder else ""


def write_data_table(text: str, folder: Path, place: Path) -> tuple[str, list[str]]:
    """Return how a study file names a data set, and the lines of its ``[data]`` table.

    Args:
        text: The data set with its parameters.
        folder: Where its images lie.
        place: Folder of the study file; a folder below it is written relative to it.
    """
    spec = parse(text)
    here, there = place.resolve(), folder.resolve()
    written = str(there.relative_to(here)) if there.is_relative_to(here) else str(there)
    rows = [(FOLDER, written), *spec.parameters]
    return spec.name, ["[data]", *(f"{key} = {_plain(value)}" for key, value in rows)]


def quoted(text: str) -> str:
    """Write a text of TOML, as it stands where that can be: a regular expression keeps its backslashes."""
    return f"'{text}'" if "'" not in text and text.isprintable() else json.dumps(text, ensure_ascii=False)


def _plain(text: str) -> str:
    """Write a value of TOML: a whole number, true and false as such, all else as a text."""
    return text if re.fullmatch(r"true|false|0|[1-9][0-9]{0,8}", text) else quoted(text)


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
