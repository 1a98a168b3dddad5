"""The catalogue: everything that plugins registered, by kind and name."""

from __future__ import annotations

import contextlib
import fnmatch
import functools
import importlib
import importlib.metadata
import io
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pluggy

from medbench.errors import MedbenchError, PluginError, UsageError
from medbench.interfaces import Augmenter, Classifier, Dataset, Executor, Extractor, Generator, Score, as_tuple
from medbench.redact import sentence
from medbench.registry import hookspecs
from medbench.registry.check_registration import find_fault, name_of
from medbench.registry.guess_names import guess_name
from medbench.registry.recipes import configure, did_you_mean, listing, parse, spec_of
from medbench.registry.source_lines import source_line

GROUP = "medbench"


HOOKS: dict[str, tuple[str, type | None]] = {
    "dataset": ("register_datasets", Dataset),
    "augmenter": ("register_augmenters", Augmenter),
    "generator": ("register_generators", Generator),
    "classifier": ("register_classifiers", Classifier),
    "metric": ("register_metrics", None),
    "score": ("register_scores", Score),
    "extractor": ("register_extractors", Extractor),
    "executor": ("register_executors", Executor),
    "study": ("register_studies", None),
}


WORDS = {"dataset": "data set"}
"""Kinds as a sentence calls them; the others are called as they are."""
WRITTEN = {
    "dataset": "-d {0}",
    "augmenter": "-a {0}",
    "classifier": "-c {0}",
    "generator": "-a 'hybrid[generator={0}]'",
    "study": "medbench run {0}",
}
"""How a name of each kind is given."""


@dataclass
class Plugin:
    """A plugin as it was found.

    Attributes:
        name: Its entry point's name, or the stem of its file.
        distribution: Distribution or folder it came from.
        version: The distribution's version; empty for a file.
        seconds: Time its import took.
        provides: Names by kind.
        error: One sentence on why it cannot be used; empty where it can.
        blocked: Left out on purpose.
    """

    name: str
    distribution: str
    version: str = ""
    seconds: float = 0.0
    provides: dict[str, tuple[str, ...]] = field(default_factory=dict)
    error: str = ""
    blocked: bool = False


class Catalogue:
    """Everything that is registered, by kind and name."""

    def __init__(self) -> None:
        self.plugins: list[Plugin] = []
        self.manager = pluggy.PluginManager("medbench")
        self.manager.add_hookspecs(hookspecs)
        self._items: dict[str, dict[str, Any]] = {kind: {} for kind in HOOKS}
        self._owners: dict[tuple[str, str], str] = {}
        self._conflicts: dict[tuple[str, str], str] = {}
        self._withdrawn: dict[tuple[str, str], Plugin] = {}

    def names(self, kind: str) -> list[str]:
        """Return the registered names of a kind, in order of registration."""
        return list(self._items[kind])

    def owner(self, kind: str, name: str) -> str:
        """Return the name of the plugin that provides an item."""
        return self._owners[kind, name]

    def registered(self, kind: str, name: str) -> Any:
        """Return the recipe registered under exactly this name.

        Raises:
            UsageError: Nothing of that kind has the name.
            PluginError: Two plugins claim it, or the plugin of that name could not be loaded.
        """
        if problem := self._conflicts.get((kind, name)):
            raise PluginError(problem)
        if name in self._items[kind]:
            return self._items[kind][name]
        if broken_one := self._withdrawn.get((kind, name)):
            raise PluginError(f"plugin {broken_one.name!r} cannot be used: {broken_one.error}")
        for plugin in self.plugins:
            if plugin.error and name in (plugin.name, plugin.name.partition(".")[2]):
                raise PluginError(f"plugin {plugin.name!r} cannot be used: {plugin.error}")
        broken = [plugin.name for plugin in self.plugins if plugin.error]
        hint = f" Plugins that failed to load: {listing(broken)}; see `medbench plugins list`." if broken else ""
        known = self.names(kind)
        others = (self._of_other_kind(kind, name), guess_name(kind, name, known))
        guess = next(filter(None, others), "")
        near = f" ({guess})" if guess else ""
        raise UsageError(f"no {WORDS.get(kind, kind)} is named {name!r}{near}; there are: {listing(known)}.{hint}")

    def _of_other_kind(self, kind: str, name: str) -> str:
        """Say what a name is where it is no name of this kind."""
        for other, written in WRITTEN.items():
            if other != kind and name in self._items[other]:
                word = WORDS.get(other, other)
                return f"it is {'an' if word[0] in 'aeiou' else 'a'} {word}: {written.format(name)}"
        return ""

    def resolve(self, kind: str, text: str) -> Any:
        """Return the recipe that ``name[parameter=value,...]`` means."""
        spec = parse(text)
        return configure(self.registered(kind, spec.name), spec.parameters, self.resolve)

    def matching(self, kind: str, text: str) -> list[Any]:
        """Resolve a text whose name may be a glob: ``brain-*``, ``*``."""
        spec = parse(text)
        if not any(c in spec.name for c in "*?"):
            return [self.resolve(kind, text)]
        names = fnmatch.filter(self.names(kind), spec.name)
        if not names:
            raise UsageError(
                f"no {WORDS.get(kind, kind)} matches {spec.name!r}; there are: {listing(self.names(kind))}."
            )
        return [configure(self.registered(kind, name), spec.parameters, self.resolve) for name in names]

    def spec(self, recipe: Any) -> str:
        """Write a recipe as the shortest text that means it."""
        return spec_of(recipe, self.registered)

    def named(self, kind: str, recipe: Any, user: Any, member: str) -> Any:
        """Return what `user` has as its `member`: a recipe, the one that a name stands for, or None.

        Raises:
            PluginError: If it is a name that nothing of that kind has.
        """
        if not isinstance(recipe, str):
            return recipe
        try:
            return self.resolve(kind, recipe)
        except UsageError as error:
            raise PluginError(
                f"{user.name!r} names the {member} {recipe!r} ({source_line(user, member)}): {error}"
            ) from None

    def lineage(self, kind: str, recipe: Any) -> Iterator[Any]:
        """Yield an augmenter or a classifier, its control, the control of that, and so on.

        Raises:
            PluginError: If a control is unknown, or leads back to itself.
        """
        seen: list[Any] = []
        while recipe is not None:
            if recipe in seen:
                raise PluginError(
                    f"the control of {recipe.name!r} leads back to itself ({source_line(recipe, 'control')}); name "
                    "what it is without its ingredient."
                )
            seen.append(recipe)
            yield recipe
            recipe = self.named(kind, getattr(recipe, "control", None), recipe, "control")

    def control(self, kind: str, recipe: Any) -> Any:
        """Return the control of an augmenter or a classifier, by name or as it stands; None for a root."""
        return next(itertools.islice(self.lineage(kind, recipe), 1, None), None)

    def is_own(self, recipe: Any) -> bool:
        """Say whether a recipe's code is medbench's own, whoever registered it."""
        return type(recipe).__module__.partition(".")[0] in own_packages()

    def items(self, kind: str) -> list[Any]:
        """Return everything registered of a kind."""
        return list(self._items[kind].values())

    def add(self, plugin: Plugin, module: Any) -> None:
        """Register a loaded plugin and collect what it provides; a fault is written into ``plugin.error``."""
        self.plugins.append(plugin)
        try:
            self._check_hooks(module)
            self.manager.register(module, name=plugin.name)
            for kind, (hook, role) in HOOKS.items():
                names = []
                for item in self._call_one(hook, module):
                    names.append(self._add_item(kind, role, item, plugin))
                if names:
                    plugin.provides[kind] = tuple(names)
        except MedbenchError as error:
            self._drop(plugin, str(error))
        except pluggy.PluginValidationError as error:
            self._drop(plugin, "; ".join(line.strip() for line in str(error).splitlines()[1:] if line.strip()))
        except (Exception, SystemExit) as error:  # noqa: BLE001  whatever a plugin raises, the others go on
            self._drop(plugin, f"its registration failed with {type(error).__name__}: {sentence(str(error))}")

    def _check_hooks(self, module: Any) -> None:
        known = {name for name in dir(hookspecs) if hasattr(getattr(hookspecs, name), "medbench_spec")}
        for name in dir(module):
            if getattr(getattr(module, name, None), "medbench_impl", None) and name not in known:
                raise PluginError(f"it implements an unknown hook {name!r}{did_you_mean(name, known)}")

    def _call_one(self, hook: str, module: Any) -> Iterable[Any]:
        # pluggy's own call stops at the first exception without saying whose it was, so plugins are called singly.
        others = self.manager.get_plugins() - {module}
        with contextlib.redirect_stdout(io.StringIO()):
            results = self.manager.subset_hook_caller(hook, others)()
            return [item for result in results for item in as_tuple(result)]

    def _add_item(self, kind: str, role: type | None, item: Any, plugin: Plugin) -> str:
        name = name_of(kind, item)
        if fault := find_fault(kind, role, item):
            if name:
                self._withdrawn.setdefault((kind, name), plugin)
            raise PluginError(fault)
        if name in self._items[kind]:
            owner = self._owners[kind, name]
            self._conflicts[kind, name] = (
                f"{owner!r} and {plugin.name!r} both provide the {kind} {name!r}; leave one out with -p no:NAME."
            )
            raise PluginError(f"the {kind} {name!r} is already provided by {owner!r}; leave one out with -p no:NAME")
        self._items[kind][name] = item
        self._owners[kind, name] = plugin.name
        return name

    def _drop(self, plugin: Plugin, error: str) -> None:
        plugin.error = error if error.endswith(".") else f"{error}."
        plugin.provides = {}
        for (kind, name), owner in list(self._owners.items()):
            if owner == plugin.name:
                self._withdrawn.setdefault((kind, name), plugin)
                del self._items[kind][name], self._owners[kind, name]
        if self.manager.has_plugin(plugin.name):
            self.manager.unregister(name=plugin.name)

    def announce(self, event: str, **arguments: Any) -> list[str]:
        """Call an event hook of every plugin; return one sentence for each that failed."""
        problems = []
        everyone = self.manager.get_plugins()
        for module in sorted(everyone, key=lambda m: self.manager.get_name(m) or ""):
            try:
                self.manager.subset_hook_caller(event, everyone - {module})(**arguments)
            except (Exception, SystemExit) as error:  # noqa: BLE001  an observer that breaks costs no result
                name = self.manager.get_name(module)
                problems.append(f"plugin {name!r} failed in {event}: {type(error).__name__}: {sentence(str(error))}")
        return problems


@functools.cache
def own_packages() -> frozenset[str]:
    """Return the top-level packages of medbench's own distribution."""
    points = importlib.metadata.entry_points(group=GROUP)
    own = {p.module.partition(".")[0] for p in points if p.dist is not None and p.dist.name == GROUP}
    return frozenset({*own, GROUP})
