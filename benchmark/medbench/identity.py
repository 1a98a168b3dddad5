"""What a number was made by: recipes, the bytes of the code they reach, and library versions, as a SHA-256.

Paths, times and the order of options never count.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.machinery
import importlib.metadata
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from medbench.recipes import describe, with_inner

SCHEME = 1
"""Version of this module's way to build identities; raise it when ids must change."""

SHAPES_A_RESULT = ("samples", "groups", "cuts", "draws", "protocols", "audit", "context", "transfer", "trial")
_DISTRIBUTION = {"PIL": "pillow", "sklearn": "scikit-learn", "yaml": "pyyaml", "cv2": "opencv-python"}


def digest(value: Any) -> str:
    """Return the SHA-256 of a JSON value in its canonical form, as hex digits."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()


def derive_seed(*parts: Any) -> int:
    """Return a seed in [0, 2**63) that depends on all parts and on nothing else."""
    return int(digest(["medbench/1", *parts])[:16], 16) >> 1


@functools.cache
def core_code() -> dict[str, str]:
    """SHA-256 of each core module that shapes a result."""
    folder = Path(__file__).parent
    return {name: hashlib.sha256((folder / f"{name}.py").read_bytes()).hexdigest() for name in SHAPES_A_RESULT}


def identity(recipe: Any) -> dict[str, Any]:
    """Describe a recipe, the modules it reaches by static import in its own distribution or folder, and libraries.

    Returns:
        JSON value with ``recipe``, ``code`` (module to SHA-256) and ``libraries`` (distribution to version).
    """
    code: dict[str, str] = {}
    libraries: dict[str, str] = {}
    for part in with_inner(recipe):
        module_code, module_libraries = _reached(type(part).__module__)
        code |= module_code
        libraries |= module_libraries
    return {"recipe": describe(recipe), "code": code, "libraries": libraries}


@functools.cache
def _reached(start: str) -> tuple[dict[str, str], dict[str, str]]:
    top = start.partition(".")[0]
    code: dict[str, str] = {}
    libraries: set[str] = set()
    waiting = [start]
    while waiting:
        name = waiting.pop()
        path = _source(name)
        if name in code or path is None:
            continue
        source = path.read_bytes()
        code[name] = hashlib.sha256(source).hexdigest()
        package = name if path.name == "__init__.py" else name.rpartition(".")[0]
        for imported, names in _imports(ast.parse(source), package):
            other = imported.partition(".")[0]
            if other == top or (not package and _is_neighbour(other, path.parent)):
                # `from a import b`: b may be a module; a itself counts only where it is not, since a package's
                # __init__ would pull in every sibling.
                modules = [m for m in (f"{imported}.{name}" for name in names) if _source(m) is not None]
                waiting += modules or [imported]
            elif other not in sys.stdlib_module_names and other != "medbench":
                libraries.add(other)
    versions = {library: _version(library) for library in sorted(libraries)}
    return dict(sorted(code.items())), {name: v for name, v in versions.items() if v}


def _imports(tree: ast.AST, package: str) -> Iterator[tuple[str, list[str]]]:
    """Yield every module that a syntax tree imports from, with the names it takes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, []) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            yield base, [alias.name for alias in node.names]


@functools.cache
def _source(name: str) -> Path | None:
    """Find a module's file without importing anything, not even its package."""
    places: list[str] | None = None
    parts = name.split(".")
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


def _is_neighbour(name: str, folder: Path) -> bool:
    return (folder / f"{name}.py").is_file() or (folder / name / "__init__.py").is_file()


@functools.cache
def _version(module: str) -> str:
    try:
        return importlib.metadata.version(_DISTRIBUTION.get(module, module))
    except importlib.metadata.PackageNotFoundError:
        owners = importlib.metadata.packages_distributions().get(module, [])
        return importlib.metadata.version(owners[0]) if owners else ""
