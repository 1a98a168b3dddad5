"""Whose line it was: the files of loaded plugins, and the line of an author's code that an error passed through."""

from __future__ import annotations

import inspect
import linecache
import re
from pathlib import Path
from typing import Any

_PLACES: dict[Path, str] = {}
"""Name of the plugin by its file, or by the folder of its package; of plugins that are not medbench's own."""


def remember_plugin_files(module: Any, plugin: str) -> None:
    """Note where a plugin's code lies: its file and what stands beside it in a folder of plugins, or its package."""
    file = getattr(module, "__file__", None)
    if file:
        path = Path(file).resolve()
        in_library = "site-packages" in path.parts and path.name != "__init__.py"
        _PLACES[path if in_library else path.parent] = plugin


def plugin_of_file(file: str) -> str:
    """Return the name of the plugin that a file of code belongs to; empty for medbench's and for libraries."""
    path = Path(file)
    for place in (path, *path.parents):
        if place in _PLACES:
            return _PLACES[place]
    return ""


def last_plugin_line(error: BaseException) -> tuple[str, str]:
    """Return the plugin whose code raised, and the last line of that code on the way, as text; empty where none was."""
    found = ("", "")
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        if plugin := plugin_of_file(code.co_filename):
            text = linecache.getline(code.co_filename, trace.tb_lineno).strip()
            found = plugin, f"{Path(code.co_filename).name}, line {trace.tb_lineno}: {text}"
        trace = trace.tb_next
    return found


def source_line(thing: Any, member: str = "") -> str:
    """Return where a class or function stands, or the line of a class that sets `member`, as ``mine.py, line 12``."""
    thing = thing if inspect.isclass(thing) or inspect.isroutine(thing) else type(thing)
    try:
        lines, first = inspect.getsourcelines(thing)
        name = Path(inspect.getsourcefile(thing) or "").name
    except (OSError, TypeError):
        return getattr(thing, "__qualname__", "unknown place")
    wanted = re.compile(rf"\s+(?:{re.escape(member)}\s*[:=]|def {re.escape(member)}\b)") if member else None
    offset = next((n for n, line in enumerate(lines) if wanted and wanted.match(line)), 0)
    return f"{name}, line {first + offset}"
