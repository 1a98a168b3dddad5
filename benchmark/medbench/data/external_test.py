"""External tests: the data set that is tested beside the one that is trained on, with and without pixels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from medbench.data.cache import open_samples
from medbench.data.describe import DatasetDescription
from medbench.data.find_phantom import PHANTOM
from medbench.data.transfer_sources import pictures_of, without_pixels
from medbench.errors import DataError, LeakError
from medbench.protocols.external import join_test_set, joined_fingerprint, match_classes
from medbench.protocols.protocol import EvaluationProtocol
from medbench.registry.recipes import parse
from medbench.samples import Samples


def open_with_test_set(rule: EvaluationProtocol, folder: Path, folders: Mapping[str, str]) -> Samples:
    """Open a decoded data set as a protocol arranges it: of an external test, with the rows of the tested one.

    Args:
        rule: The protocol.
        folder: The decoded data set that is trained on.
        folders: Decoded folders of other data sets, as :attr:`.DatasetDescription.folders_of_others`.
    """
    samples = open_samples(folder)
    if not rule.is_external:
        return samples
    other = Path(folders[f"test={rule.test}"])
    tested = open_samples(other)
    return join_test_set(samples, tested, rule.classes, (pictures_of(folder, samples), pictures_of(other, tested)))


def with_test_set(source: DatasetDescription, rule: EvaluationProtocol) -> DatasetDescription:
    """Describe a data set as a protocol arranges it: of an external test, with the rows of the tested one.

    Raises:
        UsageError: If a class of one of the two has no partner.
        DataError: If images differ in channels or axes.
        LeakError: If a recipe of the study learns from what is tested.
    """
    if not rule.is_external:
        return source
    other = source.tested[rule.test]
    if (source.channels, source.dimensions) != (other.channels, other.dimensions):
        raise DataError(
            f"{source.text}: its images are {_shape(source)}, those of {other.text}, which is tested, {_shape(other)}; "
            "choose a test set of the same kind."
        )
    found = pictures_in(source), pictures_in(other)
    pixels = found if all(found) else None
    if source.is_decoded:
        _check_learnt(source, other, set(pixels[1]) - {""} if pixels is not None else set())
    own, tested = (one.samples if pixels is not None else _named_apart(one) for one in (source, other))
    joined = join_test_set(without_pixels(own), without_pixels(tested), rule.classes, pixels)
    return replace(source, data=joined_fingerprint(source.data, other.data), samples=joined, unit=other.unit)


def pictures_in(source: DatasetDescription) -> Sequence[str]:
    """Return what tells each row's picture; nothing of a data set that is not decoded."""
    if source.folder is None:
        return source.pictures
    return pictures_of(source.folder, open_samples(source.folder))


def _named_apart(source: DatasetDescription) -> Samples:
    """Return rows whose groups are told from those of another family of data sets, as decoding tells them."""
    family = parse(source.text.removeprefix(PHANTOM)).name.partition(":")[0]
    s = source.samples
    return replace(
        s,
        ids=np.array([f"{family}/{name}" for name in s.ids.tolist()], dtype=np.str_),
        groups=np.array([f"{family}/{group}" for group in s.groups.tolist()], dtype=np.str_),
    )


def _check_learnt(source: DatasetDescription, other: DatasetDescription, pictures: set[str]) -> None:
    """Refuse a classifier or generator that learns from patients or pictures that are tested."""
    tested = set(other.samples.groups.tolist())
    for name, rows in source.others.items():
        shared = {i for i, group in zip(rows.ids.tolist(), rows.groups.tolist(), strict=True) if group in tested}
        if pictures:
            folder = Path(source.other_folders[name])
            opened = open_samples(folder)
            known = zip(opened.ids.tolist(), pictures_of(folder, opened), strict=True)
            shared |= {i for i, picture in known if picture in pictures} & set(rows.ids.tolist())
        if shared:
            raise LeakError(
                f"{other.text} is tested, and a recipe of the study learns from {len(shared):,} of its images; "
                "choose another source to pretrain on, or another test set."
            )


def tested_facts(source: Mapping[str, Any], rule: EvaluationProtocol) -> Mapping[str, Any]:
    """Return a data set's facts, as a record holds them, for the boards of a protocol.

    Of an external test these are numbers of the tested data set, by the classes trained on, with ``tested`` saying
    which one it is; ``data`` is the fingerprint of both.
    """
    if not rule.is_external or rule.test not in source.get("tests", {}):
        return source
    other = source["tests"][rule.test]
    class_patients = [0] * len(source["classes"])
    partners = match_classes(source["classes"], other["classes"], rule.classes)
    for partner, n in zip(partners, other["class_patients"], strict=True):
        class_patients[partner] += n
    of_tested = {key: other[key] for key in ("images", "patients", "unit", "notes")}
    is_private = "nothing" in (source["publish"], other["publish"])
    return {
        **source,
        **of_tested,
        "class_patients": class_patients,
        "data": joined_fingerprint(source["data"], other["data"]),
        "publish": "nothing" if is_private else source["publish"],
        "across": {},
        "overlap": {},
        "tested": {"dataset": other["dataset"], **({"title": other["title"]} if other.get("title") else {})},
    }


def _shape(source: DatasetDescription) -> str:
    colours = {1: "grey", 3: "in colour"}.get(source.channels, f"of {source.channels} channels")
    return f"{source.dimensions}-D and {colours}"
