"""What an audit found in a data set, and which of it stops a run under an official cut."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from medbench.protocols.protocol import protocol
from medbench.text import counted

WAIVABLE = {
    "patient-across-cut": "a patient or study lies in both parts of the official cut",
    "duplicate-across-cut": "a picture lies in both parts of the official cut, the same or nearly",
}
"""What stops a run under the protocol ``official``, unless its study waives it by this name."""

NAMED = 4  # rows named in a message


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
class Twins:
    """A picture that stands in both parts of an official cut, the same or nearly.

    Attributes:
        test: Ids of the images of the test part that show it.
        train: Ids of those of the training part.
    """

    test: tuple[str, ...]
    train: tuple[str, ...]


@dataclass(frozen=True)
class Overlap:
    """What the two parts of an official cut share, in labelled images.

    Attributes:
        trained: Images of the training part.
        tested: Images of the test part.
        twins: Each picture that stands in both, the same or nearly.
        equal: Test images whose pixels stand in training exactly.
        patients: Ids of test images whose patient or study is in training too.
        shared: Test images whose group is in training, for whichever reason.
        dropped: Ids of the training images that ``official[overlap=drop]`` leaves out.
    """

    trained: int
    tested: int
    twins: tuple[Twins, ...] = ()
    equal: int = 0
    patients: tuple[str, ...] = ()
    shared: int = 0
    dropped: tuple[str, ...] = ()

    @property
    def twinned(self) -> int:
        """How many test images have a twin in training."""
        return sum(len(picture.test) for picture in self.twins)

    def facts(self) -> dict[str, int]:
        """Return the counts, as JSON values."""
        counts = {"trained": self.trained, "tested": self.tested, "shared": self.shared}
        return {
            **counts,
            "twins": self.twinned,
            "equal": self.equal,
            "patients": len(self.patients),
            "dropped": len(self.dropped),
        }

    def sentences(self) -> list[str]:
        """Say it in images; empty where the parts share nothing."""

        def of_them(n: int) -> str:
            return f"{n:,} of {counted(self.tested, 'test image')} {'has' if n == 1 else 'have'}"

        said = []
        if self.twins:
            said.append(f"{of_them(self.twinned)} a twin in training, {self.equal:,} of them pixel for pixel")
        if self.patients:
            said.append(f"{of_them(len(self.patients))} a patient or study that is in training too")
        if self.dropped:
            said.append(
                f"official[overlap=drop] trains without {len(self.dropped):,} of {self.trained:,} training images"
            )
        return said


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
        if fields["neighbour"] is not None:
            fields["neighbour"] = Shortcut(**fields["neighbour"])
        return Findings(**fields)

    def sentences(self) -> list[str]:
        """Return what boards say of shortcuts, and of what the nearest training picture tells already."""
        return [
            f"{found.name} alone reaches AUROC {f'{found.auroc:.2f}'.removeprefix('0')}"
            for found in (*self.shortcuts, *([self.neighbour] if self.neighbour else []))
            if found.is_said
        ]

    def remarks(self) -> list[str]:
        """Return what boards say of labels that contradict each other and of images that show nothing."""
        said = labels_in_conflict(self.conflicts, self.near_conflicts)
        return said + ([blanks(self.blank)] if any(20 * b.blank >= b.images for b in self.blank) else [])


def labels_in_conflict(conflicts: Sequence[Sequence[str]], near_conflicts: Sequence[Link]) -> list[str]:
    """Say how many pictures stand under different labels; empty where none does.

    Args:
        conflicts: Ids of equal pixels, one sequence a picture.
        near_conflicts: Links between nearly equal pictures.
    """
    said = [f"{counted(len(conflicts), 'picture', 'stand')} under different labels"] * bool(conflicts)
    pairs = counted(len(near_conflicts), "pair")
    stand = "stands" if len(near_conflicts) == 1 else "stand"
    return said + [f"{pairs} of nearly equal pictures {stand} under different labels"] * bool(near_conflicts)


def blanks(found: Sequence[Blank]) -> str:
    """Say how many images show nothing; `found` is not empty."""
    each = ", ".join(f"{'all' if b.blank == b.images else f'{b.blank:,}'} of {b.images:,} {b.of}" for b in found)
    return f"images that show nothing, a single gray level: {each}"


def across_cut(
    ids: Sequence[str],
    parts: Sequence[str],
    declared: Sequence[str],
    groups: Sequence[str],
    pictures: Sequence[str] = (),
) -> dict[str, tuple[tuple[str, ...], ...]]:
    """Find the groups that an official cut parts, by the name under which a study waives them.

    Args:
        ids: Of labelled images.
        parts: "train", "test" or something else.
        declared: Group by patient and study.
        groups: Group with equal and nearly equal pictures united too.
        pictures: Rows of one picture share a name; tells which rows of a group to name.

    Returns:
        By name of WAIVABLE, one tuple a group with up to NAMED ids, of both parts by turns; only names with any.
    """
    rows: dict[str, list[int]] = {}
    for row, (group, part) in enumerate(zip(groups, parts, strict=True)):
        if part in ("train", "test"):
            rows.setdefault(group, []).append(row)
    found: dict[str, list[tuple[str, ...]]] = {}
    for of_group in rows.values():
        if len({parts[row] for row in of_group}) < 2:
            continue
        people = _on_both_sides(of_group, parts, declared)
        if people:
            found.setdefault("patient-across-cut", []).append(_named(people, ids, parts))
        # What a patient of both parts does not account for is there by its pictures.
        if len(people) < len(of_group):
            twice = _on_both_sides(of_group, parts, pictures) if pictures else []
            found.setdefault("duplicate-across-cut", []).append(_named(twice or of_group, ids, parts))
    return {name: tuple(found[name]) for name in WAIVABLE if name in found}


def _on_both_sides(rows: Sequence[int], parts: Sequence[str], keys: Sequence[str]) -> list[int]:
    sides: dict[str, set[str]] = {}
    for row in rows:
        sides.setdefault(keys[row], set()).add(parts[row])
    return [row for row in rows if len(sides[keys[row]]) > 1]


def _named(rows: Sequence[int], ids: Sequence[str], parts: Sequence[str]) -> tuple[str, ...]:
    train, test = ([row for row in rows if parts[row] == part][: NAMED // 2] for part in ("train", "test"))
    by_turns = [*zip(train, test, strict=False)]
    return tuple(dict.fromkeys(ids[row] for pair in by_turns for row in pair))


def waived_leaks(protocol: str, waived: Sequence[str]) -> frozenset[str]:
    """Return the leaks of :data:`.LEAKS` that a study's waivers allow under a protocol of that name."""
    return frozenset({"same-patient"}) if protocol == "official" and set(waived) & set(WAIVABLE) else frozenset()


def columns_of(parts: np.ndarray | None, n: int) -> list[str]:
    """Return the parts of an official cut as text, empty where there is none."""
    return [""] * n if parts is None else [str(part) for part in parts]


def waived(text: str, source: Mapping[str, Any], waive: Sequence[str]) -> list[str]:
    """Say what a study waives of the official cut that a table stands on.

    Args:
        text: Of the protocol.
        source: Facts of the data set, as a board holds them.
        waive: Findings that the study waives.
    """
    if protocol(text).name != "official":
        return []
    found, overlap = source.get("across", {}), source.get("overlap") or {}
    images = (
        {
            "duplicate-across-cut": f"{overlap.get('twins'):,} of {overlap.get('tested'):,} test images",
            "patient-across-cut": f"{overlap.get('patients'):,} of {overlap.get('tested'):,} test images",
        }
        if overlap
        else {}
    )
    return [
        f"WAIVED {name}: {WAIVABLE[name]}, {images[name] + ' in ' if name in images else ''}"
        f"{counted(found[name], 'group')}; what they add to the scores is not known."
        for name in waive
        if name in found
    ]
