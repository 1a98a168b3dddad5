"""Identities: what changes a number changes the id, and nothing else does."""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from medbench.identity import core_code, derive_seed, digest, identity
from medbench.plugins import load

CATALOGUE = load(installed=False)


def modules(kind: str, text: str) -> set[str]:
    return set(identity(CATALOGUE.resolve(kind, text))["code"])


def test_a_recipe_reaches_the_modules_it_imports_and_not_its_siblings() -> None:
    hybrid = modules("augmenter", "hybrid")

    assert {"medbench_plugins.augmenters.generative", "medbench_plugins.generators.acgan"} <= hybrid
    assert {"medbench_plugins.gan_training", "medbench_plugins.gan_networks", "medbench_plugins.affine"} <= hybrid
    assert not any("classifiers" in name or name.endswith("__init__") for name in hybrid)
    assert "medbench_plugins.gan_training" not in modules("augmenter", "balanced")
    assert "medbench_plugins.gan_training" not in modules("classifier", "small-cnn")


def test_libraries_that_are_named_count_with_their_versions() -> None:
    libraries = identity(CATALOGUE.resolve("classifier", "vgg16"))["libraries"]

    assert {"timm", "torch"} <= set(libraries)
    assert "monai" not in libraries


def test_parameters_count_and_their_order_does_not() -> None:
    one = identity(CATALOGUE.resolve("augmenter", "geometric[rotation=5,shear=2]"))
    other = identity(CATALOGUE.resolve("augmenter", "geometric[shear=2,rotation=5]"))

    assert digest(one) == digest(other)
    assert digest(one) != digest(identity(CATALOGUE.resolve("augmenter", "geometric")))


def test_identities_import_nothing_heavy() -> None:
    code = (
        "import sys; from medbench.plugins import load; from medbench.identity import identity;"
        "c = load(installed=False);"
        "[identity(r) for k in ('dataset', 'augmenter', 'generator', 'classifier') for r in c.items(k)];"
        "print([m for m in ('torch', 'timm', 'monai', 'sklearn') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert result.stdout.strip() == "[]"


def test_a_changed_neighbour_of_a_plugin_file_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "identity_helper.py").write_text("VALUE = 1\n")
    (tmp_path / "identity_plugin.py").write_text(
        "from dataclasses import dataclass\n\n@dataclass(frozen=True)\nclass R:\n    name: str = 'r'\n\n"
        "    def fit(self):\n        import identity_helper\n        import numpy\n\n"
        "        return identity_helper, numpy\n"
    )
    importlib.invalidate_caches()
    recipe = importlib.import_module("identity_plugin").R()
    from medbench import identity as module

    before = identity(recipe)
    (tmp_path / "identity_helper.py").write_text("VALUE = 2\n")
    module._reached.cache_clear()
    after = identity(recipe)

    assert set(before["code"]) == {"identity_plugin", "identity_helper"}
    assert list(before["libraries"]) == ["numpy"]
    assert before["code"]["identity_helper"] != after["code"]["identity_helper"]
    assert before["code"]["identity_plugin"] == after["code"]["identity_plugin"]


def test_seeds_depend_on_every_part_and_are_the_same_for_ever() -> None:
    assert derive_seed("a", 1) != derive_seed("a", 2) != derive_seed("b", 1)
    assert derive_seed("a", "1") != derive_seed("a", 1)
    assert derive_seed("a", 1) == 7177740993442197062
    assert all(0 <= derive_seed(i) < 2**63 for i in range(100))


def test_the_core_modules_that_shape_a_result_count() -> None:
    assert {"protocols", "cuts", "draws", "groups", "trial", "samples", "audit"} <= set(core_code())
