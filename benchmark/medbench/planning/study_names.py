"""What runs are called: a name that commands take, and a title that people read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from medbench.data.find_phantom import PHANTOM
from medbench.errors import UsageError
from medbench.registry.display_names import classifier_name, dataset_name, method_name
from medbench.registry.recipes import Spec, parse
from medbench.text import clean, listed

LONGEST = 60
MOST = 2
"""Names that are written out; of more the number is given."""
CHOOSING = ("flag", "model", "network", "generator", "source")
"""Parameters that say which one is meant."""


def name_of_options(
    datasets: Sequence[str], augmenters: Sequence[str], classifiers: Sequence[str], data: Sequence[str] = ()
) -> str:
    """Name a study that is given as options after what it compares: ``ddti-hybrid``, ``breastmnist-3-methods``.

    Args:
        datasets: As given to ``-d``.
        augmenters: As given to ``-a``.
        classifiers: As given to ``-c``.
        data: As given to ``--data``; one's own folder is called by its name.
    """
    parts = [_several([_of_dataset(text, data) for text in datasets], "data-sets")]
    parts.append(_several([_short(text) for text in augmenters], "methods"))
    parts.append(_several([_short(text) for text in classifiers], "classifiers"))
    return slug("-".join(filter(None, parts)))


def title_of(study: Mapping[str, Any], sources: Sequence[Mapping[str, Any]] = ()) -> str:
    """Return the title of a run: ``hybrid: AC-GAN images on Thyroid ultrasound, 5 folds x 3``.

    Args:
        study: As a record holds it.
        sources: The data sets of the record, for the names of one's own folders.
    """
    titles = {str(source["dataset"]): str(source.get("title") or "") for source in sources}
    data = list(dict.fromkeys(dataset_name(text, title) for text, title in titles.items()))
    data = data or [dataset_name(text) for text in study["datasets"]]
    methods = [method_name(text) for text in study["augmenters"]]
    networks = [classifier_name(text) for text in study["classifiers"]]
    named = _title(methods, "methods") or "the default methods"
    network = f", {_title(networks, 'classifiers')}" if networks else ""
    names = {text.partition("[")[0] for text in study.get("protocols", ["patients"])}
    one_cut = {("official",): "official split", ("external",): "external test"}.get(tuple(names))
    split = one_cut or f"{study['folds']} folds"
    return clean(f"{named} on {_title(data, 'data sets')}{network}, {split} x {study['repeats']}")


def slug(text: str) -> str:
    """Return a text as a name that needs no quotes: letters, digits, dots and hyphens."""
    kept = re.sub(r"[^\w.]+", "-", text.lower()).strip("-._")
    return kept[:LONGEST].rstrip("-._") or "study"


def _title(names: Sequence[str], noun: str) -> str:
    return listed(names) if len(names) <= MOST else f"{len(names)} {noun}"


def _several(names: Sequence[str], noun: str) -> str:
    return "-".join(names) if len(names) <= MOST else f"{len(names)}-{noun}"


def _of_dataset(text: str, data: Sequence[str]) -> str:
    spec = _spec(text.removeprefix(PHANTOM))
    if spec.name == "folder" and data:
        return Path(data[0].rpartition("=")[2]).expanduser().resolve().name
    return _short(text.removeprefix(PHANTOM))


def _short(text: str) -> str:
    spec = _spec(text)
    chosen = [value for key, value in spec.parameters if key in CHOOSING]
    if spec.name in ("medmnist", "timm", "monai") and chosen:
        return chosen[0]
    return "-".join([spec.name.replace("*", "all"), *(value.partition("[")[0] for value in chosen)])


def _spec(text: str) -> Spec:
    try:
        return parse(text)
    except UsageError:  # told later, where it is resolved
        return Spec(text)
