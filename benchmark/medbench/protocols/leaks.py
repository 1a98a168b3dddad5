"""Kinds of leaks between training, validation and test, and how each is found."""

from __future__ import annotations

from collections.abc import Iterable

from medbench.samples import Samples

LEAKS = {
    "same-patient": "a patient, study or duplicate is both in training or validation and in test",
    "copy": "a training image was made from a test image, or the other way round",
    "synthetic-scored": "a made image is scored",
    "fitted-on-test": "a generator or another stage was fitted on a test image",
    "selected-on-test": "validation and test share images",
    "unequal-steps": "arms with made rows are trained for longer",
    "not-from-train": "a training image is neither of the training part nor made from it",
}


def find_leaks(
    train: Samples, validation: Samples, test: Samples, fitted_on: Iterable[frozenset[str]] = ()
) -> frozenset[str]:
    """Return the members of :data:`LEAKS` that hold between what is learnt from and what is scored.

    Args:
        train: What the classifier is trained on.
        validation: What training is monitored on.
        test: What is scored.
        fitted_on: Ids that each stage was fitted on.
    """
    found = set()
    test_ids = set(test.ids.tolist())
    test_made_from = _sources(test)
    if set(test.groups[test.is_real].tolist()) & (set(train.groups.tolist()) | set(validation.groups.tolist())):
        found.add("same-patient")
    if _sources(train) & test_ids or test_made_from & set(train.ids.tolist()):
        found.add("copy")
    if not test.is_real.all():
        found.add("synthetic-scored")
    if any(stage & test_ids for stage in fitted_on):
        found.add("fitted-on-test")
    if set(validation.ids.tolist()) & test_ids:
        found.add("selected-on-test")
    # Selecting on the test part puts its patients into validation by definition; it is one leak, not two.
    if "selected-on-test" in found and not set(test.groups.tolist()) & set(train.groups.tolist()):
        found.discard("same-patient")
    return frozenset(found)


def _sources(samples: Samples) -> set[str]:
    return set().union(*{id(s): s for s in samples.sources}.values()) if len(samples) else set()
