"""Which code a class or function can reach, by static import and name, and a hash of it that only meaning changes.

Code is read as its syntax tree. Comments, docstrings, annotations, layout, the words of errors, and the names and
places of modules and top-level definitions do not count, so code may be moved, renamed and explained without a new
hash. What counts is a definition: a top-level statement. A class counts as a whole, since which of its methods is
called is not known before.

Followed are medbench, its built-in plugins, a plugin's own package, and the files beside one that is a file; every
other library counts by its version.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MARK = "outside_identity"
"""Name of the decorator of functions and classes that cannot change a result; nothing behind it is reached."""

_DISTRIBUTION = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml", "cv2": "opencv-python"}
_IGNORED = frozenset({"ctx", "kind", "type_comment", "returns", "type_params"})  # no meaning, or only in newer Pythons
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_BLOCKS = (ast.If, ast.Try, ast.With, ast.For, ast.While)

Definition = tuple[str, int]
"""A module and the position of a statement in it."""
Place = tuple[str, str]
"""A module and a name in it; an empty name is the module itself."""
Scopes = tuple[Mapping[str, Place | None], ...]
"""Names of each enclosing function, innermost last, and what those that are imported there stand for."""


@dataclass(frozen=True)
class Reach:
    """What was reached.

    Attributes:
        digest: SHA-256 over the reached definitions.
        libraries: Version by distribution of every library that they name.
        definitions: Module and name of each, sorted, for people; no part of the digest.
    """

    digest: str
    libraries: dict[str, str]
    definitions: tuple[Place, ...]


@functools.cache
def reach(*roots: Place) -> Reach:
    """Follow names from definitions to what they can run.

    Args:
        roots: Module and name of each top-level definition to start from. A name that is not found stands for the
            whole module; of a module without a file nothing is known, and nothing is reached.
    """
    start = [definition for root in roots if _source(root[0]) for definition in _find(*root).definitions]
    texts: dict[Definition, _Text] = {}
    ran: set[str] = set()
    waiting = list(start)
    while waiting:
        at = waiting.pop()
        if at not in texts:
            texts[at] = _text(*at)
            waiting += texts[at].named()
            waiting += _run_on_import([at[0], *texts[at].modules], ran)
    colours = _colours(texts)
    libraries = {library for text in texts.values() for library in text.libraries}
    lines = [*(colours[at] for at in start), "", *sorted(colours.values())]
    return Reach(
        _sha("\n".join(lines)),
        {name: version for name in sorted(libraries) if (version := _version(name))},
        tuple(sorted({(module, _outline(module).names[number]) for module, number in texts})),
    )


def forget() -> None:
    """Read every file again at the next call: for tests that change code."""
    for cached in (reach, _source, _outline, _text):
        cached.cache_clear()


def _run_on_import(modules: Iterable[str], ran: set[str]) -> Iterator[Definition]:
    """Yield what importing these modules, and what they import, does besides defining names."""
    waiting = list(modules)
    while waiting:
        module = waiting.pop()
        if module not in ran:
            ran.add(module)
            outline = _outline(module)
            yield from ((module, number) for number in outline.acts)
            waiting += outline.imported_modules


def _colours(texts: Mapping[Definition, _Text]) -> dict[Definition, str]:
    """Hash every definition together with the hashes of what it names, until no more of them can be told apart.

    Source:
        Colour refinement: Weisfeiler and Leman, "The reduction of a graph to canonical form", 1968.
    """
    colours = {at: _sha(text.filled(lambda named: "")) for at, text in texts.items()}
    while True:
        known = colours
        colours = {at: _sha(text.filled(known.__getitem__)) for at, text in texts.items()}
        if len(set(colours.values())) == len(set(known.values())):
            return colours


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


# -- modules -----------------------------------------------------------------------------------------------------------


@dataclass
class _Outline:
    """A module's top-level statements, and what its names stand for.

    Attributes:
        package: What relative imports start from.
        statements: Those that count: no docstring, no import, nothing for type checkers alone.
        names: The first name each statement binds, or "".
        binds: Positions of the statements that bind or change a name.
        imports: What an imported name stands for.
        stars: Modules all of whose names are imported.
        imported_modules: Followed modules that run when this one is imported.
        acts: Positions of statements that do something when the module is imported.
        outside: Names whose definition is marked as outside of identities.
    """

    package: str
    statements: list[ast.stmt] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    binds: dict[str, list[int]] = field(default_factory=dict)
    imports: dict[str, Place] = field(default_factory=dict)
    stars: list[str] = field(default_factory=list)
    imported_modules: list[str] = field(default_factory=list)
    acts: list[int] = field(default_factory=list)
    outside: set[str] = field(default_factory=set)


@functools.cache
def _outline(module: str) -> _Outline:
    path = _source(module)
    assert path is not None, module
    outline = _Outline(module if path.name == "__init__.py" else module.rpartition(".")[0])
    body = ast.parse(path.read_bytes()).body
    for statement in body:
        for found, runs in _imports_in(statement):
            if isinstance(found, ast.ImportFrom) and found.names[0].name == "*":
                outline.stars.append(_base(found, outline.package))
                continue
            places = _imported(found, outline.package)
            outline.imports |= places
            if runs:
                homes = {home for place in places.values() if (home := _home(*place)) and _is_followed(home, module)}
                outline.imported_modules += sorted(homes)
    for statement in body:
        bound, changed = _bound_by(statement)
        if isinstance(statement, ast.Import | ast.ImportFrom) or _is_idle(statement) or bound == ["__all__"]:
            continue
        marks = getattr(statement, "decorator_list", ())
        if any(_last_name(mark) == MARK for mark in marks):
            outline.outside.update(bound)
            continue
        number = len(outline.statements)
        outline.statements.append(statement)
        outline.names.append((bound or [""])[0])
        for name in bound:
            outline.binds.setdefault(name, []).append(number)
        own = [name for name in changed if name in outline.binds]
        for name in own:
            outline.binds[name].append(number)
        if isinstance(statement, _BLOCKS) or not (bound or own):
            outline.acts.append(number)
    return outline


@functools.cache
def _source(module: str) -> Path | None:
    """Find a module's file without importing anything, not even its package."""
    places: list[str] | None = None
    parts = module.split(".")
    spec = None
    for depth in range(len(parts)):
        try:
            spec = importlib.machinery.PathFinder.find_spec(".".join(parts[: depth + 1]), places)
        except (ImportError, ValueError, AttributeError):
            return None
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or [])
    if spec is None or not spec.origin or not spec.origin.endswith(".py"):
        return None
    return Path(spec.origin)


def _is_followed(module: str, reader: str) -> bool:
    """Say whether the code of a module counts by itself where `reader` names it."""
    first, own = module.partition(".")[0], reader.partition(".")[0]
    if first in (own, "medbench") or first.startswith("medbench_"):
        return _source(module) is not None
    here, there = _source(reader), _source(first) if first not in sys.stdlib_module_names else None
    if "." in reader or here is None or there is None or "site-packages" in here.parts:
        return False
    return here.parent == (there.parent.parent if there.name == "__init__.py" else there.parent)


def _home(module: str, name: str) -> str:
    """Return the module that an import runs: ``from a import b`` runs a.b where that is a module."""
    return f"{module}.{name}" if name and _source(f"{module}.{name}") is not None else module


@dataclass(frozen=True)
class _Found:
    """What a name stands for: definitions; or a library's name; or, where both are empty, nothing that counts."""

    definitions: tuple[Definition, ...] = ()
    library: Place | None = None


def _find(module: str, name: str, reader: str = "") -> _Found:
    """Find what a name of a module stands for, through imports from one module to the next."""
    seen: set[Place] = set()
    while (module, name) not in seen:
        seen.add((module, name))
        if not _is_followed(module, reader or module):
            return _Found(library=(module, name))
        outline = _outline(module)
        if name in outline.outside:
            return _Found()
        if name in outline.binds:
            return _Found(tuple((module, number) for number in outline.binds[name]))
        if name in outline.imports:
            reader = module
            module, name = outline.imports[name]
        elif name and _source(f"{module}.{name}") is not None:
            module, name = f"{module}.{name}", ""
        elif name and (home := _star_with(name, outline, module)):
            reader, module = module, home
        else:
            break
    return _Found(tuple((module, number) for number in range(len(_outline(module).statements))))


def _star_with(name: str, outline: _Outline, module: str, depth: int = 8) -> str:
    """Return which of the modules whose names are all imported gives a name; "" where none that is followed does."""
    for star in outline.stars:
        if depth and _is_followed(star, module):
            theirs = _outline(star)
            known = name in theirs.binds or name in theirs.imports or name in theirs.outside
            if known or _star_with(name, theirs, star, depth - 1):
                return star
    return ""


# -- statements --------------------------------------------------------------------------------------------------------


def _imports_in(statement: ast.stmt, runs: bool = True) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield the imports of a statement outside its functions, and whether they run."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield statement, runs
    elif not isinstance(statement, (*_FUNCTIONS, ast.ClassDef)):
        runs = runs and not _is_for_types(statement)
        for child in ast.iter_child_nodes(statement):
            for inner in child.body if isinstance(child, ast.ExceptHandler) else [child]:
                if isinstance(inner, ast.stmt):
                    yield from _imports_in(inner, runs)


def _imported(statement: ast.Import | ast.ImportFrom, package: str) -> dict[str, Place]:
    """Return what each name that an import binds stands for."""
    if isinstance(statement, ast.ImportFrom):
        base = _base(statement, package)
        return {alias.asname or alias.name: (base, alias.name) for alias in statement.names}
    names = {}
    for alias in statement.names:
        first = alias.name.partition(".")[0]
        names[alias.asname or first] = (alias.name if alias.asname else first, "")
    return names


def _base(statement: ast.ImportFrom, package: str) -> str:
    base = statement.module or ""
    if not statement.level:
        return base
    above = package.split(".")[: len(package.split(".")) - statement.level + 1]
    return ".".join([*above, base] if base else above)


def _is_idle(statement: ast.AST) -> bool:
    """Say whether a statement does nothing when it runs: a docstring, or what only type checkers read."""
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return text or _is_for_types(statement)


def _is_for_types(statement: ast.AST) -> bool:
    return isinstance(statement, ast.If) and _last_name(statement.test) == "TYPE_CHECKING"


def _last_name(node: ast.expr) -> str:
    while isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def _bound_by(statement: ast.AST) -> tuple[list[str], list[str]]:
    """Return the names that a statement binds in its own scope, and those of which it changes a part."""
    bound: dict[str, None] = {}
    changed: dict[str, None] = {}
    waiting = [statement]
    while waiting:
        at = waiting.pop()
        if isinstance(at, (*_FUNCTIONS, ast.ClassDef)):
            if not isinstance(at, ast.Lambda):
                bound[at.name] = None
            continue
        if isinstance(at, _COMPREHENSIONS):
            continue
        if isinstance(at, ast.Name) and isinstance(at.ctx, ast.Store | ast.Del):
            bound[at.id] = None
        elif isinstance(at, ast.ExceptHandler | ast.MatchAs | ast.MatchStar) and at.name:
            bound[at.name] = None
        elif isinstance(at, ast.MatchMapping) and at.rest:
            bound[at.rest] = None
        elif isinstance(at, ast.Subscript | ast.Attribute) and isinstance(at.ctx, ast.Store | ast.Del):
            base: ast.expr = at
            while isinstance(base, ast.Subscript | ast.Attribute):
                base = base.value
            if isinstance(base, ast.Name):
                changed[base.id] = None
        waiting += reversed(list(ast.iter_child_nodes(at)))
    return list(bound), list(changed)


def _statements_of(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body that are not inside a further function or class."""
    waiting = list(body)
    while waiting:
        at = waiting.pop()
        yield at
        if not isinstance(at, (*_FUNCTIONS, ast.ClassDef)):
            waiting += ast.iter_child_nodes(at)


# -- texts -------------------------------------------------------------------------------------------------------------


@dataclass
class _Text:
    """One statement as text, with the definitions that it names in between.

    Attributes:
        parts: Text, or definitions.
        libraries: Top-level names of the libraries it names.
        modules: Followed modules that it imports when it runs.
    """

    parts: list[str | tuple[Definition, ...]] = field(default_factory=list)
    libraries: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)

    def filled(self, colour: Callable[[Definition], str]) -> str:
        """Return the text with each definition replaced by its colour."""
        return "".join(p if isinstance(p, str) else f"<{'+'.join(map(colour, p))}>" for p in self.parts)

    def named(self) -> Iterator[Definition]:
        """Yield the definitions it names."""
        for part in self.parts:
            if not isinstance(part, str):
                yield from part


def _written(node: Any) -> str:
    """Write a syntax tree as it stands, alike under every Python: some show what is empty, some do not."""
    if isinstance(node, list):
        return f"[{','.join(map(_written, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    told = [(name, value) for name, value in ast.iter_fields(node) if name not in _IGNORED and value not in (None, [])]
    return f"{type(node).__name__}({','.join(f'{name}={_written(value)}' for name, value in told)})"


@functools.cache
def _text(module: str, number: int) -> _Text:
    reader = _Reader(module, _outline(module))
    reader.node(_outline(module).statements[number], ())
    return reader.text


class _Reader:
    """Writes one statement of a module as text."""

    def __init__(self, module: str, outline: _Outline) -> None:
        self.module, self.outline = module, outline
        self.text = _Text()

    def put(self, text: str) -> None:
        """Append text."""
        self.text.parts.append(text)

    def node(self, node: ast.AST, scopes: Scopes) -> None:
        """Append a syntax tree."""
        if isinstance(node, ast.Name):
            place = self.place_of(node.id, scopes)
            self.put(f"{node.id};") if place is None else self.refer(*place)
        elif isinstance(node, ast.Attribute):
            self.attribute(node, scopes)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            self.local_import(node)
        elif isinstance(node, _FUNCTIONS):
            self.function(node, scopes)
        elif isinstance(node, ast.ClassDef):
            self.class_(node, scopes)
        elif isinstance(node, _COMPREHENSIONS):
            bound = [name for generator in node.generators for name in _bound_by(generator.target)[0]]
            self.fields(node, (*scopes, dict.fromkeys(bound)))
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            self.put("raise(")
            self.node(node.exc.func, scopes)  # the words of an error change no result
            self.put(")")
        elif isinstance(node, ast.Constant):
            self.put(f"{type(node.value).__name__}:{node.value!r};")
        elif not _is_idle(node):
            self.fields(node, scopes)

    def fields(self, node: ast.AST, scopes: Scopes) -> None:
        """Append a node of no special kind; annotations of variables do not run."""
        self.put(f"{type(node).__name__}(")
        for name, value in ast.iter_fields(node):
            if name in _IGNORED or name == "annotation" or value is None or value == []:
                continue
            self.put(f"{name}=")
            for item in value if isinstance(value, list) else [value]:
                self.node(item, scopes) if isinstance(item, ast.AST) else self.put(f"{item!r},")
        self.put(")")

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda, scopes: Scopes) -> None:
        """Append a function; its name counts where it is not a top-level definition."""
        arguments = node.args
        body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
        kinds: list[list[ast.arg]] = [arguments.posonlyargs, arguments.args, arguments.kwonlyargs]
        kinds += [[star] if star is not None else [] for star in (arguments.vararg, arguments.kwarg)]
        names = [[a.arg for a in kind] for kind in kinds]
        local: dict[str, Place | None] = {name: None for statement in body for name in _bound_by(statement)[0]}
        for statement in _statements_of(body):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                local |= _imported(statement, self.outline.package)
        local |= dict.fromkeys(name for kind in names for name in kind)
        for statement in _statements_of(body):
            if isinstance(statement, ast.Global):
                for name in statement.names:
                    local.pop(name, None)
        self.put(f"{type(node).__name__}({getattr(node, 'name', '') if scopes else ''}{names}")
        # Decorators and defaults run where the function stands.
        outside: list[ast.expr | None] = [*getattr(node, "decorator_list", ()), *arguments.defaults]
        for outer in outside + list(arguments.kw_defaults):
            self.node(outer, scopes) if outer is not None else self.put("required;")
        for statement in body:
            self.node(statement, (*scopes, local))
        self.put(")")

    def class_(self, node: ast.ClassDef, scopes: Scopes) -> None:
        """Append a class; the annotations of its fields count, as a dataclass reads them."""
        self.put(f"class({node.name if scopes else ''}")
        for outer in (*node.decorator_list, *node.bases, *node.keywords):
            self.node(outer, scopes)
        own = dict.fromkeys(name for statement in node.body for name in _bound_by(statement)[0])
        for statement in node.body:
            # Methods do not see the names of their class.
            inner = (*scopes, {} if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) else own)
            if isinstance(statement, ast.AnnAssign):
                self.put(f"{_written(statement.annotation)}:")
            self.node(statement, inner)
        self.put(")")

    def local_import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Note what an import inside a function runs; the names it binds are resolved where they are used."""
        for module, name in _imported(node, self.outline.package).values():
            home = _home(module, name)
            if _is_followed(home, self.module):
                self.text.modules.add(home)
            else:
                self.library(module, name)

    def attribute(self, node: ast.Attribute, scopes: Scopes) -> None:
        """Append ``module.name`` as what it stands for, any other attribute as it is written."""
        chain: list[str] = []
        at: ast.expr = node
        while isinstance(at, ast.Attribute):
            chain.insert(0, at.attr)
            at = at.value
        place = self.place_of(at.id, scopes) if isinstance(at, ast.Name) else None
        module = self.module_at(place) if place is not None else ""
        if not module:
            self.node(node.value, scopes)
            return self.put(f".{node.attr};")
        while len(chain) > 1 and chain[0] not in _outline(module).binds and _source(f"{module}.{chain[0]}"):
            module = f"{module}.{chain.pop(0)}"
        self.refer(module, chain[0])
        return self.put("".join(f".{step}" for step in chain[1:]) + ";")

    def module_at(self, place: Place) -> str:
        """Return the followed module that a place is, or ""."""
        module, name = place
        if not _is_followed(module, self.module) or (name and name in _outline(module).binds):
            return ""
        if not name:
            return module
        return f"{module}.{name}" if _source(f"{module}.{name}") is not None else ""

    def place_of(self, name: str, scopes: Scopes) -> Place | None:
        """Return what a name stands for; None for a local name and a builtin."""
        for scope in reversed(scopes):
            if name in scope:
                return scope[name]
        if name in self.outline.binds or name in self.outline.outside:
            return self.module, name
        if name in self.outline.imports:
            return self.outline.imports[name]
        home = _star_with(name, self.outline, self.module)
        return (home, name) if home else None

    def refer(self, module: str, name: str) -> None:
        """Append what a place stands for."""
        found = _find(module, name, self.module)
        if found.library is not None:
            self.library(*found.library)
        else:
            self.text.parts.append(found.definitions)

    def library(self, module: str, name: str) -> None:
        """Append the name of something in a library."""
        first = module.partition(".")[0]
        if first not in sys.stdlib_module_names:
            self.text.libraries.add(first)
        self.put(f"{module}:{name};")


@functools.cache
def _version(module: str) -> str:
    try:
        return importlib.metadata.version(_DISTRIBUTION.get(module, module))
    except importlib.metadata.PackageNotFoundError:
        owners = importlib.metadata.packages_distributions().get(module, [])
        return importlib.metadata.version(owners[0]) if owners else ""


def place_of(thing: Any) -> Place:
    """Return where a class, a function, or the class of an object is defined."""
    defined = thing if isinstance(thing, type) or hasattr(thing, "__qualname__") else type(thing)
    return defined.__module__, defined.__qualname__.partition(".")[0]
