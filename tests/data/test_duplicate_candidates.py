"""The search for pictures that are one loses no pair, and thousands of pictures with nothing in them cost no more."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.data import audit_duplicates, duplicate_candidates
from medbench.data.audit_duplicates import DETAIL, DETAIL_OF_FEW, WHOLE, Pair, find_duplicates, find_look_alikes
from medbench.data.audit_images import is_blank
from medbench.data.groups import UnionFind
from medbench.data.picture_planes import SIDE, blur, comparable_planes, flips_and_turns, normalise

KINDS = ("texture", "copy", "turned", "noise", "marker", "flat", "ramp")


def draw(kinds: list[str], side: int, seed: int) -> np.ndarray:
    """``uint8 (n, 1, side, side)``, one picture a kind; copies and turned ones are of the first texture."""
    rng = np.random.default_rng(seed)
    first = rng.normal(128, 60, (side // 4, side // 4)).repeat(4, 0).repeat(4, 1)
    drawn = []
    for kind in kinds:
        x = np.full((side, side), 20.0)
        if kind == "texture":
            x = rng.normal(128, 60, (side // 4, side // 4)).repeat(4, 0).repeat(4, 1)
        elif kind in ("copy", "turned"):
            x = np.rot90(first, 0 if kind == "copy" else int(rng.integers(4))) + rng.normal(
                0, rng.uniform(0, 12), x.shape
            )
        elif kind == "noise":
            x = x + rng.normal(0, 3, x.shape)
        elif kind == "marker":
            x[2:8, 2:4] = 220
            x = x + rng.normal(0, 1, x.shape)
        elif kind == "ramp":
            x = np.linspace(0, 200, side)[None].repeat(side, 0) + rng.normal(0, 1.5, x.shape)
        drawn.append(x.clip(0, 255).astype(np.uint8))
    return np.array(drawn)[:, None]


def plainly(pixels: np.ndarray, known: list[str], marks: list[int]) -> list[Pair]:
    """Compare every pair that does not belong together from the start, under every turn, one after the other."""
    views = comparable_planes(pixels)
    whole, detail = normalise(views), normalise(views - blur(views))
    wanted = DETAIL if views.shape[-1] == SIDE else DETAIL_OF_FEW
    groups, pictures = UnionFind(len(pixels)), UnionFind(len(pixels))
    groups.join_equal(known)
    shows = [bool(w.any() and d.any()) for w, d in zip(whole, detail, strict=True)]
    pairs = [
        (i, j)
        for i in range(len(pixels))
        for j in range(i + 1, len(pixels))
        if shows[i] and shows[j] and (groups.root(i) != groups.root(j) or marks[i] != marks[j])
    ]
    found = []
    for i, j in pairs:
        both = zip(flips_and_turns(whole[[j]]), flips_and_turns(detail[[j]]), strict=True)
        values = [(whole[i] * w[0]).sum() for w, d in both if (detail[i] * d[0]).sum() >= wanted]
        if values and max(values) >= WHOLE:
            linked, one = groups.join(i, j), pictures.join(i, j)
            if linked or (one and marks[i] != marks[j]):
                found.append(Pair(i, j, float(max(values))))
    return found


@settings(max_examples=40, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(KINDS), min_size=2, max_size=24),
    side=st.sampled_from([24, 48, 64]),
    seed=st.integers(0, 999),
    people=st.integers(1, 24),
    classes=st.integers(1, 2),
    is_tight=st.booleans(),
)
def test_the_search_finds_what_comparing_every_pair_finds(
    kinds: list[str], side: int, seed: int, people: int, classes: int, is_tight: bool
) -> None:
    """Also with so little room that every longer descriptor is asked, on blocks that are made smaller."""
    pixels = draw(kinds, side, seed)
    known = [str(row % people) for row in range(len(pixels))]
    marks = [row % classes for row in range(len(pixels))]
    expected = plainly(pixels, known, marks)

    with pytest.MonkeyPatch.context() as patch:
        if is_tight:
            patch.setattr(duplicate_candidates, "BLOCK", 8)
            patch.setattr(duplicate_candidates, "CROWD", 0)
            if classes == 1:  # who is the same person's second picture is known as far as a block has come
                patch.setattr(duplicate_candidates, "MOST", 10)
        found = find_duplicates(pixels, known, marks=marks)

    assert [(pair.first, pair.second) for pair in found] == [(pair.first, pair.second) for pair in expected]
    assert [pair.value for pair in found] == pytest.approx([pair.value for pair in expected], abs=1e-5)


@pytest.mark.parametrize("kind", ["marker", "noise", "ramp", "flat"])
def test_thousands_of_pictures_with_little_in_them_are_compared_once_each(
    kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crowd that is one picture is linked to its first; what shows nothing is counted, and compared with nobody."""
    monkeypatch.setattr(duplicate_candidates, "BLOCK", 512)
    monkeypatch.setattr(duplicate_candidates, "MOST", 2**15)
    compared: list[int] = []
    agree = audit_duplicates._agreement

    def counting(whole: np.ndarray, detail: np.ndarray, i: np.ndarray, j: np.ndarray, wanted: float) -> np.ndarray:
        compared.append(len(i))
        return agree(whole, detail, i, j, wanted)

    monkeypatch.setattr(audit_duplicates, "_agreement", counting)
    n = 2000
    pixels = draw([kind] * n, 24, 0)

    pairs = find_duplicates(pixels, [str(row) for row in range(n)])

    assert sum(compared) < 4 * n
    assert [(pair.first, pair.second) for pair in pairs] == [(0, row) for row in range(1, n) if kind == "marker"]


def test_pairs_that_look_alike_are_counted_and_the_first_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_duplicates, "BLOCK", 16)
    pixels = draw(["marker"] * 40 + ["texture"] * 10, 24, 0)
    names = [str(row) for row in range(50)]
    every, count = find_look_alikes(pixels, names)

    monkeypatch.setattr(audit_duplicates, "LISTED", 100)
    first, as_many = find_look_alikes(pixels, names)

    assert count == as_many == len(every) >= 40 * 39 // 2
    assert first == every[:100]
    assert [(pair.first, pair.second) for pair in every] == sorted((pair.first, pair.second) for pair in every)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.3, 2), st.integers(1, 3), st.integers(1, 40))
def test_an_image_is_blank_where_each_channel_varies_by_less_than_a_gray_level(
    seed: int, deviation: float, channels: int, side: int
) -> None:
    image = np.random.default_rng(seed).normal(90, deviation, (channels, side, side)).clip(0, 255).astype(np.uint8)

    assert is_blank(image) == (image.std((1, 2)).max() < 1)
