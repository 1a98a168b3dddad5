"""The house keeps its rules: sizes of functions and files, and that nothing names a place that is gone."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE = [path for room in ("benchmark", "plugins", "datasets") for path in sorted((ROOT / room).rglob("*.py"))]
LINES, PARAMETERS = 60, 7
PACKAGES = {"medbench": "benchmark", "medbench_plugins": "plugins", "medbench_datasets": "datasets"}


def functions(path: Path) -> list[tuple[ast.FunctionDef, str]]:
    """Return every function of a file, and the line above it or above its decorators."""
    text = path.read_text(encoding="utf-8")
    lines = ["", *text.splitlines()]
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
            found.append((node, lines[first - 1] if lines[first - 1].strip() else ""))
    return found


def n_parameters(node: ast.FunctionDef) -> int:
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)]
    return len(names) - (bool(names) and names[0] in ("self", "cls"))


@pytest.mark.parametrize("path", SOURCE, ids=lambda path: str(path.relative_to(ROOT)))
def test_long_functions_and_long_lists_of_parameters_say_why(path: Path) -> None:
    bare = [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines, {n_parameters(node)} parameters"
        for node, above in functions(path)
        if (node.end_lineno or 0) - node.lineno + 1 > LINES or n_parameters(node) > PARAMETERS
        if not above.lstrip().startswith("#")
    ]

    assert not bare, "part it, hand on a record, or say in a comment above it why not"


def places() -> set[str]:
    """Return every module and folder of the three packages, dotted."""
    found = set()
    for package, folder in PACKAGES.items():
        for path in (ROOT / folder / package).rglob("*.py"):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            found |= {".".join(parts[:n]) for n in range(1, len(parts) + 1)}
    return found


def test_nothing_names_a_place_that_is_gone() -> None:
    there = places()
    dotted = re.compile(r"(?<![\w./\"-])(medbench(?:_plugins|_datasets)?(?:\.[a-z_]\w*)+)")
    gone = []
    texts = [*SOURCE, *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "docs").rglob("*.py")),
             *ROOT.glob("*.md"), ROOT / "pyproject.toml", ROOT / "tox.ini"]  # fmt: skip
    for path in texts:
        if path.name in ("seed_names.py", "CHANGELOG.md"):  # they speak of the past
            continue
        for name in dotted.findall(path.read_text(encoding="utf-8")):
            package, _, rest = name.partition(".")
            first = f"{package}.{rest.split('.')[0]}"
            if name not in there and first not in there and not _is_public(name):
                gone.append(f"{path.relative_to(ROOT)}: {name}")

    assert not gone


def _is_public(name: str) -> bool:
    import medbench

    return name.split(".")[1] in {*medbench.__all__, "scores"}  # the last is the name of a plugin
