"""The data set that is tested beside the one that is trained on: fingerprints, who learns from whom, tables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from medbench.data import external_test
from medbench.data.describe import DatasetDescription
from medbench.data.external_test import with_test_set
from medbench.errors import DataError, LeakError
from medbench.protocols.external import joined_fingerprint
from medbench.protocols.protocol import protocol
from medbench.samples import Samples

RULE = protocol("external[test=there,classes=ill:yes/well:no]")


def described(name: str, patients: int, classes: tuple[str, ...], data: str) -> DatasetDescription:
    of = np.array([f"p{i}" for i in range(patients)])
    samples = Samples(
        x=np.zeros((patients, 0), dtype=np.uint8),
        labels=(np.arange(patients) % 3 == 0).astype(np.int64),
        ids=of,
        patients=of,
        groups=of,
        sources=((),) * patients,
        classes=classes,
    )
    return DatasetDescription(name, data, None, samples, 2, (), "patient", "everything")


HERE = replace(
    described("here", 30, ("no", "yes"), "one"), tested={"there": described("there", 12, ("well", "ill"), "two")}
)


def test_another_test_set_is_another_result() -> None:
    changed = replace(HERE, tested={"there": replace(HERE.tested["there"], data="three")})

    assert with_test_set(HERE, RULE).data == joined_fingerprint("one", "two")
    assert with_test_set(changed, RULE).data != with_test_set(HERE, RULE).data
    assert with_test_set(HERE, protocol("patients")) is HERE
    of_boards = [external_test.tested_facts(one.facts(), RULE)["data"] for one in (HERE, changed)]
    assert of_boards == [with_test_set(one, RULE).data for one in (HERE, changed)]


def test_names_of_images_that_are_not_decoded_are_told_apart() -> None:
    joined = with_test_set(HERE, RULE).samples
    assert len(set(joined.ids.tolist())) == 42
    assert joined.parts is not None
    assert set(joined.parts.tolist()) == {"train", "test"}


def test_tables_count_who_was_tested_by_the_classes_trained_on() -> None:
    facts = external_test.tested_facts(HERE.facts(), RULE)
    assert (facts["dataset"], facts["patients"], facts["class_patients"]) == ("here", 12, [8, 4])
    assert facts["classes"] == ["no", "yes"]
    assert facts["tested"]["dataset"] == "there"
    assert external_test.tested_facts(HERE.facts(), protocol("patients"))["patients"] == 30


def test_who_is_tested_may_not_be_pretrained_on() -> None:
    learnt = replace(HERE, others={"there": HERE.tested["there"].samples}, other_folders={"there": "folder"})
    with pytest.raises(LeakError, match="there is tested, and a recipe of the study learns from 12 of its images"):
        with_test_set(learnt, RULE)
    names_alone = replace(learnt, data="")  # before images are decoded, patients of two data sets bear the same names
    with_test_set(names_alone, RULE)


def test_grey_images_against_colours_are_refused() -> None:
    colours = replace(HERE, tested={"there": replace(HERE.tested["there"], channels=3)})
    with pytest.raises(
        DataError, match="its images are 2-D and grey, those of there, which is tested, 2-D and in colour"
    ):
        with_test_set(colours, RULE)
