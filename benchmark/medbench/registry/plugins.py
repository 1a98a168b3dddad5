"""Find plugins and load them one by one into a catalogue.

Built-ins first, then installed distributions, then folders. A later plugin adds and never overrides, and a broken one
never stops the others.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import importlib.metadata
import io
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from medbench.errors import UsageError
from medbench.interfaces import (
    outside_identity,
)
from medbench.redact import sentence
from medbench.registry.catalogue import GROUP, Catalogue, Plugin
from medbench.registry.recipes import did_you_mean, listing
from medbench.registry.source_lines import remember_plugin_files


def recipe(kind: str, text: str) -> Any:
    """Return the recipe of a kind that ``name[parameter=value,...]`` means, whoever provides it.

    While plugins are being loaded it knows those that were loaded before: medbench's own in any case.

    Args:
        kind: augmenter, generator, classifier, dataset, score, extractor or executor.
        text: As on the command line.

    Raises:
        UsageError: If nothing of that kind has the name, or a parameter does not fit.
        PluginError: If it cannot be used.
    """
    return (_current[-1] if _current else load()).resolve(kind, text)


_current: list[Catalogue] = []  # the one that was loaded last


@outside_identity
def load(*, folders: Sequence[Path] = (), blocked: Iterable[str] = (), installed: bool | None = None) -> Catalogue:
    """Load the built-ins, then what is installed, then what lies in folders.

    Args:
        folders: Each ``*.py`` file and each package in them is a plugin.
        blocked: Names of plugins to leave out.
        installed: False leaves out every plugin that is not medbench's own; None asks MEDBENCH_DISABLE_PLUGINS.

    Raises:
        UsageError: For a blocked name that no plugin has, or a folder that does not exist.
    """
    if installed is None:
        installed = os.environ.get("MEDBENCH_DISABLE_PLUGINS", "") in ("", "0")
    unknown = set(blocked)
    catalogue = Catalogue()
    _current[:] = [catalogue]
    for name, distribution, version, load_module in _find(folders, installed):
        plugin = Plugin(name, distribution, version)
        if name in set(blocked):
            unknown.discard(name)
            plugin.blocked = True
            catalogue.plugins.append(plugin)
            continue
        if any(other.name == name for other in catalogue.plugins):
            first = next(other for other in catalogue.plugins if other.name == name)
            plugin.error = (
                f"{distribution} and {first.distribution} both have a plugin of that name; rename one of the two."
            )
            catalogue.plugins.append(plugin)
            continue
        module = _import(plugin, load_module)
        if module is None:
            catalogue.plugins.append(plugin)
        else:
            if distribution != GROUP:
                remember_plugin_files(module, name)
            catalogue.add(plugin, module)
    if unknown:
        known = [plugin.name for plugin in catalogue.plugins]
        name = sorted(unknown)[0]
        raise UsageError(
            f"-p no:{name}: no plugin is named {name!r}{did_you_mean(name, known)}; there are: {listing(known)}."
        )
    return catalogue


def _find(folders: Sequence[Path], installed: bool) -> Iterator[tuple[str, str, str, Callable[[], Any]]]:
    points = []
    for point in importlib.metadata.entry_points(group=GROUP):
        distribution = point.dist.name if point.dist else "unknown"
        builtin = distribution == "medbench"
        if builtin or installed:
            points.append((not builtin, point.name, distribution, point.dist.version if point.dist else "", point))
    for _, name, distribution, version, point in sorted(points, key=lambda p: p[:4]):
        yield name, distribution, version, point.load
    for folder in folders:
        if not folder.is_dir():
            raise UsageError(f"--plugins-dir {folder}: no such folder.")
        place = str(folder.resolve())
        if place not in sys.path:
            sys.path.append(place)  # behind everything: a local random.py must not shadow the library's
        importlib.invalidate_caches()
        for path in sorted(folder.iterdir()):
            is_package = (path / "__init__.py").is_file()
            if (path.suffix == ".py" or is_package) and not path.name.startswith(("_", ".")):
                yield path.stem, str(folder), "", functools.partial(_import_file, path)


def _import_file(path: Path) -> Any:
    module = importlib.import_module(path.stem)
    file = Path(getattr(module, "__file__", None) or "built-in")
    if not file.resolve().is_relative_to(path.resolve()):
        raise ImportError(f"the name {path.stem!r} is taken by another module; rename {path.name}")
    return module


def _import(plugin: Plugin, load_module: Callable[[], Any]) -> Any:
    started = time.perf_counter()
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return load_module()
    except (Exception, SystemExit) as error:  # noqa: BLE001  import may raise anything; sys.exit(0) must not end us
        plugin.error = f"its import failed with {type(error).__name__}: {sentence(str(error))}."
        return None
    finally:
        plugin.seconds = time.perf_counter() - started
