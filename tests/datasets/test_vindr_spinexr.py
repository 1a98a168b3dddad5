"""VinDr-SpineXR: what its annotations mean, what is refused, and a phantom in its layout."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread

import medbench
from medbench import DataError
from medbench_datasets.readers.boxes import Box, as_mask, as_text, from_text
from medbench_datasets.vindr_spinexr import DATASETS, RAREST_FIRST, VinDrSpineXR

HEADER = ("study_id", "series_id", "image_id", "rad_id", "lesion_type", "xmin", "ymin", "xmax", "ymax")
BY_CASE = {dataset.case: dataset for dataset in DATASETS}


def lay_out(
    root: Path, train: Sequence[tuple[str, ...]], test: Sequence[tuple[str, ...]] = (("s9", "t", "No finding"),)
) -> Path:
    """Write CSV files and empty images; a row is study, image, label and maybe four corners."""
    (root / "annotations").mkdir(parents=True)
    for part, rows in (("train", train), ("test", test)):
        (root / f"{part}_images").mkdir()
        with open(root / "annotations" / f"{part}.csv", "w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(HEADER)
            for study, image, label, *corners in rows:
                box = corners or ([""] * 4 if label == "No finding" else ["1", "2", "11", "12"])
                writer.writerow([study, "series", image, "rad1", label, *box])
                (root / f"{part}_images" / f"{image}.dicom").touch()
    return root


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom")
    DATASETS[0].phantom(root, seed=3, patients=30, null=False)
    return root


# Labels


def test_every_case_is_a_data_set() -> None:
    assert [d.name.partition(":")[2] for d in DATASETS] == ["abnormal", "case-1", "case-2", "case-3", "lesions"]
    assert all(isinstance(d, medbench.Dataset) for d in DATASETS)


def test_a_box_makes_an_image_abnormal(tmp_path: Path) -> None:
    root = lay_out(tmp_path, [("s1", "b", "Osteophytes"), ("s1", "a", "No finding")])
    index = BY_CASE["abnormal"].index(root)

    assert [(r.id, r.label, r.patient, r.study, r.part) for r in index.records] == [
        ("a", 0, "s1", "s1", "train"),
        ("b", 1, "s1", "s1", "train"),
        ("t", 0, "s9", "s9", "test"),
    ]
    assert index.records[1].files == ("train_images/b.dicom",)


def test_an_image_with_a_collapse_and_a_narrow_disc_counts_as_a_collapse(tmp_path: Path) -> None:
    rows = [
        ("s1", "both", "Disc space narrowing"),
        ("s1", "both", "Vertebral collapse"),
        ("s1", "disc", "Disc space narrowing"),
        ("s1", "disc", "Osteophytes"),
        ("s1", "other", "Osteophytes"),
    ]
    index = BY_CASE["case-1"].index(lay_out(tmp_path, rows))

    assert {r.id: index.classes[r.label] for r in index.records} == {
        "both": "Vertebral collapse",
        "disc": "Disc space narrowing",
        "t": "No finding",
    }
    assert index.notes == ("1 image with lesions of other cases only left out",)


def test_several_lesions_can_count_as_the_largest_or_be_left_out(tmp_path: Path) -> None:
    rows = [
        ("s1", "a", "Vertebral collapse", "0", "0", "10", "10"),
        ("s1", "a", "Osteophytes", "0", "0", "9", "9"),
        ("s1", "a", "Osteophytes", "20", "20", "29", "29"),
    ]
    root = lay_out(tmp_path, rows)
    largest = replace(BY_CASE["lesions"], several="largest").index(root)
    omitted = replace(BY_CASE["lesions"], several="omit").index(root)

    assert largest.classes[largest.records[0].label] == "Osteophytes"
    assert [r.id for r in omitted.records] == ["t"]
    assert "1 image with several lesions of the case left out" in omitted.notes


def test_all_case_studies_agree_on_what_is_normal_and_cover_all_lesions_but_osteophytes() -> None:
    cases = [BY_CASE[case].classes for case in ("case-1", "case-2", "case-3")]

    assert {c[0] for c in cases} == {"No finding"}
    assert sorted(lesion for c in cases for lesion in c[1:]) == sorted(set(RAREST_FIRST) - {"Osteophytes"})


@pytest.mark.parametrize(
    ("label", "read_as"),
    [
        ("Ankylosis", "Other lesions"),
        ("Enthesophytes", "Other lesions"),
        ("Fracture", "Other lesions"),
        ("Sclerotic lesion", "Other lesions"),
        ("Subchondral sclerosis", "Other lesions"),
        ("Foreign body", "Other lesions"),
        ("Spondylolisthesis", "Spondylolysthesis"),
    ],
)
def test_labels_of_the_paper_are_read_as_the_released_ones(tmp_path: Path, label: str, read_as: str) -> None:
    index = BY_CASE["lesions"].index(lay_out(tmp_path, [("s1", "a", label)]))

    assert index.classes[index.records[0].label] == read_as


def test_one_part_alone_is_enough(tmp_path: Path) -> None:
    root = lay_out(tmp_path, [("s1", "a", "No finding")])
    (root / "annotations" / "train.csv").unlink()
    (root / "train_images" / "a.dicom").unlink()
    (root / "train_images").rmdir()
    index = BY_CASE["abnormal"].index(root)

    assert [r.id for r in index.records] == ["t"]
    assert "train part is not here" in index.notes[0]


def test_other_spellings_of_folder_and_ending_are_accepted(tmp_path: Path) -> None:
    root = lay_out(tmp_path, [("s1", "a", "No finding")])
    (root / "annotations").rename(root / "annotation")
    (root / "train_images" / "a.dicom").rename(root / "train_images" / "a.dcm")

    assert BY_CASE["abnormal"].index(root).records[0].files == ("train_images/a.dcm",)


# What is refused


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (("s1", "a", "Osteophites"), "train.csv row 2: unknown lesion_type 'Osteophites'; did you mean 'Osteophytes'"),
        (("s1", "a", "Osteophytes", "5", "2", "4", "9"), "train.csv row 2: the box 5, 2, 4, 9 has no area"),
        (("s1", "a", "Osteophytes", "", "2", "4", "9"), "train.csv row 2: xmin of a lesion is empty"),
        (
            ("s1", "a", "Osteophytes", "1", "2", "nan", "9"),
            "train.csv row 2: xmax of a lesion is empty or not a number",
        ),
        (("", "a", "No finding"), "train.csv row 2: study_id is empty"),
        (("s1", "..", "No finding"), "train.csv row 2: image_id is empty or no plain name"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: tuple[str, ...], said: str) -> None:
    with pytest.raises(DataError) as caught:
        BY_CASE["abnormal"].index(lay_out(tmp_path, [row]))

    assert said in str(caught.value)


def test_an_image_id_cannot_leave_the_folder(tmp_path: Path) -> None:
    root = lay_out(tmp_path, [("s1", "a", "No finding")])
    path = root / "annotations" / "train.csv"
    path.write_text(path.read_text().replace(",a,", ",../secret,"))

    with pytest.raises(DataError, match="row 2: image_id"):
        BY_CASE["abnormal"].index(root)


def test_an_image_in_two_studies_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"row 3: image a is in study s2 here and in s1 above"):
        BY_CASE["abnormal"].index(lay_out(tmp_path, [("s1", "a", "Osteophytes"), ("s2", "a", "Osteophytes")]))


def test_an_image_in_both_parts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="both"):
        BY_CASE["abnormal"].index(lay_out(tmp_path, [("s1", "t", "No finding")]))


def test_missing_images_are_counted_and_five_are_named(tmp_path: Path) -> None:
    root = lay_out(tmp_path, [("s1", f"a{i}", "No finding") for i in range(9)])
    for i in range(7):
        (root / "train_images" / f"a{i}.dicom").unlink()

    with pytest.raises(DataError, match=r"7 images of annotations/train.csv .* among them a0, a1, a2, a3, a4;"):
        BY_CASE["abnormal"].index(root)


def test_files_without_annotation_are_counted(tmp_path: Path) -> None:
    root = lay_out(tmp_path, [("s1", "a", "No finding")])
    (root / "train_images" / "more.dicom").touch()

    assert "1 file in train_images/ is not in annotations/train.csv" in BY_CASE["abnormal"].index(root).notes[0]


@pytest.mark.parametrize("gone", ["annotations", "annotations/train.csv", "train_images"])
def test_a_missing_folder_or_table_is_named(tmp_path: Path, gone: str) -> None:
    root = lay_out(tmp_path, [("s1", "a", "No finding")])
    (root / gone).rename(root / "elsewhere")

    with pytest.raises(DataError, match=f"{gone}/?: "):
        BY_CASE["abnormal"].index(root)


@pytest.mark.parametrize("content", [b"", b"study_id,image_id\n", b"\xff\xfe\0", ",".join(HEADER).encode()])
def test_a_broken_table_is_named(tmp_path: Path, content: bytes) -> None:
    root = lay_out(tmp_path, [("s1", "a", "No finding")])
    (root / "annotations" / "train.csv").write_bytes(content)

    with pytest.raises(DataError, match=r"annotations/train.csv: "):
        BY_CASE["abnormal"].index(root)


# Boxes


corner = st.floats(-50, 150, allow_nan=False, width=32)
box = st.tuples(corner, corner, st.floats(0.125, 90, width=32), st.floats(0.125, 90, width=32))


@given(st.lists(box, max_size=4))
def test_a_mask_holds_every_pixel_a_box_touches_and_no_other(boxes: list[tuple[float, ...]]) -> None:
    boxes = [b for b in boxes if b[0] + b[2] > 0 and b[1] + b[3] > 0 and b[0] < 100 and b[1] < 80]
    text = as_text([Box("x", 2, x, y, x + w, y + h) for x, y, w, h in boxes])
    mask = as_mask(text, height=80, width=100, name="x")
    corners = [c for _, c in from_text(text)]

    expected = np.zeros((80, 100), bool)
    for row in range(80):
        for column in {0, 1, 37, 50, 98, 99}:
            expected[row, column] = any(
                c[0] < column + 1 and c[2] > column and c[1] < row + 1 and c[3] > row for c in corners
            )
    for column in (0, 1, 37, 50, 98, 99):
        np.testing.assert_array_equal(mask[:, column] == 1, expected[:, column])


def test_a_box_outside_its_image_is_refused_by_row(phantom: Path) -> None:
    dataset = BY_CASE["abnormal"]
    record = next(r for r in dataset.index(phantom).records if r.label)
    record = replace(record, detail={"boxes": "77:9000,10,9100,20"})

    with pytest.raises(DataError, match=r"train.csv row 77|test.csv row 77"):
        next(iter(dataset.read(phantom, [record], 32)))


# The phantom, read by the very same reader


@pytest.mark.parametrize("dataset", DATASETS, ids=lambda d: d.case)
def test_the_phantom_has_every_class_in_both_parts(phantom: Path, dataset: VinDrSpineXR) -> None:
    records = dataset.index(phantom).records
    for part in ("train", "test"):
        assert {r.label for r in records if r.part == part} == set(range(len(dataset.classes)))
    assert (
        len({r.patient for r in records if r.part == "test"} & {r.patient for r in records if r.part == "train"}) == 0
    )


def test_the_phantom_is_read_at_working_size_with_masks_on_the_lesions(phantom: Path) -> None:
    dataset = BY_CASE["abnormal"]
    records = dataset.index(phantom).records[:24]
    pairs = list(dataset.read(phantom, records, 48))

    assert len(pairs) == len(records)
    for record, (pixels, mask) in zip(records, pairs, strict=True):
        assert pixels.shape == (1, 48, 48)
        assert pixels.dtype == np.uint8
        assert pixels.std() > 10
        assert mask is not None
        assert mask.shape == (48, 48)
        assert mask.any() == bool(record.label)


def test_the_phantom_looks_like_released_files_of_many_kinds(phantom: Path) -> None:
    kinds: Counter[tuple[object, ...]] = Counter()
    for path in sorted(phantom.glob("*_images/*.dicom")):
        image = dcmread(path, stop_before_pixels=True)
        assert "PatientID" not in image
        kinds[image.PhotometricInterpretation, "WindowWidth" in image] += 1
        kinds[image.BitsStored, image.file_meta.TransferSyntaxUID.is_compressed] += 1

    assert {k for k in kinds if k[0] in ("MONOCHROME1", "MONOCHROME2")} == {
        (p, w) for p in ("MONOCHROME1", "MONOCHROME2") for w in (False, True)
    }
    assert {k[0] for k in kinds if isinstance(k[0], int)} >= {8, 12, 16}
    assert {k[1] for k in kinds} == {False, True}


def files_under(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        DATASETS[0].phantom(tmp_path / name, seed=seed, patients=4, null=False)
    first, again, other = (files_under(tmp_path / name) for name in "abc")

    assert first == again
    assert not set(first) & set(other) - {"annotations/train.csv", "annotations/test.csv"}


def test_a_null_phantom_has_the_labels_but_not_the_pictures_of_the_true_one(tmp_path: Path) -> None:
    for name, null in (("true", False), ("null", True)):
        DATASETS[0].phantom(tmp_path / name, seed=5, patients=12, null=null)
    studies: list[Counter[str]] = []
    for name in ("true", "null"):
        seen = {(r.patient, r.label) for r in BY_CASE["lesions"].index(tmp_path / name).records}
        studies.append(Counter(BY_CASE["lesions"].classes[label] for _, label in seen))

    assert abs(studies[0]["No finding"] - studies[1]["No finding"]) <= 4
    assert abs(studies[0].total() - studies[1].total()) <= 6


def test_a_check_counts_what_looks_odd(phantom: Path) -> None:
    dataset = BY_CASE["abnormal"]
    notes = dataset.check(phantom, dataset.index(phantom).records)

    assert any("MONOCHROME1" in note for note in notes)
    assert not any("identify" in note for note in notes)


def test_a_check_finds_people_and_two_images_of_one_identity(tmp_path: Path) -> None:
    dataset = BY_CASE["abnormal"]
    dataset.phantom(tmp_path, seed=1, patients=3, null=False)
    records = dataset.index(tmp_path).records
    first, second = (tmp_path / r.files[0] for r in records[:2])
    image = dcmread(first)
    image.PatientName = "Doe^Jane"
    image.save_as(first)
    notes = dataset.check(tmp_path, records)
    assert any("1 file has PatientName" in note for note in notes)
    assert "Doe" not in " ".join(notes)

    other = dcmread(second)
    other.SOPInstanceUID = image.SOPInstanceUID
    other.save_as(second)
    with pytest.raises(DataError, match=r"other pixels \(SHA-256"):
        dataset.check(tmp_path, records)

    second.write_bytes(first.read_bytes())
    assert any("1 file repeats the SOPInstanceUID and the pixels" in note for note in dataset.check(tmp_path, records))
