"""Our own data set: what a bundle's predictions are held against. Labels never come from a bundle."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medbench.data.decode import Progress
from medbench.data.describe import DatasetDescription, add_other_datasets, describe_decoded
from medbench.data.external_test import pictures_in, with_test_set
from medbench.data.find_phantom import PHANTOM, PhantomTable
from medbench.data.sources import Source, locate_datasets, locate_other_dataset
from medbench.data.transfer_sources import datasets_in, key_of_dataset
from medbench.errors import DataError, MedbenchError, UsageError
from medbench.protocols.protocol import protocol
from medbench.registry.catalogue import Catalogue
from medbench.registry.describe_recipe import with_inner
from medbench.registry.display_names import modality
from medbench.registry.recipes import did_you_mean, listing, parameters_of
from medbench.samples import Samples
from medbench.text import clean

MOST_DRAWN = 5_000  # patients of a phantom that is drawn only because a stranger's bundle says so
LARGEST = 256  # pixels along an axis of such a phantom; 64 in three dimensions
LARGEST_3D = 64


CARD_TEXT = 1000
"""Characters of a field of a data set's card that an entry holds at most."""


@dataclass(frozen=True)
class NeededData:
    """Which data sets a bundle speaks of.

    Attributes:
        recipes: Augmenters and classifiers by data set, as ``(kind, text)``; they may learn from further data sets.
        drawing: How phantoms were drawn.
        size: Working size; None is each data set's own.
        tests: Texts of the protocols that test another data set.
    """

    recipes: Mapping[str, Sequence[tuple[str, str]]]
    drawing: PhantomTable
    size: int | None
    tests: Sequence[str] = ()

    @property
    def tested(self) -> tuple[str, ...]:
        """The data sets that are tested besides, as protocols name them."""
        return tuple(dict.fromkeys(protocol(text).test for text in self.tests))


def needed(told: Mapping[str, Any]) -> NeededData:
    """Return what :func:`medbench.publishing.verify.sandbox_tasks.needed_data` says."""
    return NeededData(told["recipes"], PhantomTable(**told["drawing"]), told["size"], told["tests"])


def find_our_data(
    wanted: NeededData, catalogue: Catalogue, data: Sequence[str], *, workers: int = 1, progress: Progress | None = None
) -> dict[str, DatasetDescription | str]:
    """Find, or draw, and decode every data set.

    Returns:
        By data set: what we have, or one sentence on why we have it not.
    """
    found: dict[str, DatasetDescription | str] = {}
    for text, recipes in wanted.recipes.items():
        try:
            found[text] = _find_data_set(text, recipes, wanted, catalogue, data, workers, progress)
        except MedbenchError as error:
            found[text] = f"{error}{_of_a_plugin(text, catalogue)}"
    return found


def _of_a_plugin(text: str, catalogue: Catalogue) -> str:
    """Say how a data set is found that no plugin here brings; "" for one that is registered."""
    name = text.removeprefix(PHANTOM).partition("[")[0]
    is_known = name in catalogue.names("dataset")
    return "" if is_known else " Where a plugin file brings it, give that file's folder with --plugins-dir."


def find_cards(wanted: NeededData, catalogue: Catalogue) -> dict[str, dict[str, str]]:
    """Return title, licence, citation and access of each data set, as its own card here says; none of unknown ones.

    Where the recipe, or medbench of a built-in one, says how images were taken, the modality as well.
    """
    found = {}
    drawn = PHANTOM if any(name.startswith(PHANTOM) for name in wanted.recipes) else ""
    for name in (*wanted.recipes, *(f"{drawn}{text.removeprefix(PHANTOM)}" for text in wanted.tested)):
        try:
            recipe = catalogue.resolve("dataset", name.removeprefix(PHANTOM))
            card = recipe.card
        except MedbenchError:
            continue
        texts = {"title": card.title, "licence": card.licence, "citation": card.citation, "access": card.access}
        if taken := modality(name) or str(getattr(recipe, "modality", "")):
            texts["modality"] = taken
        found[name] = {key: clean(text)[:CARD_TEXT] for key, text in texts.items()}
    return found


def check_folders(data: Sequence[str]) -> None:
    """Refuse folders that are not there.

    Raises:
        DataError: For the first of them.
    """
    for item in data:
        name, given, folder = item.partition("=")
        if not Path(item).expanduser().is_dir() and not (name and given and Path(folder).expanduser().is_dir()):
            raise DataError(f"--data {item}: no such folder; give the one that the data set lies in.")


def check_names(wanted: NeededData, catalogue: Catalogue, data: Sequence[str]) -> None:
    """Refuse ``NAME=FOLDER`` of a data set that the bundle does not speak of.

    A recipe that no plugin here knows may learn from any data set; nothing is refused then.

    Raises:
        UsageError: For the first of them.
    """
    names = {text.removeprefix(PHANTOM) for text in (*wanted.recipes, *wanted.tested)}
    try:
        known = [catalogue.resolve("dataset", text) for text in sorted(names)]
        arms = [catalogue.resolve(*of) for recipes in wanted.recipes.values() for of in recipes]
    except MedbenchError:
        return
    names = {dataset.name for dataset in (*known, *datasets_in(*arms))}
    takers = sorted(names | {name.partition(":")[0] for name in names})
    for item in data:
        name, given, _ = item.partition("=")
        if given and not Path(item).expanduser().is_dir() and name not in takers:
            raise UsageError(
                f"--data {item}: no data set of the bundle is named {name!r}{did_you_mean(name, takers)}; "
                f"there are: {listing(takers)}."
            )


def _find_data_set(
    text: str,
    recipes: Sequence[tuple[str, str]],
    wanted: NeededData,
    catalogue: Catalogue,
    data: Sequence[str],
    workers: int,
    progress: Progress | None,
) -> DatasetDescription:
    dataset = catalogue.resolve("dataset", text.removeprefix(PHANTOM))
    no_files(dataset)
    if text.startswith(PHANTOM):
        size = wanted.size or dataset.size
        if wanted.drawing.patients > MOST_DRAWN or size > LARGEST:
            raise UsageError(
                f"its synthetic data set of {wanted.drawing.patients:,} patients at {size} pixels is too large to draw."
            )
    (source,) = locate_datasets(catalogue, [text], data=data, phantom=False, drawing=wanted.drawing, size=wanted.size)
    resolved = [catalogue.resolve(kind, of) for kind, of in recipes]
    for recipe in resolved:
        no_files(recipe)
    learnt = {key_of_dataset(d): d for d in datasets_in(*resolved)}
    others = {
        name: locate_other_dataset(catalogue, other, source, data=data, drawing=wanted.drawing)
        for name, other in learnt.items()
    }
    described = _decode(source, workers, progress)
    whole = add_other_datasets(described, {name: _decode(other, workers, progress) for name, other in others.items()})
    tested: dict[str, DatasetDescription] = {}
    for name in wanted.tested:
        other = catalogue.resolve("dataset", name.removeprefix(PHANTOM))
        no_files(other)
        place = locate_other_dataset(catalogue, other, source, data=data, drawing=wanted.drawing)
        tested[name] = _decode(place, workers, progress)
    whole = replace(whole, tested=tested)
    for text in wanted.tests:  # a recipe that learns from who is tested, or images of another kind, show here
        with_test_set(whole, protocol(text))
    return whole


def _decode(source: Source, workers: int, progress: Progress | None) -> DatasetDescription:
    if source.is_phantom and source.size > LARGEST_3D and source.recipe.index(source.root).dimensions == 3:
        raise UsageError(f"its synthetic data set of volumes at {source.size} pixels is too large to draw.")
    return describe_decoded(source, source.decode(workers, progress))


def no_files(recipe: Any) -> None:
    """Refuse a recipe that names a file: a stranger's bundle must not make us read one.

    Raises:
        UsageError: If a field holds a path.
    """
    for part in with_inner(recipe):
        for key, value in parameters_of(part).items():
            if isinstance(value, Path):
                raise UsageError(f"{part.name}.{key} names a file, which nobody else has.")


def save(found: Mapping[str, DatasetDescription], folder: Path) -> None:
    """Write what is known of data sets, without pixels, for the process that checks."""
    listed = [_save(one, folder, str(number), pictures=bool(one.tested)) for number, one in enumerate(found.values())]
    (folder / "sources.json").write_text(json.dumps(listed))


def _save(one: DatasetDescription, folder: Path, stem: str, *, pictures: bool) -> dict[str, Any]:
    _save_samples(folder / f"{stem}.npz", one.samples)
    for k, rows in enumerate(one.others.values()):
        _save_samples(folder / f"{stem}-{k}.npz", rows)
    tests = enumerate(one.tested.items())
    return {
        "text": one.text, "data": one.data, "dimensions": one.dimensions, "notes": list(one.notes),
        "unit": one.unit, "publish": one.publish, "across": {k: list(v) for k, v in one.across.items()},
        "warnings": list(one.warnings), "others": list(one.others), "channels": one.channels,
        "pictures": list(pictures_in(one)) if pictures else [],
        "tests": {name: _save(other, folder, f"{stem}-test-{k}", pictures=True) for k, (name, other) in tests},
    }  # fmt: skip


def load(folder: Path) -> dict[str, DatasetDescription]:
    """Read what :func:`save` wrote."""
    listed = json.loads((folder / "sources.json").read_text())
    return {one["text"]: _load(one, folder, str(number)) for number, one in enumerate(listed)}


def _load(one: Mapping[str, Any], folder: Path, stem: str) -> DatasetDescription:
    others = {name: _load_samples(folder / f"{stem}-{k}.npz") for k, name in enumerate(one["others"])}
    tests = enumerate(one["tests"].items())
    return DatasetDescription(
        one["text"], one["data"], None, _load_samples(folder / f"{stem}.npz"), one["dimensions"],
        tuple(one["notes"]), one["unit"], one["publish"], others,
        across={k: tuple(map(tuple, v)) for k, v in one["across"].items()}, warnings=tuple(one["warnings"]),
        channels=one["channels"], pictures=tuple(one["pictures"]),
        tested={name: _load(other, folder, f"{stem}-test-{k}") for k, (name, other) in tests},
    )  # fmt: skip


def _save_samples(path: Path, s: Samples) -> None:
    parts: dict[str, Any] = {} if s.parts is None else {"parts": s.parts}
    np.savez(path, labels=s.labels, ids=s.ids, patients=s.patients, groups=s.groups, classes=np.array(s.classes),
             made_of=np.array(s.made_of), **parts)  # fmt: skip


def _load_samples(path: Path) -> Samples:
    with np.load(path, allow_pickle=False) as kept:
        columns = {key: kept[key] for key in kept.files}
    n = len(columns["labels"])
    return Samples(
        x=np.zeros((n, 0), dtype=np.uint8),
        labels=columns["labels"],
        ids=columns["ids"],
        patients=columns["patients"],
        groups=columns["groups"],
        sources=((),) * n,
        classes=tuple(columns["classes"].tolist()),
        made_of=str(columns["made_of"]),
        parts=columns.get("parts"),
    )
