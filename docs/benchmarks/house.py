"""Measure the layout of a checkout: rooms, floors, circles, sizes.

    python docs/benchmarks/house.py [CHECKOUT]

A room is a folder of modules, or a module that stands beside such folders; what a package's ``__init__`` imports does
not count. Floors are those of rooms, import layers those of modules: one more than the longest chain of imports, where
modules of a circle count as one.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping
from pathlib import Path

PACKAGES = {"medbench": "benchmark", "medbench_plugins": "plugins", "medbench_datasets": "datasets"}
Graph = Mapping[Hashable, set[Hashable]]


def modules(root: Path) -> dict[str, Path]:
    """Return the files of the three packages by dotted name, without those of packages themselves."""
    found = {}
    for package, folder in PACKAGES.items():
        for path in sorted((root / folder / package).rglob("*.py")):
            if path.name != "__init__.py":
                found[".".join(path.relative_to(root / folder).with_suffix("").parts)] = path
    return found


def imports(tree: ast.AST, known: Mapping[str, Path]) -> Iterator[str]:
    """Yield the modules that a module imports, wherever in it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                yield from [full] if full in known else [node.module] if node.module in known else []


def components(graph: Graph) -> list[set[Hashable]]:
    """Return the strongly connected components, each after all that it imports (Tarjan 1972)."""
    number: dict[Hashable, int] = {}
    low: dict[Hashable, int] = {}
    stack: list[Hashable] = []
    found: list[set[Hashable]] = []

    def visit(node: Hashable) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(graph[node], key=str):
            if other not in number:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == number[node]:
            at = stack.index(node)
            found.append(set(stack[at:]))
            del stack[at:]

    for node in sorted(graph, key=str):
        if node not in number:
            visit(node)
    return found


def height(graph: Graph) -> tuple[int, int]:
    """Return the number of layers of a graph, and how many circles it has."""
    parts = components(graph)
    part_of = {node: number for number, part in enumerate(parts) for node in part}
    level: list[int] = []
    for number, part in enumerate(parts):
        below = {part_of[other] for node in part for other in graph[node]} - {number}
        level.append(1 + max((level[n] for n in below), default=0))
    return max(level), sum(len(part) > 1 for part in parts)


def main() -> None:
    """Print the measures."""
    sys.setrecursionlimit(10_000)
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    files = modules(root)
    trees = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in files.items()}
    graph: dict[Hashable, set[Hashable]] = {n: set(imports(tree, files)) - {n} for n, tree in trees.items()}

    def room(name: Hashable) -> str:
        package, *inside = str(name).split(".")
        return f"{package}.{inside[0]}"

    rooms: defaultdict[Hashable, set[Hashable]] = defaultdict(set)
    for name, others in graph.items():
        rooms[room(name)] |= {room(other) for other in others} - {room(name)}
    widest = Counter(str(path.parent.relative_to(root)) for path in files.values()).most_common(1)[0]
    functions = [n for tree in trees.values() for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
    sizes = [(n.end_lineno or 0) - n.lineno + 1 for n in functions]
    own = ("self", "cls")
    parameters = [sum(a.arg not in own for a in (*n.args.args, *n.args.kwonlyargs)) for n in functions]
    layers, circles = height(graph)
    floors, circles_of_rooms = height(rooms)
    lines = {f: sum(len(p.read_text(encoding="utf-8").splitlines()) for p in (root / f).rglob("*.py"))
             for f in (*PACKAGES.values(), "tests")}  # fmt: skip
    print(f"modules            {len(files)}")
    print(f"rooms              {len(rooms)}, {sum(map(len, rooms.values()))} arrows between them")
    print(f"floors             {floors}, {circles_of_rooms} circles of rooms")
    print(f"import layers      {layers}, {circles} circles of modules")
    print(f"widest folder      {widest[0]}: {widest[1]} modules")
    print(f"longest function   {max(sizes)} lines, {sum(size > 60 for size in sizes)} over 60")
    print(f"most parameters    {max(parameters)}, {sum(n > 7 for n in parameters)} over 7")
    print(f"lines              {sum(lines.values()) - lines['tests']:,} of source, {lines['tests']:,} of tests")


if __name__ == "__main__":
    main()
