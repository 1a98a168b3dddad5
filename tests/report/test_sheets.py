"""Sheets of samples: each row has its name, and what was white between images is clear."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from _contact_sheet import contact_sheet
from medbench.report.sheets import named, rows_of
from medbench.report.term_links import TermLinks


@pytest.mark.parametrize("colours", [0, 3])
def test_rows_are_named_and_keep_their_images(colours: int) -> None:
    found = named(contact_sheet(4, colours=colours), ("benign", "malignant"), generated="generated")

    assert found is not None
    assert [name for name, _ in found] == [
        "benign, real", "benign, generated", "malignant, real", "malignant, generated"
    ]  # fmt: skip
    for number, (_, png) in enumerate(found):
        pixels = np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))
        assert pixels.shape[0] == 16
        seen = pixels[pixels[..., 3] > 0]
        assert set(seen[:, 0].tolist()) == {20 + 10 * number + column for column in range(3)}  # no white is left
        assert (pixels[:, :4, 3] == 0).all()


def test_a_sheet_of_another_kind_gets_no_names() -> None:
    assert named(contact_sheet(3), ("benign", "malignant"), generated="generated") is None
    assert len(rows_of(contact_sheet(3))) == 3


def test_a_term_is_linked_once_a_section_and_explained_with_the_terms_of_its_meaning() -> None:
    links = TermLinks()
    first = links.link("A gain, and a gain again; <b>AUROC</b> of hybrid[generator=resample].")
    links.start()
    later = links.link("Another gain. The time is short.")

    assert first.count("<a ") == 2
    assert "&lt;b&gt;" in first
    assert later.count("<a ") == 1  # time is a word of everyday language
    known = {term.name for term, _ in links.used()}
    assert {"gain", "AUROC", "balanced accuracy"} <= known
    assert "recipe" not in known
