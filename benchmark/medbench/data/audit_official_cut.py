"""What the two parts of an official cut share, and which of it stops a run unless the study waives it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medbench.protocols.protocol import protocol
from medbench.text import counted

WAIVABLE = {
    "patient-across-cut": "a patient or study lies in both parts of the official cut",
    "duplicate-across-cut": "a picture lies in both parts of the official cut, the same or nearly",
}
"""What stops a run under the protocol ``official``, unless its study waives it by this name."""
MOST_NAMED = 4  # rows named in a message


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


def groups_across_cut(
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
        By name of WAIVABLE, one tuple a group with up to MOST_NAMED ids, of both parts by turns; only names with any.
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
            found.setdefault("patient-across-cut", []).append(_ids_by_turns(people, ids, parts))
        # What a patient of both parts does not account for is there by its pictures.
        if len(people) < len(of_group):
            twice = _on_both_sides(of_group, parts, pictures) if pictures else []
            found.setdefault("duplicate-across-cut", []).append(_ids_by_turns(twice or of_group, ids, parts))
    return {name: tuple(found[name]) for name in WAIVABLE if name in found}


def _on_both_sides(rows: Sequence[int], parts: Sequence[str], keys: Sequence[str]) -> list[int]:
    sides: dict[str, set[str]] = {}
    for row in rows:
        sides.setdefault(keys[row], set()).add(parts[row])
    return [row for row in rows if len(sides[keys[row]]) > 1]


def _ids_by_turns(rows: Sequence[int], ids: Sequence[str], parts: Sequence[str]) -> tuple[str, ...]:
    train, test = ([row for row in rows if parts[row] == part][: MOST_NAMED // 2] for part in ("train", "test"))
    by_turns = [*zip(train, test, strict=False)]
    return tuple(dict.fromkeys(ids[row] for pair in by_turns for row in pair))


def waived_leaks(protocol: str, waived: Sequence[str]) -> frozenset[str]:
    """Return the leaks of :data:`.LEAKS` that a study's waivers allow under a protocol of that name."""
    return frozenset({"same-patient"}) if protocol == "official" and set(waived) & set(WAIVABLE) else frozenset()


def part_names(parts: np.ndarray | None, n: int) -> list[str]:
    """Return the parts of an official cut as text, empty where there is none."""
    return [""] * n if parts is None else [str(part) for part in parts]


def describe_waivers(text: str, source: Mapping[str, Any], waive: Sequence[str]) -> list[str]:
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


def find_overlap(
    ids: Sequence[str],
    parts: Sequence[str],
    declared: Sequence[str],
    groups: Sequence[str],
    pictures: Sequence[str],
    *,
    contents: Sequence[str],
) -> Overlap | None:
    """Count the images of an official cut that its other part has too; None where there is no such cut.

    Args:
        ids: Of labelled images.
        parts: "train", "test" or something else.
        declared: Group by patient and study.
        groups: Group with equal and nearly equal pictures united too.
        pictures: Rows of one picture share a name.
        contents: Rows of equal pixels share a hash; empty for a blank picture.
    """
    if not {"train", "test"} <= set(parts):
        return None
    n = range(len(ids))
    of_picture: dict[str, tuple[list[str], list[str]]] = {}
    for row in n:
        if parts[row] in ("train", "test"):
            of_picture.setdefault(pictures[row], ([], []))[parts[row] == "test"].append(ids[row])
    people = {declared[row] for row in n if parts[row] == "train"}
    learnt = {groups[row] for row in n if parts[row] == "train"}
    tested = {groups[row] for row in n if parts[row] == "test"}
    pixels = {contents[row] for row in n if parts[row] == "train"} - {""}
    return Overlap(
        trained=sum(part == "train" for part in parts),
        tested=sum(part == "test" for part in parts),
        twins=tuple(Twins(tuple(test), tuple(train)) for train, test in of_picture.values() if train and test),
        equal=sum(parts[r] == "test" and contents[r] in pixels for r in n),
        patients=tuple(ids[r] for r in n if parts[r] == "test" and declared[r] in people),
        shared=sum(parts[r] == "test" and groups[r] in learnt for r in n),
        dropped=tuple(ids[r] for r in n if parts[r] == "train" and groups[r] in tested),
    )
