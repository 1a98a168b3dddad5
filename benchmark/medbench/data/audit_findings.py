"""What the audit of a data set found: duplicates, contradicting labels, blank images and shortcuts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from medbench.data.audit_official_cut import Overlap, Twins
from medbench.text import counted

PARTS = "the training and test part of the official split differ"
PARTS_DIFFER = 0.7
"""AUROC, within a class, from which on the two parts of an official cut are said to differ."""


@dataclass(frozen=True)
class Link:
    """Two images that are one picture.

    Attributes:
        first: Id.
        second: Id.
        value: Correlation of the pictures.
    """

    first: str
    second: str
    value: float


@dataclass(frozen=True)
class Blank:
    """Images that show nothing.

    Attributes:
        of: Class, or part of an official cut.
        blank: How many of its images vary by less than one gray level.
        images: How many it has.
    """

    of: str
    blank: int
    images: int


@dataclass(frozen=True)
class Shortcut:
    """How far something that is no image content tells the classes apart.

    Attributes:
        name: What was looked at.
        auroc: Macro AUROC out of sample, 0 to 1.
        low: Lower end of its 95 % range over groups of patients.
        high: Upper end.
        accuracy: Balanced accuracy, 0 to 1.
    """

    name: str
    auroc: float
    low: float
    high: float
    accuracy: float

    @property
    def is_said(self) -> bool:
        """Whether boards say it: AUROC above .60, and its range above .50."""
        return self.auroc > 0.6 and self.low > 0.5


@dataclass(frozen=True)
class Findings:
    """What an audit found; stored beside the decoded images.

    Attributes:
        images: Images, unlabelled ones among them.
        patients: Different patients.
        declared: Groups by patient and study.
        exact: Groups after images with equal pixels were united.
        groups: Groups after nearly equal ones were united too: what no cut may part.
        same: Ids of images with equal pixels, one tuple a picture.
        near: Links between groups by nearly equal pictures, each link once.
        conflicts: Ids of labelled images with equal pixels and different labels, one tuple a picture.
        near_conflicts: Links between images with different labels.
        blank: Images that show nothing, of each class and part that has any.
        overlap: What the parts of an official cut share; None where there is none.
        shortcuts: Each alone.
        neighbour: The nearest training picture decides.
        looked_at: Images that the shortcuts were measured on.
        part_differences: How far each tells the training part of an official cut from its test part, within a class.
        neighbour_of_cut: The nearest picture of the training part decides about the test part.
    """

    images: int = 0
    patients: int = 0
    declared: int = 0
    exact: int = 0
    groups: int = 0
    same: tuple[tuple[str, ...], ...] = ()
    near: tuple[Link, ...] = ()
    conflicts: tuple[tuple[str, ...], ...] = ()
    near_conflicts: tuple[Link, ...] = ()
    blank: tuple[Blank, ...] = ()
    overlap: Overlap | None = None
    shortcuts: tuple[Shortcut, ...] = ()
    neighbour: Shortcut | None = None
    looked_at: int = 0
    part_differences: tuple[Shortcut, ...] = ()
    neighbour_of_cut: Shortcut | None = None

    @property
    def merged(self) -> int:
        """How many groups of patients share a picture with another and were united with it."""
        return self.declared - self.groups

    def to_json(self) -> dict[str, Any]:
        """Return all fields as JSON values."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Findings:
        """Rebuild findings from ``to_json``."""
        fields = dict(value)
        for key in ("same", "conflicts"):
            fields[key] = tuple(map(tuple, fields[key]))
        fields["blank"] = tuple(Blank(**found) for found in fields["blank"])
        if fields["overlap"] is not None:
            of_cut = dict(fields["overlap"])
            of_cut["twins"] = tuple(Twins(tuple(t["test"]), tuple(t["train"])) for t in of_cut["twins"])
            of_cut |= {key: tuple(of_cut[key]) for key in ("patients", "dropped")}
            fields["overlap"] = Overlap(**of_cut)
        for key in ("near", "near_conflicts"):
            fields[key] = tuple(Link(**link) for link in fields[key])
        fields["shortcuts"] = tuple(Shortcut(**found) for found in fields["shortcuts"])
        fields["part_differences"] = tuple(Shortcut(**found) for found in fields.get("part_differences", ()))
        for key in ("neighbour", "neighbour_of_cut"):
            if fields.get(key) is not None:
                fields[key] = Shortcut(**fields[key])
        return Findings(**fields)

    def sentences(self) -> list[str]:
        """Return what boards say of shortcuts, and of what the nearest training picture tells already."""
        said = [
            f"{found.name} alone predicts the class with AUROC {_share(found.auroc)}"
            for found in sorted(self.shortcuts, key=lambda one: -one.auroc)
            if found.is_said
        ]
        if self.neighbour is not None and self.neighbour.is_said:
            auroc = _share(self.neighbour.auroc)
            stronger = sum(one.is_said and one.auroc >= self.neighbour.auroc for one in self.shortcuts)
            of_cut = self.neighbour_of_cut
            cut = f" on all images, {_share(of_cut.auroc)} on the test part of the official split" if of_cut else ""
            said.insert(
                stronger, f"simply taking the label of the most similar training image gives AUROC {auroc}{cut}"
            )
        apart = max(self.part_differences, key=lambda one: one.auroc, default=None)
        if apart is not None and apart.auroc > PARTS_DIFFER and apart.low > 0.5:
            said.insert(
                0,
                f"{PARTS}: {apart.name} alone tells training from test images of one class with AUROC "
                f"{_share(apart.auroc)}, so a gain in cross-validation may not hold there",
            )
        return said

    def remarks(self) -> list[str]:
        """Return what boards say of labels that contradict each other and of images that show nothing."""
        said = describe_label_conflicts(self.conflicts, self.near_conflicts)
        return said + ([describe_blanks(self.blank)] if any(20 * b.blank >= b.images for b in self.blank) else [])


def _share(value: float) -> str:
    return f"{value:.2f}".removeprefix("0")


def describe_label_conflicts(conflicts: Sequence[Sequence[str]], near_conflicts: Sequence[Link]) -> list[str]:
    """Say how many pictures stand under different labels; empty where none does.

    Args:
        conflicts: Ids of equal pixels, one sequence a picture.
        near_conflicts: Links between nearly equal pictures.
    """
    said = [f"{counted(len(conflicts), 'picture', 'stand')} under different labels"] * bool(conflicts)
    pairs = counted(len(near_conflicts), "pair")
    stand = "stands" if len(near_conflicts) == 1 else "stand"
    return said + [f"{pairs} of nearly equal pictures {stand} under different labels"] * bool(near_conflicts)


def describe_blanks(found: Sequence[Blank]) -> str:
    """Say how many images show nothing; `found` is not empty."""
    each = ", ".join(f"{'all' if b.blank == b.images else f'{b.blank:,}'} of {b.images:,} {b.of}" for b in found)
    return f"images that show nothing, a single gray level: {each}"
