"""The text of a definition: one top-level statement written so that only a change of its meaning changes the text."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from medbench.identity.module_outline import (
    COMPREHENSIONS,
    FUNCTIONS,
    Definition,
    Outline,
    Place,
    find_meaning,
    is_idle,
    names_bound_by,
    names_imported,
    nodes_in_body,
    outline_of,
    star_import_with,
)
from medbench.identity.source_files import is_followed, module_run_by, source_file

_IGNORED = frozenset({"ctx", "kind", "type_comment", "returns", "type_params"})  # no meaning, or only in newer Pythons

Scopes = tuple[Mapping[str, Place | None], ...]
"""Names of each enclosing function, innermost last, and what those that are imported there stand for."""


@dataclass
class DefinitionText:
    """One statement as text, with references to the definitions that it names.

    Attributes:
        parts: Text, or the definitions that a name stands for.
        libraries: Top-level names of the libraries it names.
        modules: Followed modules that it imports when it runs.
    """

    parts: list[str | tuple[Definition, ...]] = field(default_factory=list)
    libraries: set[str] = field(default_factory=set)
    modules: set[str] = field(default_factory=set)

    def fill(self, colour: Callable[[Definition], str]) -> str:
        """Return the text with each definition replaced by its colour."""
        return "".join(p if isinstance(p, str) else f"<{'+'.join(map(colour, p))}>" for p in self.parts)

    def definitions(self) -> Iterator[Definition]:
        """Yield the definitions that it names."""
        for part in self.parts:
            if not isinstance(part, str):
                yield from part


def _dump(node: Any) -> str:
    """Write a syntax tree without its empty fields, so that every version of Python gives the same text."""
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [
        (name, value) for name, value in ast.iter_fields(node) if name not in _IGNORED and value not in (None, [])
    ]
    return f"{type(node).__name__}({','.join(f'{name}={_dump(value)}' for name, value in fields)})"


@functools.cache
def text_of(module: str, number: int) -> DefinitionText:
    """Write the statement of a module at a position of its outline."""
    writer = _Writer(module, outline_of(module))
    writer.node(outline_of(module).statements[number], ())
    return writer.text


class _Writer:
    """Writes one statement of a module as text."""

    def __init__(self, module: str, outline: Outline) -> None:
        self.module, self.outline = module, outline
        self.text = DefinitionText()

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
        elif isinstance(node, FUNCTIONS):
            self.function(node, scopes)
        elif isinstance(node, ast.ClassDef):
            self.class_(node, scopes)
        elif isinstance(node, COMPREHENSIONS):
            bound = [name for generator in node.generators for name in names_bound_by(generator.target)[0]]
            self.fields(node, (*scopes, dict.fromkeys(bound)))
        elif isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            self.put("raise(")
            self.node(node.exc.func, scopes)  # the words of an error change no result
            self.put(")")
        elif isinstance(node, ast.Constant):
            self.put(f"{type(node.value).__name__}:{node.value!r};")
        elif not is_idle(node):
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
        local: dict[str, Place | None] = {name: None for statement in body for name in names_bound_by(statement)[0]}
        for statement in nodes_in_body(body):
            if isinstance(statement, ast.Import | ast.ImportFrom):
                local |= names_imported(statement, self.outline.package)
        local |= dict.fromkeys(name for kind in names for name in kind)
        for statement in nodes_in_body(body):
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
        own = dict.fromkeys(name for statement in node.body for name in names_bound_by(statement)[0])
        for statement in node.body:
            # Methods do not see the names of their class.
            inner = (*scopes, {} if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) else own)
            if isinstance(statement, ast.AnnAssign):
                self.put(f"{_dump(statement.annotation)}:")
            self.node(statement, inner)
        self.put(")")

    def local_import(self, node: ast.Import | ast.ImportFrom) -> None:
        """Note what an import inside a function runs; the names it binds are resolved where they are used."""
        for module, name in names_imported(node, self.outline.package).values():
            home = module_run_by(module, name)
            if is_followed(home, self.module):
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
        while len(chain) > 1 and chain[0] not in outline_of(module).binds and source_file(f"{module}.{chain[0]}"):
            module = f"{module}.{chain.pop(0)}"
        self.refer(module, chain[0])
        return self.put("".join(f".{step}" for step in chain[1:]) + ";")

    def module_at(self, place: Place) -> str:
        """Return the followed module that a place is, or ""."""
        module, name = place
        if not is_followed(module, self.module) or (name and name in outline_of(module).binds):
            return ""
        if not name:
            return module
        return f"{module}.{name}" if source_file(f"{module}.{name}") is not None else ""

    def place_of(self, name: str, scopes: Scopes) -> Place | None:
        """Return what a name stands for; None for a local name and a builtin."""
        for scope in reversed(scopes):
            if name in scope:
                return scope[name]
        if name in self.outline.binds or name in self.outline.outside:
            return self.module, name
        if name in self.outline.imports:
            return self.outline.imports[name]
        home = star_import_with(name, self.outline, self.module)
        return (home, name) if home else None

    def refer(self, module: str, name: str) -> None:
        """Append what a place stands for."""
        found = find_meaning(module, name, self.module)
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
