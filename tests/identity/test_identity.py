"""Identities: what changes a number changes the id, and nothing else does."""

from __future__ import annotations

import dataclasses
import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from medbench.identity.code_reach import forget, place_of, reach
from medbench.identity.identity import SCHEME, derive_seed, digest, identity
from medbench.interfaces import Budget
from medbench.registry.plugins import load
from medbench.registry.seed_names import PLACES
from medbench.trial.context import TrialContext
from medbench.trial.trial import Trial

CATALOGUE = load(installed=False)


def modules(kind: str, text: str) -> set[str]:
    return {module for module, _ in reach(place_of(CATALOGUE.resolve(kind, text))).definitions}


def test_a_recipe_reaches_the_modules_it_uses_and_not_its_siblings() -> None:
    hybrid = modules("augmenter", "hybrid")

    assert {"medbench_plugins.augmenters.generative", "medbench_plugins.generators.acgan"} <= hybrid
    assert {"medbench_plugins.generators.image_gans.loop", "medbench_plugins.generators.image_gans.networks"} <= hybrid
    assert not any("classifiers" in name or name.endswith("__init__") for name in hybrid)
    assert "medbench_plugins.generators.image_gans.loop" not in modules("augmenter", "balanced")
    assert "medbench_plugins.generators.image_gans.loop" not in modules("classifier", "small-cnn")


def test_a_recipe_is_named_by_its_kind_and_name_and_what_differs_from_its_defaults() -> None:
    geometric = identity(CATALOGUE.resolve("augmenter", "geometric[shear=2]"))
    hybrid = identity(CATALOGUE.resolve("augmenter", "hybrid[generator=acgan[steps=7]]"))

    assert geometric["recipe"] == {"recipe": "augmenter:geometric", "shear": 2.0}
    assert hybrid["recipe"]["generator"] == {"recipe": "generator:acgan", "steps": 7}
    assert set(hybrid["code"]) >= {"augmenter:hybrid", "generator:acgan"}
    assert hybrid["scheme"] == SCHEME == 2


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
        "import sys; from medbench.registry.plugins import load; from medbench.identity.identity import identity;"
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
    before = identity(recipe)
    (tmp_path / "identity_helper.py").write_text("VALUE = 2\n")
    forget()
    after = identity(recipe)

    assert list(before["libraries"]) == ["numpy"]
    assert before["code"] != after["code"]
    assert before["recipe"] == after["recipe"]


def test_seeds_depend_on_every_part_and_are_the_same_for_ever() -> None:
    assert derive_seed("a", 1) != derive_seed("a", 2) != derive_seed("b", 1)
    assert derive_seed("a", "1") != derive_seed("a", 1)
    assert derive_seed("a", 1) == 7177740993442197062
    assert all(0 <= derive_seed(i) < 2**63 for i in range(100))


def seed_of(recipe: Any, folder: Path) -> int:
    trial = Trial("d", "p", 0, 1, 3, 4, 5, "augmenter", "classifier", Budget())
    context = TrialContext(trial, device="cpu", folder=folder)
    return context.of(recipe).seed("x", 1)


def test_seeds_are_those_of_the_first_version_for_every_recipe_it_had(tmp_path: Path) -> None:
    kinds = ("dataset", "augmenter", "generator", "classifier", "extractor")
    registered = {f"{kind}:{recipe.name}" for kind in kinds for recipe in CATALOGUE.items(kind)}
    named = {name: CATALOGUE.resolve(*name.split(":", 1)) for name in sorted(PLACES) if name in registered}
    then = "timm-features[model=resnet50,weights=none]"  # its defaults of the first version, which needed a file
    named["extractor:timm-features"] = CATALOGUE.resolve("extractor", then)
    seeds = {name: seed_of(recipe, tmp_path) for name, recipe in named.items()}

    assert digest(seeds) == "ab9c4cb71042d398f5b30c34f57c927dea279889f357e90a123a42a0c237c56c"


@pytest.mark.parametrize(
    ("kind", "text", "seed"),
    [
        ("augmenter", "hybrid[generator=reacgan[width=8,steps=7]]", 424142073113051174),
        ("augmenter", "geometric[rotation=3]", 1547858864912440741),
        ("augmenter", "acgan-selected[generator=selected[threshold=0.3]]", 7443289837475901317),
        ("augmenter", "feature-acgan[generator=feature-acgan[start=noise]]", 915182101754870406),
        ("classifier", "timm[model=resnet18]", 8976962684990559514),
        ("classifier", "vgg16[lr=0.1]", 7646035123191773035),
        ("classifier", "pretrained-on[source=mura:part]", 5216025312094320403),
        ("classifier", "unet-features[source=brain-tumour:slices]", 8990490557380382001),
    ],
)
def test_seeds_of_configured_recipes_are_those_of_the_first_version(
    tmp_path: Path, kind: str, text: str, seed: int
) -> None:
    assert seed_of(CATALOGUE.resolve(kind, text), tmp_path) == seed


def test_a_new_field_at_its_default_changes_no_seed(tmp_path: Path) -> None:
    first = CATALOGUE.resolve("augmenter", "geometric")
    fields = [(f.name, f.type, f.default) for f in dataclasses.fields(first)]
    fields += [("twist", "float", 0.0)]
    wider = dataclasses.make_dataclass("Elsewhere", fields, bases=(type(first),), frozen=True)

    assert seed_of(wider(), tmp_path) == seed_of(first, tmp_path) != seed_of(wider(twist=1.0), tmp_path)
