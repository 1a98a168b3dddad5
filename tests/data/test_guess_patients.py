"""medbench.data.guess_patients: patients out of file names, and none where the names do not say."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from medbench.data.guess_patients import Guess, guess_patients
from medbench.registry.recipes import parse


def grouped(guess: Guess, paths: list[str]) -> set[frozenset[str]]:
    """Return what the guessed pattern puts together, found as a reader finds it."""
    groups: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        match = re.search(guess.pattern, path)
        assert match
        groups[match[1]].add(path)
    return {frozenset(group) for group in groups.values()}


STYLES = (
    "{label}/P{patient:03d}_{image}.png",
    "{label}/{patient}_{image}.jpg",
    "{label}/case-{patient}_img{image}.jpg",
    "{label}/patient{patient:03d}/view{image}.dcm",
    "train/{label}/patient_{patient}/study1/{image}.png",
    "{label}/sub-{patient:02d}/sub-{patient:02d}_run-{image}_T1w.nii.gz",
    "{label}/TCGA-DU-{patient:04d}/{image}.png",
    "{label}/OAS1_{patient:04d}_MR1_mpr-{image}.jpg",
    "{label}/{patient:08d}_{image:03d}.png",
    "{label}/scan {patient}, subject {patient}, image {image}.TIFF",
    "{label}/A{patient:05d}/{image}.png",
)


@given(
    style=st.sampled_from(STYLES),
    images=st.lists(st.integers(2, 6), min_size=8, max_size=40),
    start=st.integers(0, 500),
    labels=st.sampled_from((("benign", "malignant"), ("0", "1", "2"), ("Normal",))),
)
def test_names_made_from_patients_are_grouped_back(
    style: str, images: list[int], start: int, labels: tuple[str, ...]
) -> None:
    made = {
        frozenset(
            style.format(label=labels[number % len(labels)], patient=start + number, image=image)
            for image in range(count)
        )
        for number, count in enumerate(images)
    }
    paths = [path for group in made for path in group]

    guess = guess_patients(paths)

    assert guess is not None
    assert grouped(guess, paths) == made
    assert (guess.patients, guess.images) == (len(images), len(paths))
    assert parse(f"folder[patient={guess.pattern}]").parameters == (("patient", guess.pattern),)


@given(
    st.lists(
        st.text("abP0123456789_-/. ", min_size=1, max_size=14).filter(lambda t: not t.startswith("/")), max_size=40
    )
)
def test_a_guess_fits_every_path_has_one_group_and_never_makes_all_one(paths: list[str]) -> None:
    guess = guess_patients(paths)

    if guess is not None:
        assert re.compile(guess.pattern).groups == 1
        groups = grouped(guess, sorted(set(paths)))
        assert 1 < len(groups) == guess.patients < guess.images == len(set(paths))
        assert all(re.search(guess.pattern, path)[1] == patient for path, patient in guess.examples)


@given(st.permutations([f"{label}/{i}_{k}.png" for label in "AB" for i in range(9) for k in range(2)]))
def test_the_order_of_the_paths_does_not_matter(paths: list[str]) -> None:
    assert guess_patients(paths) == guess_patients(sorted(paths))


@pytest.mark.parametrize(
    ("why", "paths"),
    [
        ("nothing at all", []),
        ("one image", ["A/P1_1.png"]),
        ("every image its own number", [f"A/ISIC_{i:07d}.jpg" for i in range(90)]),
        ("class and a number", [f"{c}/{c}-{i}.png" for c in ("COVID", "Normal") for i in range(90)]),
        ("class as a number, then a running number", [f"{i % 3}_{i:04d}.png" for i in range(300)]),
        ("numbers that start again in every class", [f"{c}/{i:06d}.jpeg" for c in ("Hand", "CXR") for i in range(90)]),
        ("grades as folders", [f"grade{c}/x{i}.png" for c in range(5) for i in range(90)]),
        ("grades as folders, and in the names", [f"grade{c}/grade{c}_{i}.png" for c in range(5) for i in range(90)]),
        ("cases as classes", [f"case{c}/x{i}.png" for c in range(1, 3) for i in range(90)]),
        (
            "grades below an official cut",
            [f"{p}/g{c}/{p}{i}.png" for p in ("train", "test") for c in "1234" for i in "56"],
        ),
        ("dates", [f"2020{m:02d}{d:02d}_{k:04d}.png" for m in range(1, 9) for d in range(1, 20) for k in range(4)]),
        ("a time of day behind a number", [f"{i}_{k:02d}{i:02d}59.png" for i in range(40) for k in range(4)]),
        ("which number is the patient?", [f"{k}_{i}.png" for i in range(40) for k in range(4)]),
        ("the image before the patient", [f"{k}_P{i}.png" for i in range(40) for k in range(4)]),
        ("the image before the patient, in words", [f"img{k}_x{i}.png" for i in range(9) for k in range(9)]),
        ("an image and its mask", [f"benign/benign ({i}){s}.png" for i in range(50) for s in ("", "_mask")]),
        ("a pattern that one file breaks", [*(f"{i}_{k}.png" for i in range(50) for k in range(3)), "overview.png"]),
    ],
)
def test_there_is_no_guess_where_names_do_not_convince(why: str, paths: list[str]) -> None:
    assert guess_patients(paths) is None, why


@pytest.mark.parametrize(
    ("paths", "patients"),
    [
        ([f"{i}_{side}.jpeg" for i in range(30) for side in ("left", "right")], 30),
        ([f"BraTS20_{i:03d}/BraTS20_{i:03d}_{m}.nii" for i in range(12) for m in ("flair", "t1")], 12),
        ([f"{c}/{p}/{k}.png" for c, p in zip("AB" * 20, range(40), strict=True) for k in range(30)], 40),
        (
            [f"N/IM-{i:04d}-0001.jpeg" for i in range(20)]
            + [f"P/person{i}_virus_{k}.jpeg" for i in "567" for k in "12"],
            23,
        ),
    ],
)
def test_public_naming_schemes_are_known(paths: list[str], patients: int) -> None:
    guess = guess_patients(paths)

    assert guess is not None
    assert guess.patients == patients


def test_ids_that_recur_in_several_classes_are_united_and_said_so() -> None:
    paths = [f"{label}/{i}_{k}.png" for label in ("benign", "malignant") for i in range(20) for k in (1, 2)]

    guess = guess_patients(paths)

    assert guess is not None
    assert guess.patients == 20
    assert guess.caution.startswith("20 of 20 patients")


def test_the_first_two_examples_show_two_images_of_one_patient() -> None:
    guess = guess_patients([f"{i}_{k}.png" for i in range(20) for k in range(1 + i % 3)])

    assert guess is not None
    (one, first), (other, second) = guess.examples[:2]
    assert one != other
    assert first == second
    assert len({patient for _, patient in guess.examples}) == 4


@pytest.mark.parametrize(("folder", "patients"), [("ddti", 260), ("kauh-spine", None), ("mednist", None)])
def test_real_folders_are_guessed_or_left_alone(shared_data: Path, folder: str, patients: int | None) -> None:
    """The numbers of KAUH start again for each sex and source, those of MedNIST in each class."""
    images = [p for p in (shared_data / folder).rglob("*") if p.suffix.lower() in (".jpg", ".jpeg", ".png")]

    guess = guess_patients([p.relative_to(shared_data / folder).as_posix() for p in images])

    assert (guess and guess.patients) == patients
