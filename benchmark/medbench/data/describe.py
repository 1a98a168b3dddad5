"""Data sets as plans see them: everything but the pixels, from the decoded arrays or from the index alone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from medbench.data.audit_findings import Findings, describe_blanks, describe_label_conflicts
from medbench.data.audit_official_cut import groups_across_cut, part_names
from medbench.data.cache import Decoded
from medbench.data.decode import check_index
from medbench.data.groups import unite_groups
from medbench.data.sources import Source
from medbench.data.transfer_sources import usable_samples, without_pixels
from medbench.samples import Samples
from medbench.text import counted

OWN = ("folder", "source-folder")
"""Data sets that are a folder of one's own."""
SIDES = "classes are sides of the body: geometric and transformed leave the left-right mirror out"


@dataclass(frozen=True, eq=False)
class DatasetDescription:
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
            :func:`medbench.data.transfer_sources.key_of_dataset`.
        other_folders: Where their decoded arrays lie, by the same.
        across: Groups that the official cut parts, as :func:`.groups_across_cut` gives them.
        overlap: What the parts of an official cut share in images, as :meth:`.Overlap.facts` counts
            it; empty where there is no such cut or the data set is not decoded.
        warnings: What boards say of shortcuts, labels that contradict each other, images that show nothing, and sides
            that no arm may mirror.
        title: How people call it: the name of one's own folder; "" for a data set that has a name.
        channels: Of its images.
        tested: Data sets that external tests of the study test, by how protocols name them.
        pictures: What tells each row's picture, "" for a blank one, where the pixels themselves are left elsewhere.
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
    title: str = ""
    channels: int = 1
    tested: Mapping[str, DatasetDescription] = field(default_factory=dict)
    pictures: tuple[str, ...] = ()

    @property
    def is_decoded(self) -> bool:
        """Whether pixels are at hand, also those of the data sets it may learn from and those that are tested."""
        tested = all(other.data for other in self.tested.values())
        return bool(self.data) and set(self.others) == set(self.other_folders) and tested

    @property
    def folders_of_others(self) -> dict[str, str]:
        """Decoded folders of all other data sets that a job may open."""
        tested = {f"test={name}": str(other.folder) for name, other in self.tested.items() if other.folder is not None}
        return {**self.other_folders, **tested}

    @property
    def class_patients(self) -> list[int]:
        """Patients of each class, in the order of the classes."""
        s = self.samples
        return [len(set(s.patients[s.labels == k].tolist())) for k in range(len(s.classes))]

    def facts(self) -> dict[str, Any]:
        """Return what tables say of it, as JSON values."""
        return {
            "dataset": self.text,
            **({"title": self.title} if self.title else {}),
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
            **({"tests": {name: other.facts() for name, other in self.tested.items()}} if self.tested else {}),
        }


# One field of the description after the other: parted, none of them would be found.
def describe_decoded(source: Source, decoded: Decoded) -> DatasetDescription:
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
            for said in describe_label_conflicts(decoded.conflicts, ())
        ]
    if found.near_conflicts:
        first = found.near_conflicts[0]
        notes += [
            f"{said}, the first: {first.first}, {first.second}"
            for said in describe_label_conflicts((), found.near_conflicts)
        ]
    if found.blank:
        notes.append(describe_blanks(found.blank))
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
    return DatasetDescription(
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
        warnings=tuple(_warnings(source, samples, found)),
        title=title_of(source),
        channels=samples.x.shape[1],
    )


def _warnings(source: Source, samples: Samples, found: Findings) -> list[str]:
    """Return what boards say of decoded images, each with the command that shows more."""
    said_of = (*found.sentences(), *found.remarks())
    warnings = [f"{said}: medbench audit {shlex.quote(source.text)}" for said in said_of]
    group_of = dict(zip(samples.ids.tolist(), samples.groups.tolist(), strict=True))
    apart = sum(group_of.get(pair.first) != group_of.get(pair.second) for pair in found.near)
    if apart:  # those that were joined are of one group
        pairs = counted(apart, "pair")
        warnings.append(
            f"{pairs} of nearly equal pictures may stand on both sides of a split (join_near = false): "
            f"medbench audit {shlex.quote(source.text)}"
        )
    if samples.sides:
        warnings.append(SIDES)
    return warnings


def describe_index(source: Source) -> DatasetDescription:
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
        groups=unite_groups(patients, [record.study for record in records]),
        sources=((),) * len(records),
        classes=index.classes,
        parts=parts if parts.size and any(parts) else None,
    )
    card = source.recipe.card
    columns = (samples.ids.tolist(), part_names(samples.parts, len(samples)))
    across = groups_across_cut(*columns, samples.groups.tolist(), samples.groups.tolist())
    return DatasetDescription(
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
        title=title_of(source),
        channels=index.channels,
    )


def title_of(source: Source) -> str:
    """Return how people call a data set: the name of one's own folder, "" for all others."""
    return source.root.resolve().name if source.recipe.name in OWN and not source.is_phantom else ""


def add_other_datasets(target: DatasetDescription, others: Mapping[str, DatasetDescription]) -> DatasetDescription:
    """Add what recipes may learn from other data sets; what they share with the target is left out.

    Raises:
        DataError: If a source's images have other channels or axes, or nothing is left of it.
    """
    rows, folders = {}, {}
    for name, other in others.items():
        rows[name] = other.samples
        if other.folder is not None and target.folder is not None:
            rows[name] = without_pixels(usable_samples(other.folder, target.folder, named=other.text))
            folders[name] = str(other.folder)
    return replace(target, others=rows, other_folders=folders)
