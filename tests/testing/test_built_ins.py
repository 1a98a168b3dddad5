"""Every built-in plugin passes the check of its kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import medbench
from medbench.registry.plugins import load
from medbench.testing import CHECKS, WHOLE

CATALOGUE = load(installed=False)
HEAVY = {
    "augmenter": (),
    "generator": (),
    "classifier": ("vgg16", "inception-v3", "timm", "densenet121-3d", "resnet10-3d", "resnet18-3d", "monai"),
    "dataset": (
        *("vindr-spinexr:case-2", "vindr-spinexr:case-3", "vindr-spinexr:lesions", "brain-tumour:slices"),
        "mura:part",
    ),
    "metric": (),
    "score": (),
    "extractor": (),
    "executor": ("local",),
    "study": (),
}
DIFFUSION = "diffusion[width=4,timesteps=20,sampling_steps=4]"
SELECTED = "selected[classifier=small-cnn[width=4],generator=acgan[width=4]]"
WGAN = "wgan-clip[width=4]"
REFINED = "refined-acgan[width=4,hidden=32,rank=4,steps=5]"
LIGHT = {  # the same recipes with smaller networks, where the full ones take minutes on a CPU
    ("generator", "diffusion"): DIFFUSION,
    ("augmenter", "diffusion"): f"diffusion[generator={DIFFUSION}]",
    ("generator", "map-acgan"): "map-acgan[width=4]",
    ("classifier", "vgg16"): "vgg16[head=narrow]",  # tests/plugins/test_classifiers.py fits the wide one
    ("extractor", "slices"): "slices[slices=2]",
    ("generator", "feature-acgan"): f"feature-acgan[refined={REFINED}]",
    ("generator", "refined-acgan"): REFINED,
    ("generator", "clswgan"): "clswgan[hidden=32]",
    ("generator", "selected"): SELECTED,
    ("generator", "wgan-gp"): "wgan-gp[width=4]",
    ("generator", "wgan-clip"): WGAN,
    ("generator", "rare-only"): f"rare-only[generator={WGAN}]",
    ("augmenter", "wgan"): f"wgan[generator={WGAN}]",
    ("augmenter", "hybrid-offline"): f"hybrid-offline[generator={WGAN}]",
    ("augmenter", "acgan-selected"): f"acgan-selected[generator={SELECTED}]",
    ("augmenter", "acgan-chosen"): f"acgan-chosen[generator={SELECTED}]",
}
BUILT_IN = [
    pytest.param(kind, name, marks=[pytest.mark.slow] if name in HEAVY[kind] else [])
    for kind in CHECKS
    for name in CATALOGUE.names(kind)
    if (kind, name) not in (("dataset", "medmnist"), ("dataset", "folder"), ("dataset", "source-folder"))
    and name not in ("timm-features", "inception", "monai-features")  # of files: tests/plugins/test_extractors.py
    and name not in ("slurm", "ray")  # they want a cluster: test_slurm.py, test_ray.py
    and name not in ("unet-features", "pretrained-on")  # they want masks and a source: test_unet.py, test_transfer.py
]


FEW = replace(WHOLE, budget=medbench.Budget(steps=10, batch=8, generator_steps=10))
"""No contract speaks of how well something has learned."""


@pytest.mark.parametrize(("kind", "name"), BUILT_IN)
def test_every_built_in_keeps_the_contract_of_its_kind(kind: str, name: str, tmp_path: Path) -> None:
    light = LIGHT.get((kind, name))
    recipe = CATALOGUE.resolve(kind, light) if light else CATALOGUE.registered(kind, name)

    CHECKS[kind](recipe, tmp_path, *([FEW] if kind in ("augmenter", "generator") else []))


@pytest.mark.parametrize("name", ["folder", "medmnist"])
def test_a_data_set_without_a_phantom_is_no_failure(name: str, tmp_path: Path) -> None:
    with pytest.raises(medbench.Skip, match="draws no synthetic images"):
        CHECKS["dataset"](CATALOGUE.registered("dataset", name), tmp_path)
