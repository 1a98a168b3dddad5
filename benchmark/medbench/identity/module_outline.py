"""The outline of a module: its top-level statements, what each binds, and what the names in it stand for."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from medbench.identity.source_files import is_followed, module_run_by, source_file

MARK = "outside_identity"
"""Name of the decorator of functions and classes that cannot change a result; nothing behind it is reached."""

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
_BLOCKS = (ast.If, ast.Try, ast.With, ast.For, ast.While)

Definition = tuple[str, int]
"""A module and the position of a statement in it."""
Place = tuple[str, str]
"""A module and a name in it; an empty name is the module itself."""


@dataclass
class Outline:
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
def outline_of(module: str) -> Outline:
    """Read a module's file; nothing of it is run."""
    path = source_file(module)
    assert path is not None, module
    outline = Outline(module if path.name == "__init__.py" else module.rpartition(".")[0])
    body = ast.parse(path.read_bytes()).body
    for statement in body:
        for found, runs in _imports_in(statement):
            if isinstance(found, ast.ImportFrom) and found.names[0].name == "*":
                outline.stars.append(_base(found, outline.package))
                continue
            places = names_imported(found, outline.package)
            outline.imports |= places
            if runs:
                ran = {module_run_by(*place) for place in places.values()}
                outline.imported_modules += sorted(name for name in ran if name and is_followed(name, module))
    for statement in body:
        bound, changed = names_bound_by(statement)
        if isinstance(statement, ast.Import | ast.ImportFrom) or is_idle(statement) or bound == ["__all__"]:
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


@dataclass(frozen=True)
class Meaning:
    """What a name stands for: definitions; or a library's name; or, where both are empty, nothing that counts."""

    definitions: tuple[Definition, ...] = ()
    library: Place | None = None


def find_meaning(module: str, name: str, reader: str = "") -> Meaning:
    """Find what a name of a module stands for, through imports from one module to the next."""
    seen: set[Place] = set()
    while (module, name) not in seen:
        seen.add((module, name))
        if not is_followed(module, reader or module):
            return Meaning(library=(module, name))
        outline = outline_of(module)
        if name in outline.outside:
            return Meaning()
        if name in outline.binds:
            return Meaning(tuple((module, number) for number in outline.binds[name]))
        if name in outline.imports:
            reader = module
            module, name = outline.imports[name]
        elif name and source_file(f"{module}.{name}") is not None:
            module, name = f"{module}.{name}", ""
        elif name and (home := star_import_with(name, outline, module)):
            reader, module = module, home
        else:
            break
    return Meaning(tuple((module, number) for number in range(len(outline_of(module).statements))))


def star_import_with(name: str, outline: Outline, module: str, depth: int = 8) -> str:
    """Return which of the modules whose names are all imported gives a name; "" where none that is followed does."""
    for star in outline.stars:
        if depth and is_followed(star, module):
            theirs = outline_of(star)
            known = name in theirs.binds or name in theirs.imports or name in theirs.outside
            if known or star_import_with(name, theirs, star, depth - 1):
                return star
    return ""


def _imports_in(statement: ast.stmt, runs: bool = True) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    """Yield the imports of a statement outside its functions, and whether they run."""
    if isinstance(statement, ast.Import | ast.ImportFrom):
        yield statement, runs
    elif not isinstance(statement, (*FUNCTIONS, ast.ClassDef)):
        runs = runs and not _is_for_types(statement)
        for child in ast.iter_child_nodes(statement):
            for inner in child.body if isinstance(child, ast.ExceptHandler) else [child]:
                if isinstance(inner, ast.stmt):
                    yield from _imports_in(inner, runs)


def names_imported(statement: ast.Import | ast.ImportFrom, package: str) -> dict[str, Place]:
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


def is_idle(statement: ast.AST) -> bool:
    """Say whether a statement does nothing when it runs: a docstring, or what only type checkers read."""
    text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return text or _is_for_types(statement)


def _is_for_types(statement: ast.AST) -> bool:
    return isinstance(statement, ast.If) and _last_name(statement.test) == "TYPE_CHECKING"


def _last_name(node: ast.expr) -> str:
    while isinstance(node, ast.Call):
        node = node.func
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def names_bound_by(statement: ast.AST) -> tuple[list[str], list[str]]:
    """Return the names that a statement binds in its own scope, and those of which it changes a part."""
    bound: dict[str, None] = {}
    changed: dict[str, None] = {}
    waiting = [statement]
    while waiting:
        at = waiting.pop()
        if isinstance(at, (*FUNCTIONS, ast.ClassDef)):
            if not isinstance(at, ast.Lambda):
                bound[at.name] = None
            continue
        if isinstance(at, COMPREHENSIONS):
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


def nodes_in_body(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """Yield the nodes of a function's body that are not inside a further function or class."""
    waiting = list(body)
    while waiting:
        at = waiting.pop()
        yield at
        if not isinstance(at, (*FUNCTIONS, ast.ClassDef)):
            waiting += ast.iter_child_nodes(at)
