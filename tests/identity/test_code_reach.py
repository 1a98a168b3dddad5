"""Reached code: what changes meaning changes the hash, and nothing else does."""

from __future__ import annotations

import ast
import functools
import random
import shutil
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import medbench
import medbench_plugins
from medbench.identity import code_reach, definition_text, module_outline, source_files
from medbench.identity.code_reach import forget, reach
from medbench.identity.identity import CORE

MADE = {
    "start": '''
        """A module."""
        import numpy as np
        from house.rooms import paint as colour, unused
        from house import cellar
        import medbench

        SHADE = 3
        TABLE = {"a": 1}
        TABLE["b"] = 2

        class Recipe:
            """A recipe."""
            width: int = 4

            def fit(self, unused):
                """Fit."""
                from house.attic import dust
                return colour(SHADE) + cellar.dig(unused) + TABLE["a"] + dust()

        def other():
            return 7
    ''',
    "rooms": """
        from house.attic import *
        from house.passage import corridor

        def paint(x):
            if x < 0:
                raise ValueError(f"{x} is too little")
            return walls(x) + 1

        def walls(x): return [corridor(y) for y in range(x)] if x else paint(x)

        def unused(): return 2
    """,
    "cellar": "def dig(x): return x * 2\ndef fill(x): return x / 2\n",
    "attic": "def dust(): return 1\ndef beams(): return 2\n",
    "passage": "from house.hall import corridor\n",
    "hall": "import scipy\ndef corridor(y): return y\ndef lobby(): return scipy\n",
}


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Return ``edit(module, old, new) -> hash`` of a small package; edits stay."""
    folder = tmp_path / "house"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    for name, text in MADE.items():
        (folder / f"{name}.py").write_text(textwrap.dedent(text))
    monkeypatch.syspath_prepend(str(tmp_path))

    def edit(module: str = "start", old: str = "", new: str = "") -> str:
        path = folder / f"{module}.py"
        text = path.read_text()
        assert old in text, (module, old)
        path.write_text(text.replace(old, new))
        forget()
        return reach(("house.start", "Recipe")).digest

    yield edit  # type: ignore[misc]
    forget()


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("start", "SHADE = 3", "SHADE = 4"),
        ("start", 'TABLE["b"] = 2', 'TABLE["b"] = 3'),
        ("start", "width: int = 4", "width: int = 5"),
        ("start", "width: int = 4", "width: float = 4"),
        ("start", "def fit(self, unused)", "def fit(self, unused=1)"),
        ("start", "cellar.dig", "cellar.fill"),
        ("start", "import dust", "import beams as dust"),
        ("rooms", "x < 0", "x <= 0"),
        ("rooms", "ValueError", "KeyError"),
        ("rooms", "range(x)", "range(1, x)"),
        ("rooms", "else paint(x)", "else walls(x)"),
        ("cellar", "x * 2", "x * 3"),
        ("attic", "return 1", "return 1.0"),
        ("hall", "return y", "return -y"),
        ("hall", "import scipy", "import scipy\nprint('here')"),
    ],
)
def test_an_edit_of_reached_code_changes_the_hash(house: Callable[..., str], module: str, old: str, new: str) -> None:
    assert house(module, old, new) != house(module, new, old)


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("start", '"""Fit."""', '"""Fit it."""'),
        ("start", "SHADE = 3", "SHADE = 3  # dark"),
        ("start", "return 7", "return 8"),
        ("start", "import numpy as np", "import numpy"),
        ("start", "from house.rooms import paint as colour, unused", "from house.rooms import unused, paint as colour"),
        ("rooms", "return 2", "return 3"),
        ("rooms", "is too little", "is less than 0"),
        ("rooms", "def paint(x):", "def paint(x: int) -> int:"),
        ("cellar", "x / 2", "x / 4"),
        ("attic", "return 2", "return 3"),
        ("hall", "return scipy", "return scipy.stats"),
    ],
)
def test_an_edit_of_anything_else_leaves_the_hash(house: Callable[..., str], module: str, old: str, new: str) -> None:
    assert house() == house(module, old, new)


def test_a_renamed_function_and_a_moved_one_are_the_same(house: Callable[..., str]) -> None:
    before = house()

    house("rooms", "walls", "all_walls")
    house("rooms", "def paint(x)", "def whitewash(x)")
    house("rooms", "else paint(x)", "else whitewash(x)")
    assert house("start", "paint as colour", "whitewash as colour") == before
    house("attic", "def dust(): return 1\n", "")
    house("cellar", "def dig", "def dust(): return 1\ndef dig")
    assert house("start", "house.attic", "house.cellar") == before


def test_two_helpers_that_change_places_are_not_the_same(house: Callable[..., str]) -> None:
    assert house() != house("start", "colour(SHADE) + cellar.dig(unused)", "cellar.dig(SHADE) + colour(unused)")


def test_libraries_that_reached_code_names_count(house: Callable[..., str]) -> None:
    house()
    assert reach(("house.start", "Recipe")).libraries == {}

    house("start", "return colour", "return np.float32(0) + colour")
    assert list(reach(("house.start", "Recipe")).libraries) == ["numpy"]
    house("hall", "return y", "return scipy.ndimage.zoom(y)")
    assert list(reach(("house.start", "Recipe")).libraries) == ["numpy", "scipy"]


def test_a_name_is_found_in_whichever_module_all_names_are_imported_from(house: Callable[..., str]) -> None:
    house("attic", "def dust", "def lamp(): return 5\ndef dust")
    house("rooms", "from house.attic import *", "from house.cellar import *\nfrom house.passage import *")
    house("passage", "from house.hall import corridor", "from house.hall import corridor\nfrom house.attic import *")
    house("start", "from house.rooms import paint", "from house.rooms import lamp, paint")
    named_elsewhere = house("start", "+ dust()", "+ dust() + lamp()")
    assert house("attic", "return 5", "return 6") != named_elsewhere

    house("start", "+ dust() + lamp()", "+ dust()")
    named_here = house("rooms", "return walls(x) + 1", "return walls(x) + lamp()")
    assert house("attic", "return 6", "return 7") != named_here


def test_a_marked_function_is_not_reached(house: Callable[..., str]) -> None:
    house("cellar", "def dig", "import medbench\n\n@medbench.outside_identity\ndef dig")

    assert house() == house("cellar", "x * 2", "x * 5")
    assert ("house.cellar", "dig") not in reach(("house.start", "Recipe")).definitions


# -- the real house ----------------------------------------------------------------------------------------------------


class Kept:
    """A cache that forgets one module."""

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function, self.known = function, dict[tuple[Any, ...], Any]()

    def __call__(self, *arguments: Any) -> Any:
        if arguments not in self.known:
            self.known[arguments] = self.function(*arguments)
        return self.known[arguments]

    def forget(self, module: str) -> None:
        self.known = {key: value for key, value in self.known.items() if key[0] != module}


def read_again(module: str) -> None:
    for cached in (module_outline.outline_of, definition_text.text_of):
        cached.forget(module)  # type: ignore[attr-defined]


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy the core and the plugins, and read them there."""
    homes = {}
    for package in (medbench, medbench_plugins):
        assert package.__file__ is not None
        homes[package.__name__] = tmp_path / package.__name__
        shutil.copytree(
            Path(package.__file__).parent, tmp_path / package.__name__, ignore=shutil.ignore_patterns("__pycache__")
        )
    original = source_files.source_file.__wrapped__

    @functools.cache
    def source(module: str) -> Path | None:
        first, _, rest = module.partition(".")
        if first not in homes:
            return original(module)  # type: ignore[no-any-return]
        place = homes[first].joinpath(*rest.split(".")) if rest else homes[first]
        found = [path for path in (place / "__init__.py", place.with_suffix(".py")) if path.is_file()]
        return found[0] if found else None

    replaced = {
        "source_file": source,
        "outline_of": Kept(module_outline.outline_of.__wrapped__),  # by module, so that one file can be read again
        "text_of": Kept(definition_text.text_of.__wrapped__),
    }
    for reader in (source_files, module_outline, definition_text, code_reach):
        for name in replaced.keys() & vars(reader).keys():
            monkeypatch.setattr(reader, name, replaced[name])
    yield tmp_path  # type: ignore[misc]
    monkeypatch.undo()


ROOTS = (CORE, (("medbench_plugins.classifiers.small", "SmallCNN"),))


def hashes() -> tuple[str, ...]:
    return tuple(reach.__wrapped__(*roots).digest for roots in ROOTS)


def reached_by_both() -> set[tuple[str, str]]:
    return {place for roots in ROOTS for place in reach.__wrapped__(*roots).definitions}


def file_of(copied: Path, module: str) -> Path:
    place = copied.joinpath(*module.split("."))
    return place / "__init__.py" if place.is_dir() else place.with_suffix(".py")


def edited(statement: ast.stmt) -> ast.stmt:
    if isinstance(statement, ast.FunctionDef | ast.ClassDef):
        statement.body.append(ast.parse("medbench_was_here = 1").body[0])
    elif isinstance(statement, ast.Assign | ast.AnnAssign) and statement.value is not None:
        statement.value = ast.Tuple([statement.value, ast.Constant(1)], ast.Load())
    return ast.fix_missing_locations(statement)


@pytest.mark.parametrize("reached", [True, False])
def test_twenty_edits_of_functions_change_twenty_ids_where_they_are_reached_and_none_elsewhere(
    copied: Path, reached: bool
) -> None:
    before = hashes()
    places = reached_by_both()
    modules = sorted({module for module, _ in places})
    rng = random.Random(0)
    found = []
    for module in modules:
        path = file_of(copied, module)
        for number, statement in enumerate(ast.parse(path.read_text()).body):
            name = getattr(statement, "name", "")
            if isinstance(statement, ast.FunctionDef | ast.ClassDef) and ((module, name) in places) == reached:
                found.append((module, number, name))
    seen = []

    for module, number, name in rng.sample(found, 20):
        path = file_of(copied, module)
        original = path.read_text()
        tree = ast.parse(original)
        tree.body[number] = edited(tree.body[number])
        path.write_text(ast.unparse(tree))
        read_again(module)
        seen.append((name, hashes()))
        path.write_text(original)
        read_again(module)

    if reached:
        assert [name for name, after in seen if after == before] == []
        assert len({after for _, after in seen}) == 20
    else:
        assert [name for name, after in seen if after != before] == []


def test_comments_docstrings_and_layout_of_every_file_leave_every_id(copied: Path) -> None:
    before = hashes()

    for module in sorted({module for module, _ in reached_by_both()}):
        path = file_of(copied, module)
        tree = ast.parse(path.read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node) is not None:
                node.body[0] = ast.Expr(ast.Constant("Other words."))
        path.write_text("# A new first line.\n" + ast.unparse(ast.fix_missing_locations(tree)))
        read_again(module)

    assert hashes() == before


def test_a_module_in_another_folder_leaves_every_id(copied: Path) -> None:
    before = hashes()

    (copied / "medbench_plugins" / "moved").mkdir()
    (copied / "medbench_plugins" / "moved" / "__init__.py").write_text("")
    (copied / "medbench_plugins" / "classifiers" / "fit_and_cut.py").rename(
        copied / "medbench_plugins" / "moved" / "loop.py"
    )
    (copied / "medbench" / "protocols" / "folds.py").rename(copied / "medbench" / "folds.py")
    for path in copied.rglob("*.py"):
        text = path.read_text().replace("medbench_plugins.classifiers.fit_and_cut", "medbench_plugins.moved.loop")
        text = text.replace("classifiers import fit_and_cut", "moved import loop as fit_and_cut")
        path.write_text(text.replace("medbench.protocols.folds", "medbench.folds"))
    module_outline.outline_of.known.clear()  # type: ignore[attr-defined]
    definition_text.text_of.known.clear()  # type: ignore[attr-defined]
    source_files.source_file.cache_clear()

    assert hashes() == before


def test_the_core_reaches_what_hand_lists_missed() -> None:
    reached = reach(*CORE).definitions

    assert {
        ("medbench.interfaces", "TrainingSet"),
        ("medbench.trial.stages", "load_state"),
        ("medbench.running.job", "do_task"),
        ("medbench.registry.describe_recipe", "describe_for_seeds"),
        ("medbench.trial.prior_correction", "correct_prior"),
        ("medbench.data.cache", "open_samples"),
    } <= set(reached)
    assert not {module for module, _ in reached} & {
        "medbench.registry.plugins",
        "medbench.trial.generator_scores",
        "medbench.trial.metrics",
        "medbench.identity.code_reach",
        "medbench.identity.definition_text",
    }
