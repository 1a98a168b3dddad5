"""Where a study's data sets lie: a real folder, or a phantom written on demand."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from medbench.data.audit_findings import across_cut, blanks, columns_of, labels_in_conflict
from medbench.data.cache import Decoded, already_decoded, decode, phantom_root
from medbench.data.decode import Progress, check_index
from medbench.data.find_phantom import PHANTOM, PhantomTable
from medbench.data.groups import groups_united
from medbench.data.transfer_sources import bare, learnable
from medbench.errors import UsageError
from medbench.interfaces import Dataset
from medbench.registry.plugins import Catalogue
from medbench.registry.recipes import did_you_mean, listing
from medbench.samples import Samples
from medbench.text import counted


@dataclass(frozen=True)
class Source:
    """A data set of a study.

    Attributes:
        text: How results name it.
        recipe: The data set.
        root: Its folder.
        size: Working size in pixels along every spatial axis.
    """

    text: str
    recipe: Dataset
    root: Path
    size: int

    @property
    def is_phantom(self) -> bool:
        """Whether its images were drawn by medbench."""
        return self.text.startswith(PHANTOM)

    def decode(self, workers: int, progress: Progress | None = None) -> Decoded:
        """Decode it, or open what was decoded before."""
        prefix = PHANTOM if self.is_phantom else ""
        return decode(self.recipe, self.root, size=self.size, workers=workers, progress=progress, prefix=prefix)

    def decoded(self) -> Decoded | None:
        """Return what was decoded before, or None; decodes nothing."""
        prefix = PHANTOM if self.is_phantom else ""
        return already_decoded(self.recipe, self.root, size=self.size, prefix=prefix)


SIDES = "classes are sides of the body: geometric and transformed leave the left-right mirror out"


@dataclass(frozen=True, eq=False)
class Described:
    """A data set as a plan sees it: everything but pixels.

    Attributes:
        text: How results name it.
        data: Fingerprint; empty while it is not decoded.
        folder: Where the decoded arrays lie; None while it is not decoded.
        samples: Rows with an empty ``x``.
        dimensions: Spatial axes.
        notes: What the reader left out or found odd.
        unit: What is scored.
        publish: What a published result may hold.
        others: Rows of each other data set that recipes may learn from, without pixels, by
            :func:`medbench.data.transfer_sources.name_of`.
        other_folders: Where their decoded arrays lie, by the same.
        across: Groups that the official cut parts, as :func:`medbench.data.audit_findings.across_cut` gives them.
        overlap: What the parts of an official cut share in images, as :meth:`.Overlap.facts` counts
            it; empty where there is no such cut or the data set is not decoded.
        warnings: What boards say of shortcuts, labels that contradict each other, images that show nothing, and sides
            that no arm may mirror.
    """

    text: str
    data: str
    folder: Path | None
    samples: Samples
    dimensions: int
    notes: tuple[str, ...]
    unit: str
    publish: str
    others: Mapping[str, Samples] = field(default_factory=dict)
    other_folders: Mapping[str, str] = field(default_factory=dict)
    across: Mapping[str, tuple[tuple[str, ...], ...]] = field(default_factory=dict)
    overlap: Mapping[str, int] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    @property
    def is_decoded(self) -> bool:
        """Whether pixels are at hand, also those of the data sets it may learn from."""
        return bool(self.data) and set(self.others) == set(self.other_folders)

    @property
    def class_patients(self) -> list[int]:
        """Patients of each class, in the order of the classes."""
        s = self.samples
        return [len(set(s.patients[s.labels == k].tolist())) for k in range(len(s.classes))]

    def facts(self) -> dict[str, Any]:
        """Return what tables say of it, as JSON values."""
        return {
            "dataset": self.text,
            "data": self.data,
            "images": len(self.samples),
            "patients": len(set(self.samples.patients.tolist())),
            "class_patients": self.class_patients,
            "classes": list(self.samples.classes),
            "dimensions": self.dimensions,
            "notes": list(self.notes),
            "unit": self.unit,
            "publish": self.publish,
            "across": {name: len(groups) for name, groups in self.across.items()},
            "overlap": dict(self.overlap),
        }


def locate(
    catalogue: Catalogue,
    texts: Sequence[str],
    *,
    data: Sequence[str],
    phantom: bool,
    drawing: PhantomTable,
    size: int | None,
    more: Sequence[Dataset] = (),
) -> list[Source]:
    """Find the folder of every data set; phantoms are written here.

    Args:
        catalogue: What is registered.
        texts: As given to ``-d``; names may be globs.
        data: As given to ``--data``: ``ROOT`` or ``name=ROOT``.
        phantom: Use the phantom of every data set.
        drawing: How phantoms are drawn.
        size: Working size; None takes each data set's own.
        more: Data sets that recipes learn from; `data` may name their folders too.

    Raises:
        UsageError: If a data set has no folder.
    """
    named, plain = _folders(data)
    sources: list[Source] = []
    for text in texts:
        drawn = phantom or text.startswith(PHANTOM)
        for recipe in catalogue.matching("dataset", text.removeprefix(PHANTOM)):
            spec = catalogue.spec(recipe)
            family = recipe.name.partition(":")[0]
            if drawn:
                root = phantom_root(recipe, seed=drawing.seed, patients=drawing.patients, null=drawing.null)
            else:
                root = _root(recipe.name, family, named, plain)
            found = Source(f"{PHANTOM}{spec}" if drawn else spec, within(recipe, root), root, size or recipe.size)
            if found not in sources:  # globs may overlap
                sources.append(found)
    recipes = [*(source.recipe for source in sources), *more]
    takers = {name for recipe in recipes for name in (recipe.name, recipe.name.partition(":")[0])}
    for name, folder in named.items():
        if name not in takers and not phantom:
            raise UsageError(
                f"--data {name}={folder}: no data set {name!r} takes part{did_you_mean(name, takers)}; "
                f"there are: {listing(sorted(takers))}."
            )
    return sources


def locate_other(
    catalogue: Catalogue, dataset: Dataset, target: Source, *, data: Sequence[str], drawing: PhantomTable
) -> Source:
    """Find the folder of a data set that recipes learn from: a phantom for a phantom, at the target's working size.

    Raises:
        UsageError: If it has no folder.
    """
    spec = catalogue.spec(dataset)
    if target.is_phantom:
        root = phantom_root(dataset, seed=drawing.seed, patients=drawing.patients, null=drawing.null)
        return Source(f"{PHANTOM}{spec}", dataset, root, target.size)
    named, plain = _folders(data)
    root = _root(dataset.name, dataset.name.partition(":")[0], named, plain)
    return Source(spec, within(dataset, root), root, target.size)


def within(dataset: Dataset, root: Path) -> Dataset:
    """Return a data set whose fields name the files of its folder: its ``within(root)``, where it has one.

    A table that is given by name lies in the data folder; what a recipe is identified by reads it there.
    """
    placed: Dataset = getattr(dataset, "within", lambda _: dataset)(root)
    return placed


def _folders(data: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """Part ``name=ROOT`` from ``ROOT``."""
    named = dict(item.split("=", 1) for item in data if "=" in item and not Path(item).exists())
    return named, [item for item in data if item.partition("=")[0] not in named]


def _root(name: str, family: str, named: dict[str, str], plain: list[str]) -> Path:
    for key in (name, family):
        if key in named:
            return _existing(Path(named[key]), f"--data {key}={named[key]}")
    for item in plain:
        root = _existing(Path(item), f"--data {item}")
        inside = root / family
        return inside if inside.is_dir() else root
    raise UsageError(
        f"{name}: where is it? Give --data FOLDER (or {family}=FOLDER, or MEDBENCH_DATA), or --phantom for drawn "
        f"images; `medbench datasets show {name}` says how to get it."
    )


def _existing(path: Path, option: str) -> Path:
    path = path.expanduser()
    if not path.is_dir():
        raise UsageError(f"{option}: no such folder.")
    return path


def describe_decoded(source: Source, decoded: Decoded) -> Described:
    """Describe a decoded data set; its groups know of duplicates."""
    samples = decoded.samples()
    notes = list(decoded.notes)
    found = decoded.findings
    if decoded.merged:
        how = [f"{found.declared - found.exact} by the same pixels"] * (found.declared > found.exact)
        how += [f"{found.exact - found.groups} by nearly the same"] * (found.exact > found.groups)
        notes.append(
            f"{counted(decoded.merged, 'patient', 'share')} a picture with another and "
            f"{'was' if decoded.merged == 1 else 'were'} united with it ({', '.join(how)})"
        )
    if decoded.conflicts:
        notes += [
            f"{said}, the first: {', '.join(decoded.conflicts[0][:3])}"
            for said in labels_in_conflict(decoded.conflicts, ())
        ]
    if found.near_conflicts:
        first = found.near_conflicts[0]
        notes += [
            f"{said}, the first: {first.first}, {first.second}" for said in labels_in_conflict((), found.near_conflicts)
        ]
    if found.blank:
        notes.append(blanks(found.blank))
    if found.overlap is not None:
        notes += [f"its official cut: {said}" for said in found.overlap.sentences()]
    bare = Samples(
        x=np.zeros((len(samples), 0), dtype=np.uint8),
        labels=samples.labels,
        ids=samples.ids,
        patients=samples.patients,
        groups=samples.groups,
        sources=samples.sources,
        classes=samples.classes,
        made_of=samples.made_of,
        parts=samples.parts,
    )
    card = source.recipe.card
    said_of = (*found.sentences(), *found.remarks())
    warnings = [f"{said}: medbench audit {shlex.quote(source.text)}" for said in said_of]
    if samples.sides:
        warnings.append(SIDES)
    return Described(
        source.text,
        decoded.fingerprint,
        decoded.folder,
        bare,
        samples.x.ndim - 2,
        tuple(notes),
        card.unit,
        card.publish,
        across=decoded.across,
        overlap=found.overlap.facts() if found.overlap is not None else {},
        warnings=tuple(warnings),
    )


def describe_index(source: Source) -> Described:
    """Describe a data set from its index alone; duplicates are not known yet."""
    index = check_index(source.recipe.index(source.root), source.text)
    records = [record for record in index.records if record.label >= 0]
    patients = [record.patient for record in records]
    parts = np.array([record.part for record in records], dtype=np.str_)
    samples = Samples(
        x=np.zeros((len(records), 0), dtype=np.uint8),
        labels=np.array([record.label for record in records], dtype=np.int64),
        ids=np.array([record.id for record in records], dtype=np.str_),
        patients=np.array(patients, dtype=np.str_),
        groups=groups_united(patients, [record.study for record in records]),
        sources=((),) * len(records),
        classes=index.classes,
        parts=parts if parts.size and any(parts) else None,
    )
    card = source.recipe.card
    columns = (samples.ids.tolist(), columns_of(samples.parts, len(samples)))
    across = across_cut(*columns, samples.groups.tolist(), samples.groups.tolist())
    return Described(
        source.text,
        "",
        None,
        samples,
        index.dimensions,
        index.notes,
        card.unit,
        card.publish,
        across=across,
        warnings=(SIDES,) if getattr(source.recipe, "sides", False) else (),
    )


def with_others(target: Described, others: Mapping[str, Described]) -> Described:
    """Add what recipes may learn from other data sets; what they share with the target is left out.

    Raises:
        DataError: If a source's images have other channels or axes, or nothing is left of it.
    """
    rows, folders = {}, {}
    for name, other in others.items():
        rows[name] = other.samples
        if other.folder is not None and target.folder is not None:
            rows[name] = bare(learnable(other.folder, target.folder, named=other.text))
            folders[name] = str(other.folder)
    return replace(target, others=rows, other_folders=folders)
