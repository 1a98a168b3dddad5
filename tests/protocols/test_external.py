"""A data set that is trained on and another one that is tested: classes, shared pictures, the one cut."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from medbench.errors import DataError, MedbenchError, UsageError
from medbench.interfaces import TrainingSet
from medbench.protocols.external import join_test_set, joined_fingerprint, match_classes, parse_mapping
from medbench.protocols.folds import Cut
from medbench.protocols.leaks import find_leaks
from medbench.protocols.protocol import protocol
from medbench.protocols.protocol_text import seeded_as, with_leaks
from medbench.samples import Samples


def data_set(name: str, patients: int, classes: Sequence[str] = ("no", "yes"), side: int = 4) -> Samples:
    """Return two images a patient, every second patient of the other class."""
    n = 2 * patients
    ids = np.array([f"{name}/{i}" for i in range(n)])
    of = np.array([f"{name}/p{i // 2}" for i in range(n)])
    return Samples(
        x=np.zeros((n, 1, side, side), dtype=np.uint8),
        labels=np.arange(n) // 2 % len(classes),
        ids=ids,
        patients=of,
        groups=of,
        sources=((),) * n,
        classes=tuple(classes),
        made_of=name,
    )


def arranged(text: str, samples: Samples, repeat: int) -> tuple[set[str], set[str], set[str]]:
    """Return patients of training, validation and test."""
    made, validation, test = protocol(text).arrange(
        samples, Cut(0, 1, repeat), lambda train, *held: (TrainingSet(train), *held)
    )
    one, other, last = (set(part.patients.tolist()) for part in (made.samples, validation, test))
    return one, other, last


def test_all_of_the_other_set_is_tested_and_the_same_tenth_watched_in_all_repeats() -> None:
    joined = join_test_set(data_set("here", 40), data_set("there", 10), "")
    first, second = (arranged("external[test=there]", joined, repeat) for repeat in range(2))

    assert first == second
    assert first[2] == {f"there/p{i}" for i in range(10)}
    assert len(first[0]) == 36
    assert len(first[1]) == 4
    assert not first[0] & first[1]


def test_draws_of_patients_are_disjoint_and_never_watched() -> None:
    joined = join_test_set(data_set("here", 40), data_set("there", 10), "")
    drawn = [arranged("external[test=there,patients=12]", joined, repeat) for repeat in range(3)]

    assert [len(train) for train, _, _ in drawn] == [12] * 3
    assert len(set().union(*(train for train, _, _ in drawn))) == 36
    assert len({frozenset(validation) for _, validation, _ in drawn}) == 1
    assert len(arranged("external[test=there,share=0.5]", joined, 0)[0]) == 18


def test_classes_go_by_name_or_by_the_mapping_which_may_put_several_together() -> None:
    assert match_classes(("no", "yes"), ("Yes", "No"), "") == (1, 0)
    assert match_classes(("No finding", "Fracture"), ("a", "b", "no finding"), "a:fracture/b:fracture") == (1, 1, 0)
    assert parse_mapping("No finding:normal") == {"no-finding": "normal"}

    joined = join_test_set(data_set("here", 4), data_set("there", 4, ("yes", "no")), "")
    assert joined.labels[8:].tolist() == [1, 1, 0, 0, 1, 1, 0, 0]
    assert joined.made_of == "here"


@pytest.mark.parametrize(
    ("theirs", "mapping", "says"),
    [
        (("no", "ill"), "", "class 'ill' of the tested data set has no partner: the classes trained on are 'no' and "
         "'yes', those tested 'no' and 'ill'; write classes=THEIRS:OURS"),
        (("no", "ill"), "ill:no", "class 'yes' is trained on and never tested"),
        (("no", "ill"), "sick:yes", "'sick' is no class tested"),
        (("no", "ill"), "ill:maybe", "'maybe' is no class trained on"),
    ],
)  # fmt: skip
def test_a_class_without_a_partner_is_refused_with_all_names(theirs: tuple[str, ...], mapping: str, says: str) -> None:
    with pytest.raises(UsageError) as caught:
        match_classes(("no", "yes"), theirs, mapping)
    assert says in str(caught.value)


def test_a_picture_in_both_sets_is_a_leak_and_drop_trains_without_its_whole_patient() -> None:
    here, there = data_set("here", 40), data_set("there", 10)
    pictures = [f"a{i}" for i in range(80)], [f"b{i}" for i in range(20)]
    pictures[1][3] = pictures[0][7]
    pictures[0][0] = pictures[1][0] = ""  # blank: says nothing of who is in it
    joined = join_test_set(here, there, "", pictures)

    train, watched, _ = arranged("external[test=there]", joined, 0)
    assert "here/p3" in train | watched
    made, validation, tested = protocol("external[test=there]").arrange(
        joined, Cut(0, 1, 0), lambda train, *held: (TrainingSet(train), *held)
    )
    assert find_leaks(made.samples, validation, tested) == {"same-patient"}
    train, watched, test = arranged("external[test=there,overlap=drop]", joined, 0)
    assert "here/p3" not in train | watched
    assert "here/p0" in train | watched
    assert len(test) == 10


def test_other_images_are_refused_and_both_fingerprints_count() -> None:
    with pytest.raises(DataError, match="the images trained on are 1 x 4 x 4, those tested 1 x 5 x 5"):
        join_test_set(data_set("here", 4), data_set("there", 4, side=5), "")
    assert joined_fingerprint("a", "b") != joined_fingerprint("a", "c")
    assert joined_fingerprint("a", "") == ""


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("external", "which data set is tested"),
        ("external[test=there,leak=images]", "leaks are rerun within one data set"),
        ("external[test=there,classes=a]", "'a' is not theirs:ours"),
        ("external[test=there,classes=a:b/a:c]", "gives 'a' twice"),
        ("patients[test=there]", "belong to an external test"),
    ],
)
def test_an_external_test_that_is_none_is_refused(text: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        protocol(text)


def test_seeds_of_an_external_test_know_neither_share_nor_patients_and_no_leak_is_rerun() -> None:
    assert seeded_as("external[test=a,share=0.5,patients=3]") == "external[test=a]"
    with pytest.raises(MedbenchError, match="within one data set"):
        with_leaks("external[test=a]", ["images"])
