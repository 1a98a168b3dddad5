"""The methods of a run as terms of its glossary: what each does, as its plugin says it, and how commands write it."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping

from medbench.errors import MedbenchError
from medbench.glossary import TERMS, Term
from medbench.planning.arm_names import arm_name
from medbench.registry.catalogue import Catalogue
from medbench.report.inputs import Material
from medbench.tables.blocks import text_of

MEANINGS: Mapping[str, str] = {
    "balanced": "In training every class is drawn equally often.",
    "geometric": "Each training image is rotated, mirrored, scaled, sheared and shifted a little, anew whenever it is "
    "drawn; every class is drawn equally often.",
    "class-weight": "Errors on rare classes count more in training.",
    "focal": "Images that are classified with confidence count less in training.",
    "under-bagging": "Several networks, each trained on as many images of every class as the rarest has, are averaged.",
    **dict.fromkeys(
        ("acgan", "acgan-selected", "reacgan", "dcgan", "diffusion", "wgan"),
        "Training on real images and on those of a generator, every class drawn equally often.",
    ),
    "geometric-offline": "Rotated, mirrored, scaled and shifted images, made once before training.",
    "hybrid-offline": "Training on real, transformed and generated images, all of them made once before training.",
    **dict.fromkeys(
        ("self-mix", "self-cutmix", "self-yoco", "self-cropmix", "self-augmix", "self-jitter"),
        "A changed copy of each training image, made once before training from that image alone.",
    ),
    "copies": "Copies of real training images are added until every class has as many.",
    "hybrid": "Training on real images and on those of a generator, all of them rotated, flipped and zoomed.",
    "synthetic-only": "Training on images of a generator alone.",
}
"""What a method does, by the name it is registered under, where its plugin says it for programmers."""


def method_terms(material: Material) -> Iterator[Term]:
    """Yield a term for every method that the shared glossary does not have."""
    named = {text_of(arm_name(row.arm)): row.arm.augmenter for part in material.parts for row in part.rows}
    for name, recipe in named.items():
        if name.strip() and name not in TERMS:
            yield Term(name, text_of(f"{_says(material.catalogue, recipe)}In commands: {recipe}."))


def _says(catalogue: Catalogue | None, recipe: str) -> str:
    """Return what a method does in one sentence, with a blank behind it; "" where nobody says it."""
    if (name := recipe.partition("[")[0]) in MEANINGS:
        return f"{MEANINGS[name]} "
    try:
        found = catalogue.resolve("augmenter", recipe) if catalogue is not None else None
    except MedbenchError:
        found = None
    said = (inspect.getdoc(type(found)) or "") if found is not None else ""
    first = " ".join(said.partition("\n\n")[0].split()).replace("`", "")
    return f"{first} " if first else ""
