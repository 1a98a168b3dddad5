"""Pictures that are one picture are found, and no others."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench.data import audit_duplicates
from medbench.data.audit_duplicates import DETAIL, WHOLE, find_duplicates, find_look_alikes
from medbench.data.audit_findings import Findings
from medbench.data.audit_official_cut import Twins, find_overlap, groups_across_cut
from medbench.data.cache import decode
from medbench.data.find_phantom import phantom_root
from medbench.data.picture_planes import comparable_planes, flips_and_turns
from medbench.protocols.folds import without_overlap
from medbench_datasets.ddti import DDTI
from medbench_datasets.medmnist import MedMNIST
from medbench_datasets.readers.pictures.read import fit_square, read_picture
from toy_pictures import Pictures

sys.path.append(str(Path(__file__).parents[2] / "docs" / "benchmarks"))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def pictures(n: int, *, side: int = 64, channels: int = 1, seed: int = 0) -> np.ndarray:
    """``uint8 (n, channels, side, side)`` of blurred noise: a texture of its own in each."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(128, 60, (n, channels, side // 4, side // 4)).repeat(4, -1).repeat(4, -2)
    return (coarse + rng.normal(0, 8, coarse.shape)).clip(0, 255).astype(np.uint8)


def names(n: int) -> np.ndarray:
    return np.array([f"p{i}" for i in range(n)])


def found(pixels: np.ndarray) -> set[tuple[int, int]]:
    return {(pair.first, pair.second) for pair in find_duplicates(pixels, names(len(pixels)))}


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 7), st.floats(0.8, 1.1), st.floats(-10, 10), st.integers(0, 11), st.sampled_from([1, 3, 4]),
    st.sampled_from([24, 32, 50, 64, 100]),
)  # fmt: skip
def test_a_turned_mirrored_brightened_copy_is_always_found(
    turn: int, contrast: float, brightness: float, row: int, channels: int, side: int
) -> None:
    pixels = pictures(12, side=side // 4 * 4, channels=channels)
    copy = list(flips_and_turns(pixels[row][None]))[turn if channels == 1 else turn % 8][0]
    changed = (copy * contrast + brightness).clip(0, 255).astype(np.uint8)

    assert found(np.concatenate([pixels, changed[None]])) == {(row, 12)}


def test_what_is_found_is_what_every_pair_compared_in_float64_gives() -> None:
    """The reference compares each pair under each turn; candidates by the descriptor may lose none."""
    rng = np.random.default_rng(1)
    base = pictures(24, seed=2)
    noisy = base[:20] + rng.normal(0, np.linspace(2, 60, 20)[:, None, None, None], base[:20].shape)
    pixels = np.concatenate([base, noisy.clip(0, 255).astype(np.uint8)[:, :, ::-1]])
    views = comparable_planes(pixels)[:, 0].astype(np.float64)
    side = views.shape[-1]
    weights = np.exp(-((np.arange(side)[:, None] - np.arange(side)) ** 2) / (2 * 1.5**2))
    weights /= weights.sum(1, keepdims=True)
    detail = views - weights @ views @ weights.T

    def agree(a: np.ndarray, b: np.ndarray) -> float:
        return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])

    def turns(x: np.ndarray) -> list[np.ndarray]:
        return [np.rot90(m, k) for m in (x, x[:, ::-1]) for k in range(4)]

    expected = set()
    for i in range(len(pixels)):
        for j in range(i + 1, len(pixels)):
            both = zip(turns(views[j]), turns(detail[j]), strict=True)
            if any(agree(views[i], w) >= WHOLE and agree(detail[i], d) >= DETAIL for w, d in both):
                expected.add((i, j))

    assert found(pixels) == expected
    assert 4 < len(expected) < 20


def test_pictures_that_share_their_outline_but_not_their_detail_are_not_one() -> None:
    """Two well-aligned radiographs correlate by far more than .97."""
    ramp = np.linspace(0, 200, 64)[None, None, :, None] * np.linspace(0.2, 1, 64)
    rng = np.random.default_rng(0)
    pixels = (ramp + rng.normal(20, 6, (20, 1, 64, 64))).clip(0, 255).astype(np.uint8)
    views = comparable_planes(pixels).reshape(20, -1)

    assert np.corrcoef(views)[np.triu_indices(20, 1)].min() > WHOLE
    assert found(pixels) == set()


def test_pictures_without_contrast_are_nobodys_copy() -> None:
    flat = np.full((4, 1, 32, 32), 90, dtype=np.uint8)
    flat[1:, :, 5, 5] += 3

    assert found(flat) == set()
    assert find_duplicates(flat[:0], []) == []


def test_links_join_groups_and_stay_silent_within_one() -> None:
    pixels = pictures(4)
    five = np.concatenate([pixels, np.repeat(pixels[:1], 4, axis=0)])

    assert found(five) == {(0, 4), (0, 5), (0, 6), (0, 7)}
    assert find_duplicates(five, ["a", "b", "c", "d", "a", "a", "a", "a"]) == []


def test_within_a_group_pictures_that_differ_in_label_or_part_are_linked_too() -> None:
    """Two of one patient need no link, unless one picture stands under two labels or in both parts."""
    five = np.concatenate([pictures(4), np.repeat(pictures(1), 4, axis=0)])
    one = ["a", "b", "c", "d", "a", "a", "a", "a"]

    marked = find_duplicates(five, one, marks=[0, 0, 0, 0, 0, 0, 1, 1])

    assert [(pair.first, pair.second) for pair in marked] == [(0, 6), (0, 7), (4, 6), (5, 6)]
    assert find_duplicates(five, one, marks=[0, 0, 0, 0, 0, 0, 1, 1], same=["x", "", "", "", "x", "x", "x", "x"]) == []


def test_pictures_with_nothing_coarse_in_them_are_not_all_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    """Noise has no blocks to be told apart by: every pair was compared in full, 87 s for a thousand pictures."""
    compared: list[int] = []
    agree = audit_duplicates._agreement

    def counting(whole: np.ndarray, detail: np.ndarray, i: np.ndarray, j: np.ndarray, wanted: float) -> np.ndarray:
        compared.append(len(i))
        return agree(whole, detail, i, j, wanted)

    monkeypatch.setattr(audit_duplicates, "_agreement", counting)
    noise = np.random.default_rng(0).integers(0, 256, (300, 1, 64, 64), dtype=np.uint8)
    noise[299] = np.rot90(noise[0], 1, axes=(1, 2))
    told: list[tuple[int, int]] = []

    pairs = find_duplicates(noise, names(300), progress=lambda done, of: told.append((done, of)))

    assert [(pair.first, pair.second) for pair in pairs] == [(0, 299)]
    assert sum(compared) < 300
    assert told == [(0, 300)]


def test_the_overlap_of_a_cut_is_counted_in_images() -> None:
    ids = [f"i{n}" for n in range(8)]
    parts = ["train", "test", "test", "train", "train", "test", "test", "train"]
    declared = ["a", "a", "b", "c", "c", "d", "e", "f"]  # i0 and i1: one patient
    pictures_ = ["0", "1", "2", "2", "4", "2", "6", "7"]  # i2, i3 and i5: one picture; i2 and i3 pixel for pixel
    groups = ["a", "a", "b", "b", "b", "b", "e", "f"]

    found = find_overlap(ids, parts, declared, groups, pictures_, contents=["", "", "x", "x", "", "y", "", ""])

    assert found is not None
    assert found.twins == (Twins(("i2", "i5"), ("i3",)),)
    assert (found.twinned, found.equal, found.shared, found.tested, found.trained) == (2, 1, 3, 4, 4)
    assert found.patients == ("i1",)
    assert found.dropped == ("i0", "i3", "i4")
    assert found.sentences() == [
        "2 of 4 test images have a twin in training, 1 of them pixel for pixel",
        "1 of 4 test images has a patient or study that is in training too",
        "official[overlap=drop] trains without 3 of 4 training images",
    ]
    assert find_overlap(ids, [""] * 8, declared, groups, pictures_, contents=[""] * 8) is None


def test_the_overlap_counts_what_overlap_drop_leaves_out(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    Pictures().phantom(root, seed=0, patients=12, null=False)
    decoded = decode(Pictures(), root, size=8)
    samples = decoded.samples()
    parts = np.array(["train", "test"] * len(samples))[: len(samples)]
    cut = dataclasses.replace(samples, parts=parts, groups=np.array([f"g{n // 3}" for n in range(len(samples))]))
    columns = [x.tolist() for x in (cut.ids, cut.parts, cut.groups, cut.groups)]
    found = find_overlap(*columns, cut.ids.tolist(), contents=[""] * len(cut))

    assert found is not None
    assert set(found.dropped) == set(cut.ids.tolist()) - set(without_overlap(cut).ids.tolist())
    assert Findings.from_json(Findings(overlap=found).to_json()).overlap == found


def test_volumes_are_compared_by_three_planes_turned_and_mirrored_in_depth() -> None:
    rng = np.random.default_rng(0)
    coarse = rng.normal(120, 50, (10, 2, 8, 8, 8)).repeat(4, 2).repeat(4, 3).repeat(4, 4)
    pixels = coarse.clip(0, 255).astype(np.uint8)
    copies = np.stack([pixels[3, :, ::-1], np.rot90(pixels[5], 1, axes=(2, 3)), np.flip(pixels[7], 3)])

    assert found(np.concatenate([pixels, copies])) == {(3, 10), (5, 11), (7, 12)}


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 9, 9), (3, 5, 5), (1, 3, 3), (1, 2, 2), (1, 4, 4, 4)])
def test_any_size_is_compared(shape: tuple[int, ...]) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (6, *shape), dtype=np.uint8)
    find_duplicates(pixels, names(6))
    find_look_alikes(pixels, names(6))


def test_look_alikes_are_of_other_groups_and_bits_are_counted() -> None:
    pixels = pictures(5)
    twice = np.concatenate([pixels, pixels[:1], (pixels[1:2] * 0.9).astype(np.uint8)])
    pairs = {(p.first, p.second): p.value for p in find_look_alikes(twice, names(7))[0]}

    assert pairs[0, 5] == 0
    assert (1, 6) in pairs
    assert all(value <= 8 for value in pairs.values())
    assert (0, 5) not in {(p.first, p.second) for p in find_look_alikes(twice, ["a", *"bcde", "a", "f"])[0]}


def test_groups_of_a_decoded_data_set_hold_mirrored_and_brightened_copies(tmp_path: Path) -> None:
    root = tmp_path / "data"
    root.mkdir()
    Pictures().phantom(root, seed=0, patients=12, null=False)
    image = np.load(root / "p0_0_0.npy")
    np.save(root / "q1_0_0.npy", image[:, ::-1])
    np.save(root / "q2_1_0.npy", (image * 0.9).astype(np.uint8))
    decoded = decode(Pictures(), root, size=8)
    samples, found_ = decoded.samples(), decoded.findings
    groups = dict(zip(samples.ids.tolist(), samples.groups.tolist(), strict=True))

    assert groups["pictures/p0_0_0"] == groups["pictures/q1_0_0"] == groups["pictures/q2_1_0"] == "pictures/p0"
    assert (found_.declared, found_.exact, found_.groups, found_.merged) == (14, 14, 12, 2)
    assert decoded.conflicts == ()
    assert [(link.first, link.second) for link in found_.near_conflicts] == [("pictures/p0_0_0", "pictures/q2_1_0")]
    assert Findings.from_json(found_.to_json()) == found_


def test_parted_groups_are_told_apart_by_what_joins_them() -> None:
    ids = [f"i{n}" for n in range(7)]
    parts = ["train", "test", "train", "test", "train", "test", "train"]
    declared = ["a", "a", "b", "c", "d", "e", "f"]  # i0 and i1: one patient
    groups = ["a", "a", "b", "b", "d", "e", "f"]  # i2 and i3: one picture

    assert groups_across_cut(ids, parts, declared, groups) == {
        "patient-across-cut": (("i0", "i1"),),
        "duplicate-across-cut": (("i2", "i3"),),
    }
    assert groups_across_cut(ids, [""] * 7, declared, groups) == {}


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from(["train", "test", ""])), max_size=20))
def test_a_cut_that_parts_no_group_has_no_finding_and_one_that_does_has(rows: list[tuple[str, str]]) -> None:
    groups = [group for group, _ in rows]
    parts = [part for _, part in rows]
    ids = [str(n) for n in range(len(rows))]
    parted = {g for g in groups if {"train", "test"} <= {p for q, p in rows if q == g}}

    assert set(groups_across_cut(ids, parts, groups, groups)) == ({"patient-across-cut"} if parted else set())
    assert set(groups_across_cut(ids, parts, ids, groups)) == ({"duplicate-across-cut"} if parted else set())


def test_drawn_images_of_different_patients_are_not_one() -> None:
    for crop in ("nodule", "frame"):
        recipe = DDTI(crop=crop)  # type: ignore[arg-type]
        found_ = decode(recipe, phantom_root(recipe, patients=60), size=32).findings

        assert found_.near == ()
        assert len(found_.same) == 1  # drawn twice on purpose, as the release has it


def test_the_pictures_that_recur_in_ddti_are_found(shared_data: Path) -> None:
    files = sorted((shared_data / "ddti").glob("*.jpg"))
    stems = [file.stem for file in files]
    pixels = np.stack([fit_square(read_picture(file), 128) for file in files])
    recurring = (
        {"150_1", "233_2", "323_1", "326_1", "349_1"}, {"353_2", "396_1"}, {"1_1", "1_2"}, {"213_1", "213_2"},
        {"230_1", "230_2"}, {"92_3", "92_4"},
    )  # fmt: skip
    here = [known & set(stems) for known in recurring]
    joined = {name: {name} for name in stems}
    for pair in find_duplicates(pixels, stems):
        one = joined[stems[pair.first]] | joined[stems[pair.second]]
        joined |= dict.fromkeys(one, one)

    assert sorted(map(sorted, {frozenset(g) for g in joined.values() if len(g) > 1})) == sorted(
        sorted(known) for known in here if len(known) > 1
    )


def test_breastmnist_holds_pictures_twice_and_its_own_cut_parts_them(shared_data: Path) -> None:
    """Looked at one by one: each of these links is one scan under two numbers."""
    decoded = decode(MedMNIST(), shared_data / "medmnist", size=28)

    assert (decoded.findings.declared - decoded.findings.exact, len(decoded.findings.near)) == (1, 67)
    assert len(decoded.across["duplicate-across-cut"]) == 22
    assert decoded.conflicts == (("medmnist/breastmnist/train/115", "medmnist/breastmnist/test/76"),)


@pytest.mark.slow
def test_every_planted_leak_is_found() -> None:
    import planted_leaks

    assert planted_leaks.planted(3) == dict.fromkeys(KINDS, 3)


KINDS = (
    "exact copy", "re-encoded", "half size", "brightness", "flip", "quarter turn", "same patient", "same study",
    "slice neighbour", "synthetic in test", "scaler on all data", "selection on test",
)  # fmt: skip


@pytest.mark.slow
def test_no_phantom_holds_a_picture_twice() -> None:
    import planted_leaks

    assert {(name, links) for name, _, _, links in planted_leaks.false_alarms(40) if links} == set()
