"""The check of every cut while trials are planned: leaks, missing classes, too few patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from medbench.data.audit_official_cut import WAIVABLE, waived_leaks
from medbench.data.describe import DatasetDescription
from medbench.errors import DataError, LeakError, UsageError
from medbench.identity.identity import digest
from medbench.interfaces import TrainingSet
from medbench.planning.few_patients import explain_few
from medbench.protocols.external import written_plainly
from medbench.protocols.folds import Cut, without_overlap
from medbench.protocols.leaks import LEAKS, find_leaks
from medbench.protocols.protocol import EvaluationProtocol
from medbench.registry.recipes import listing
from medbench.samples import Samples
from medbench.text import counted

FEWEST_TESTED = 10
"""Patients of the rarest class in a test part; with fewer there is a warning."""


@dataclass(frozen=True, eq=False)
class CheckedCut:
    """A cut that leaks nothing its protocol does not declare.

    Attributes:
        train: What a stage of a trial is fitted on.
        encoder_rows: What an encoder is fitted on: the same, but where a leak is of one of the two alone.
        warnings: Sentences by what they begin with; of several that begin alike the first is enough.
    """

    train: Samples
    encoder_rows: Samples
    warnings: Mapping[str, str]


def check_cut(source: DatasetDescription, rule: EvaluationProtocol, cut: Cut, waived: Sequence[str]) -> CheckedCut:
    """Arrange a cut with nothing prepared, and check it before anything is fitted.

    Args:
        source: Data set.
        rule: Protocol.
        cut: Fold and repeat.
        waived: Findings that the study accepts.

    Raises:
        LeakError: If the cut leaks what the protocol does not declare.
        DataError: If a class has fewer patients than folds.
        UsageError: If a class is missing from training, there is nothing to test, an external test is on the data
            set that is trained on, or its classes hold blanks or signs, which no bundle could hold.
    """
    if rule.is_external and rule.test == source.text.removeprefix("phantom:"):
        raise UsageError(
            f"{source.text}: an external test is on another data set than the one that is trained on; name another in "
            "test=, or use --protocol patients."
        )
    if rule.classes.lower() != (plain := written_plainly(rule.classes)):
        raise UsageError(f"classes={rule.classes}: write classes={plain}, with a hyphen for every space or sign.")
    trained_on: list[Samples] = []

    def prepare(train: Samples, *held_out: Samples) -> tuple[Any, ...]:
        trained_on.append(train)
        return TrainingSet(train), *held_out

    try:
        made, validation, test = rule.arrange(source.samples, cut, prepare)
    except DataError as error:
        raise DataError(" ".join(filter(None, (f"{source.text}: {error}", explain_few(source.samples))))) from None
    unexpected = find_leaks(made.samples, validation, test) - rule.leaks
    if "same-patient" in unexpected and rule.name == "official":
        _check_official(source, waived)
        unexpected -= waived_leaks(rule.name, waived)
    if "same-patient" in unexpected and rule.is_external:
        raise LeakError(
            f"{source.text}: {_shared_images(source.samples)} share a patient or a picture with the tested data "
            f"set; train without them by external[test={rule.test},overlap=drop]."
        )
    if unexpected:
        reasons = "; ".join(LEAKS[leak] for leak in sorted(unexpected))
        learnt = {*made.samples.groups.tolist(), *validation.groups.tolist()}
        # Hashes, since a group may bear a patient's name.
        shared = sorted(digest(group)[:8] for group in learnt & set(test.groups.tolist()))
        raise LeakError(
            f"{source.text}: the cut of protocol {rule.name!r} leaks: {reasons} ({counted(len(shared), 'group')}, by "
            f"hash {listing(shared, 5)}); use --protocol patients, or mend the data set's patients and parts."
        )
    missing = sorted(set(range(len(source.samples.classes))) - set(made.samples.labels.tolist()))
    if missing or not len(test):
        one_cut = "an external test" if rule.is_external else "the official cut"
        where = f"fold {cut.fold} of {cut.folds}" if cut.folds > 1 else one_cut
        problem = f"{source.text}: {where} {_missing_class(source, rule, cut, missing)}."
        raise UsageError(" ".join(filter(None, (problem, explain_few(source.samples)))))
    rows = rule.encoder_rows(source.samples, cut, trained_on[0])
    return CheckedCut(trained_on[0], rows, _overlap_warning(source, rule) | _rarity_warning(source, test, cut))


def _rarity_warning(source: DatasetDescription, test: Samples, cut: Cut) -> dict[str, str]:
    rarest = min(len(set(test.patients[test.labels == k].tolist())) for k in range(len(test.classes)))
    if rarest >= FEWEST_TESTED:
        return {}
    begin = f"{source.text}: {'a test fold' if cut.folds > 1 else 'the test part'} has"
    fewer = "; use fewer folds" if cut.folds > 2 else ""
    return {
        begin: f"{begin} {counted(rarest, 'patient')} of the rarest class, {FEWEST_TESTED} are wanted{fewer}",
    }


def _overlap_warning(source: DatasetDescription, rule: EvaluationProtocol) -> dict[str, str]:
    """Say how many training images an official cut goes without."""
    if rule.overlap != "drop":
        return {}
    s = source.samples
    left_out = len(s) - len(without_overlap(s))
    if not left_out and not source.is_decoded:  # twins are found when images are decoded
        return {}
    trained = int((s.parts == "train").sum()) if s.parts is not None else 0
    sentence = (
        f"{source.text}: {rule.name}[overlap=drop] trains without {left_out:,} of "
        f"{counted(trained, 'image')}, which share a patient or a picture with the test part"
    )
    return {sentence: sentence}


def _shared_images(samples: Samples) -> str:
    """Count the training images of an external test whose picture or patient is tested."""
    n = len(samples) - len(without_overlap(samples))
    return f"{n:,} of {counted(int(np.sum(samples.parts == 'train')), 'training image')}"


def _check_official(source: DatasetDescription, waived: Sequence[str]) -> None:
    """Raise a LeakError for the first finding in which an official cut parts a group and which is not waived."""
    for name, groups in source.across.items():
        if name not in waived:  # the whole list is the audit's
            first = "; ".join(" and ".join(ids) for ids in groups[:3])
            raise LeakError(
                f"{source.text}: the cut of protocol 'official' leaks: {WAIVABLE[name]} "
                f"({_tested_images(source, name)}{counted(len(groups), 'group')}: {first}); use --protocol patients, "
                f"train without them by --protocol official[overlap=drop]{_dropped_images(source)}, mend the data "
                "set's patients, files and parts, or accept it with "
                f'waive = ["{name}"] in the study file, which every table will say.'
            )


def _missing_class(source: DatasetDescription, rule: EvaluationProtocol, cut: Cut, missing: Sequence[int]) -> str:
    """Say which class a cut leaves nobody of, or that nothing is tested, and what to do about it."""
    if not missing:
        return "has no image to test; use --protocol patients"
    s, k = source.samples, missing[0]
    rows = s.labels == k
    if rule.has_one_cut and s.parts is not None:
        rows = rows & (s.parts == "train")
    groups = counted(len(set(s.groups[rows].tolist())), "patient")
    problem = f"leaves class {s.classes[k]!r} out of training: it has {groups}"
    if rule.name == "official":
        return f"{problem} in the training part; use --protocol patients, or add patients of it there"
    if cut.folds > 2:
        return f"{problem}; use fewer folds, or add patients of it"
    return f"{problem}, and one to train on, one to watch the training and one to test are needed; add some or drop it"


def _tested_images(source: DatasetDescription, name: str) -> str:
    """Count the test images of a finding; empty while they are not decoded."""
    if not source.overlap:
        return ""
    n = source.overlap["twins" if name == "duplicate-across-cut" else "patients"]
    return f"{n:,} of {counted(source.overlap['tested'], 'test image')} in "


def _dropped_images(source: DatasetDescription) -> str:
    if not source.overlap:
        return ""
    return (
        f" (which leaves out {source.overlap['dropped']:,} of {counted(source.overlap['trained'], 'training image')})"
    )
