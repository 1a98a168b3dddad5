"""Brain-tumour data sets: every layout becomes one list of cases, and what contradicts itself is refused."""

from __future__ import annotations

import csv
import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medbench import DataError, Dataset, Index, UsageError
from medbench_datasets.brain_tumour import DATASETS, MODALITIES, BrainTumour
from medbench_datasets.brain_tumour_cases import parse_grade
from medbench_datasets.brain_tumour_slices import slice_positions
from medbench_datasets.phantoms.brain_tumour import write

VOLUMES, SLICES, SOURCE = DATASETS
LPS = np.diag([-1.0, -1, 1, 1])
COLUMNS = ("Grade", "BraTS_2017_subject_ID", "BraTS_2018_subject_ID", "TCGA_TCIA_subject_ID")
COLUMNS += ("BraTS_2019_subject_ID", "BraTS_2020_subject_ID")


def write_nifti(path: Path, voxels: np.ndarray, affine: np.ndarray = LPS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(voxels, affine), path)


def write_case(
    folder: Path, roles: Sequence[str] = (*MODALITIES, "seg"), *, pattern: str = "{case}_{role}.nii.gz"
) -> None:
    """Write a small brain with a tumour in two axial slices."""
    rng = np.random.default_rng(0)
    for role in roles:
        voxels = np.zeros((12, 14, 10), np.int16)
        if role == "seg":
            voxels[4:7, 5:8, 4:6] = 2
            voxels[5, 6, 4:6] = 4
        else:
            voxels[2:10, 2:12, 1:9] = rng.integers(200, 400, (8, 10, 8))
        write_nifti(folder / pattern.format(case=folder.name, role=role), voxels)


def write_csv(path: Path, *rows: Sequence[str]) -> Path:
    with path.open("w", newline="") as stream:
        csv.writer(stream).writerows(rows)
    return path


def index(root: Path, **fields: object) -> Index:
    return replace(VOLUMES, **fields).index(root)


def labels(found: Index) -> dict[str, str]:
    return {record.id: found.classes[record.label] for record in found.records}


def test_brats_2017_to_2019_has_its_grades_in_folders(tmp_path: Path) -> None:
    write_case(tmp_path / "HGG" / "Brats18_TCIA01_131_1")
    write_case(tmp_path / "LGG" / "Brats18_2013_8_1")

    found = index(tmp_path)

    assert labels(found) == {"Brats18_2013_8_1": "LGG", "Brats18_TCIA01_131_1": "HGG"}
    assert found.classes == ("LGG", "HGG")
    assert (found.channels, found.dimensions) == (4, 3)
    assert found.records[1].files == tuple(
        f"HGG/Brats18_TCIA01_131_1/Brats18_TCIA01_131_1_{role}.nii.gz" for role in (*MODALITIES, "seg")
    )


def test_brats_2020_has_its_grades_in_the_mapping_file_and_a_misnamed_segmentation(tmp_path: Path) -> None:
    root = tmp_path / "MICCAI_BraTS2020_TrainingData"
    write_case(root / "BraTS20_Training_001", pattern="{case}_{role}.nii")
    write_case(root / "BraTS20_Training_355", MODALITIES, pattern="{case}_{role}.nii")
    write_case(root / "BraTS20_Training_355", ["seg"], pattern="W39_1998.09.19_Segm.nii")
    write_case(root / "BraTS20_Training_999")
    write_csv(
        root / "name_mapping.csv",
        COLUMNS,
        ("HGG", "Brats17_CBICA_AAB_1", "Brats18_CBICA_AAB_1", "NA", "BraTS19_CBICA_AAB_1", "BraTS20_Training_001"),
        ("LGG", "NA", "NA", "TCGA-DU-0001", "NA", "BraTS20_Training_355"),
    )

    found = index(tmp_path)

    assert labels(found) == {"BraTS20_Training_001": "HGG", "BraTS20_Training_355": "LGG"}
    assert [record.patient for record in found.records] == ["BraTS19_CBICA_AAB_1", "TCGA-DU-0001"]
    assert found.records[1].files[-1].endswith("W39_1998.09.19_Segm.nii")
    assert "1 folders without a grade" in found.notes[0]
    assert all(mask.any() for _, mask in VOLUMES.read(tmp_path, found.records, 16))


def test_the_rembrandt_copy_has_flair_alone(tmp_path: Path) -> None:
    for grade, case in (("HGG", "900-00-5316"), ("LGG", "HF0920")):
        write_case(tmp_path / grade / case, ["flair"], pattern="{case}.nii.gz")
        write_case(tmp_path / grade / case, ["seg"])

    with pytest.raises(DataError, match=r"lacks t1, t1ce, t2, has flair; .*modalities=flair"):
        index(tmp_path)
    found = index(tmp_path, modalities=("flair",))
    assert labels(found) == {"900-00-5316": "HGG", "HF0920": "LGG"}
    assert found.channels == 1


@pytest.mark.parametrize("elsewhere", [True, False])
def test_any_folder_of_cases_takes_its_grades_from_a_csv(tmp_path: Path, elsewhere: bool) -> None:
    root = tmp_path / "mine"
    write_case(root / "a", pattern="deep/er/{case}-{role}.nii.gz")
    write_case(root / "b")
    write_case(root / "c")
    file = tmp_path / "my grades.csv" if elsewhere else root / "grades.csv"
    write_csv(file, ("case", "grade", "patient"), ("a", "WHO II", "p"), ("b", "4", "p"))

    found = index(root, grades=file if elsewhere else None)

    assert labels(found) == {"a": "LGG", "b": "HGG"}
    assert {record.patient for record in found.records} == {"p"}
    assert any("1 case folders without a row" in note for note in found.notes)
    assert any("both grades" in note for note in found.notes)


@pytest.mark.parametrize(
    "names",
    [
        ("Flair_sub", "T1_x", "T1c_sub", "T2", "OTMultiClass"),
        ("fla_bet", "t1_bet", "t1c_bet", "t2_bet", "segmentation"),
        ("t2f", "t1n", "t1gd", "t2w", "seg"),
        ("flair", "t1", "t1Gd", "t2", "GlistrBoost_ManuallyCorrected"),
    ],
)
def test_modalities_have_many_names(tmp_path: Path, names: tuple[str, ...]) -> None:
    folder = tmp_path / "HGG" / "TCGA-T1-0001"
    for role, name in zip((*MODALITIES, "seg"), names, strict=True):
        write_case(folder, [role], pattern=f"TCGA-T1-0001_{name}.nii.gz")
    (folder / "._TCGA-T1-0001_t1.nii.gz").write_bytes(b"resource fork")
    (folder / "notes.txt").write_text("t1")

    (record,) = index(tmp_path).records

    assert record.detail["roles"] == "flair,t1,t1ce,t2,seg"
    assert [Path(f).name for f in record.files] == [f"TCGA-T1-0001_{name}.nii.gz" for name in names]


def test_two_files_for_one_modality_are_refused(tmp_path: Path) -> None:
    write_case(tmp_path / "HGG" / "a")
    write_case(tmp_path / "HGG" / "a", ["t1ce"], pattern="{case}_t1c.nii.gz")

    with pytest.raises(DataError, match=r"a_t1c.nii.gz and a_t1ce.nii.gz could both be its t1ce"):
        index(tmp_path)


def test_a_missing_modality_is_named_left_out_or_blank(tmp_path: Path) -> None:
    write_case(tmp_path / "HGG" / "a")
    write_case(tmp_path / "LGG" / "b", ["flair", "t1", "t1ce"])

    with pytest.raises(DataError, match=r"^b: lacks t2, has flair, t1, t1ce;"):
        index(tmp_path)
    left = index(tmp_path, missing="leave-out")
    assert labels(left) == {"a": "HGG"}
    assert "1 case without all of" in left.notes[0]
    blank = replace(VOLUMES, missing="blank")
    pixels, mask = list(blank.read(tmp_path, blank.index(tmp_path).records, 16))[1]
    assert not pixels[3].any()
    assert pixels[:3].any(axis=(1, 2, 3)).all()
    assert mask is None
    only_b = write_csv(tmp_path / "g.csv", ("case", "grade"), ("LGG/b", "2"))
    with pytest.raises(DataError, match="none of 1 case has t2"):
        index(tmp_path, modalities=("t2",), missing="leave-out", grades=only_b)


def test_one_patient_under_the_names_of_three_years_is_one(tmp_path: Path) -> None:
    write_case(tmp_path / "2018" / "HGG" / "Brats18_TCIA01_131_1")
    write_case(tmp_path / "2018" / "LGG" / "Brats18_2013_8_1")
    write_case(tmp_path / "2019" / "HGG" / "BraTS19_TCIA01_131_1")
    write_case(tmp_path / "2020" / "BraTS20_Training_007")
    write_csv(
        tmp_path / "2020" / "name_mapping.csv",
        COLUMNS,
        ("HGG", "NA", "Brats18_TCIA01_131_1", "TCGA-02-0001", "BraTS19_TCIA01_131_1", "BraTS20_Training_007"),
    )

    found = index(tmp_path)

    assert {record.id: record.patient for record in found.records} == {
        "2018/Brats18_2013_8_1": "Brats18_2013_8_1",
        "2018/Brats18_TCIA01_131_1": "TCGA-02-0001",
        "2019/BraTS19_TCIA01_131_1": "TCGA-02-0001",
        "2020/BraTS20_Training_007": "TCGA-02-0001",
    }
    assert any("1 patient has cases in several cohorts" in note for note in found.notes)
    assert any("1 case of 3 cohorts stands in no name_mapping.csv" in note for note in found.notes)


def test_two_mapping_files_that_share_a_name_make_one_patient(tmp_path: Path) -> None:
    for year, case in (("2018", "Brats18_A_1"), ("2020", "BraTS20_Training_001")):
        write_case(tmp_path / year / case)
    older = COLUMNS[:4]
    write_csv(tmp_path / "2018" / "name_mapping.csv", older, ("HGG", "Brats17_A_1", "Brats18_A_1", "NA"))
    newer = ("HGG", "Brats17_A_1", "NA", "NA", "BraTS19_A_1", "BraTS20_Training_001")
    write_csv(tmp_path / "2020" / "name_mapping.csv", COLUMNS, newer)

    assert {record.patient for record in index(tmp_path).records} == {"BraTS19_A_1"}


def test_time_points_of_newer_brats_are_one_patient(tmp_path: Path) -> None:
    for case in ("BraTS-GLI-00005-000", "BraTS-GLI-00005-001"):
        write_case(tmp_path / "HGG" / case)

    assert {record.patient for record in index(tmp_path).records} == {"BraTS-GLI-00005"}


def mask_of_other_shape(root: Path) -> None:
    write_nifti(root / "HGG" / "a" / "a_seg.nii.gz", np.ones((12, 14, 11), np.int16))


def mask_elsewhere(root: Path) -> None:
    moved = LPS.copy()
    moved[0, 3] = 5
    write_nifti(root / "HGG" / "a" / "a_seg.nii.gz", np.ones((12, 14, 10), np.int16), moved)


def case_in_both_grades(root: Path) -> None:
    write_case(root / "LGG" / "a")


def mapping_that_contradicts(root: Path) -> None:
    write_csv(root / "name_mapping.csv", ("Grade", "BraTS_2018_subject_ID"), ("LGG", "a"))


def mapping_with_a_strange_grade(root: Path) -> None:
    write_csv(root / "name_mapping.csv", ("Grade", "BraTS_2018_subject_ID"), ("benign", "a"))


def grades_without_columns(root: Path) -> None:
    write_csv(root / "grades.csv", ("name", "class"), ("a", "HGG"))


def grades_for_absent_cases(root: Path) -> None:
    write_csv(root / "grades.csv", ("case", "grade"), ("HGG/a", "HGG"), ("nobody", "LGG"))


def grades_given_twice(root: Path) -> None:
    write_csv(root / "grades.csv", ("case", "grade"), ("HGG/a", "HGG"), ("HGG/a", "LGG"))


def grades_outside(root: Path) -> None:
    write_csv(root / "grades.csv", ("case", "grade"), ("../a", "HGG"))


def grades_in_another_encoding(root: Path) -> None:
    (root / "grades.csv").write_bytes(b"case,grade\nM\xfcller,HGG\n")


def damaged_file(root: Path) -> None:
    path = root / "HGG" / "a" / "a_t2.nii.gz"
    path.write_bytes(path.read_bytes()[:40])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (mask_of_other_shape, "a: seg has 12 x 14 x 11 voxels, flair has 12 x 14 x 10"),
        (mask_elsewhere, r"a: seg lies up to 5\.0 mm apart"),
        (case_in_both_grades, "a: lies in two folders"),
        (mapping_that_contradicts, "a: lies in HGG, name_mapping.csv says otherwise"),
        (mapping_with_a_strange_grade, "name_mapping.csv: has no grade that is known"),
        (grades_without_columns, "grades.csv: has name, class, expected the columns case and grade"),
        (grades_for_absent_cases, r"grades.csv: names 1 of 2 cases that have no folder \(nobody\)"),
        (grades_given_twice, "grades.csv, line 3: gives HGG/a a second time"),
        (grades_outside, "grades.csv, line 2: names no folder"),
        (grades_in_another_encoding, "grades.csv: is no CSV in UTF-8"),
        (damaged_file, "a_t2.nii.gz: its compressed data are cut off|a_t2.nii.gz: is cut off"),
    ],
)
def test_what_contradicts_itself_is_refused_by_the_index(
    tmp_path: Path, spoil: Callable[[Path], None], words: str
) -> None:
    write_case(tmp_path / "HGG" / "a")
    write_case(tmp_path / "LGG" / "b")
    spoil(tmp_path)

    with pytest.raises(DataError, match=words) as caught:
        index(tmp_path)
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("fields", [{}, {"modalities": ("flair",)}, {"missing": "blank"}])
def test_a_file_of_several_volumes_is_not_taken_for_flair(tmp_path: Path, fields: dict[str, object]) -> None:
    for case in ("HGG/a", "LGG/b"):
        write_nifti(tmp_path / case / f"{case[-1]}.nii.gz", np.ones((5, 6, 7, 4), np.int16))

    with pytest.raises(
        DataError, match=r"^a/a\.nii\.gz: has 5 x 6 x 7 x 4 voxels, several volumes in one file.*split it"
    ):
        index(tmp_path, **fields)


def test_an_unknown_label_is_refused_by_the_scheme_of_the_files(tmp_path: Path) -> None:
    folder = tmp_path / "HGG" / "Brats18_a"
    write_case(folder)
    write_nifti(folder / "Brats18_a_seg.nii.gz", np.full((12, 14, 10), 3, np.int16))

    with pytest.raises(DataError, match=r"Brats18_a_seg.nii.gz: holds the label 3, expected 0, 1, 2, 4"):
        next(VOLUMES.read(tmp_path, index(tmp_path).records, 16))
    newer = replace(VOLUMES, labels="0123", mask="labels")
    _, mask = next(newer.read(tmp_path, newer.index(tmp_path).records, 16))
    assert np.unique(mask).tolist() in ([3], [0, 3])


def test_a_folder_without_grades_says_how_to_give_them(tmp_path: Path) -> None:
    write_case(tmp_path / "a")

    with pytest.raises(DataError, match=r"1 case \(a\) without grades; give a CSV .*grades=FILE"):
        index(tmp_path)
    with pytest.raises(DataError, match="holds no case; expected"):
        index(tmp_path / "a")
    with pytest.raises(DataError, match="is no folder"):
        index(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "grade"),
    [("HGG", "HGG"), ("lgg", "LGG"), ("II", "LGG"), ("WHO grade III", "HGG"), (" 4 ", "HGG"), ("2", "LGG")],
)
def test_who_grades_map_as_in_brats(text: str, grade: str) -> None:
    assert parse_grade(text, "here") == grade


@pytest.mark.parametrize("text", ["", "5", "high", "IIII"])
def test_other_grades_are_refused(text: str) -> None:
    with pytest.raises(DataError, match="here: has no grade"):
        parse_grade(text, "here")


@pytest.mark.parametrize(
    "fields",
    [{"modalities": ()}, {"modalities": ("ct",)}, {"modalities": ("t1", "t1")}, {"slices": -1}, {"low": 5.0}],
)
def test_fields_that_make_no_sense_are_usage_errors(fields: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="brain-tumour: "):
        replace(VOLUMES, **fields)


def test_the_patients_right_is_left_in_a_picture_and_the_front_is_up(tmp_path: Path) -> None:
    voxels = np.zeros((20, 24, 12), np.int16)
    voxels[2:18, 2:22, 2:10] = 100
    voxels[3:6, 16:21, 2:10] = 900  # stored RAS: a bright block to the left, in front
    write_nifti(tmp_path / "HGG" / "a" / "a.nii.gz", voxels, np.eye(4))
    write_nifti(tmp_path / "HGG" / "b" / "b.nii.gz", voxels[::-1, ::-1], LPS)
    recipe = replace(SLICES, modalities=("flair",), slices=2)

    pictures = [pixels for pixels, _ in recipe.read(tmp_path, recipe.index(tmp_path).records, 20)]

    bright = np.argwhere(pictures[0][0] > 200).mean(axis=0)
    assert bright[0] < 7  # up
    assert bright[1] > 11  # right in the picture
    np.testing.assert_array_equal(pictures[0], pictures[2])  # the same brain, stored in another order


def test_slices_run_evenly_over_the_tumour_and_their_ids_are_the_patients(tmp_path: Path) -> None:
    write_case(tmp_path / "HGG" / "a")
    write_case(tmp_path / "LGG" / "b", MODALITIES)
    recipe = replace(SLICES, slices=2)

    found = recipe.index(tmp_path)
    read = list(recipe.read(tmp_path, found.records, 24))

    assert [record.id for record in found.records] == ["a/00", "a/01", "b/00", "b/01"]
    assert [record.patient for record in found.records] == ["a", "a", "b", "b"]
    assert found.dimensions == 2
    assert all(pixels.shape == (4, 24, 24) and pixels.dtype == np.uint8 for pixels, _ in read)
    assert [mask is not None and bool(mask.any()) for _, mask in read] == [True, True, False, False]
    wider = replace(recipe, slices=8, chosen="brain")
    masks = [mask for _, mask in wider.read(tmp_path, wider.index(tmp_path).records[:8], 24)]
    assert [bool(mask.any()) for mask in masks] == [False] * 3 + [True] * 2 + [False] * 3


def test_any_part_of_the_records_reads_the_same_as_all(tmp_path: Path) -> None:
    write(tmp_path, seed=1, patients=2, null=False)
    records = SLICES.index(tmp_path).records

    whole = [pixels for pixels, _ in SLICES.read(tmp_path, records, 20)]
    parts = [next(SLICES.read(tmp_path, [record], 20))[0] for record in reversed(records)][::-1]

    np.testing.assert_array_equal(whole, parts)


@settings(max_examples=100, deadline=None)
@given(depth=st.integers(2, 40), data=st.data(), n=st.integers(1, 12))
def test_slice_positions_rise_lie_inside_and_come_once_if_they_can(depth: int, data: st.DataObject, n: int) -> None:
    start = data.draw(st.integers(0, depth - 1))
    stop = data.draw(st.integers(start + 1, depth))
    inside = np.zeros((2, 2, depth), bool)
    inside[0, 0, start:stop] = True

    positions = slice_positions(inside, n)

    assert len(positions) == n
    assert positions == sorted(positions)
    assert 0 <= positions[0] <= positions[-1] < depth
    if stop - start >= n:
        assert start <= positions[0] <= positions[-1] < stop
    if depth >= n:
        assert len(set(positions)) == n


def test_both_recipes_are_data_sets() -> None:
    assert [recipe.name for recipe in DATASETS] == ["brain-tumour", "brain-tumour:slices", "source-brain-tumour:slices"]
    assert all(isinstance(recipe, Dataset) for recipe in DATASETS)
    assert [recipe.size for recipe in DATASETS] == [96, 128, 128]


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom")
    VOLUMES.phantom(root, seed=4, patients=12, null=False)
    return root


def test_the_phantom_has_the_layout_and_the_quirks_of_brats_2020(phantom: Path) -> None:
    found = VOLUMES.index(phantom)

    assert len(found.records) == len({record.patient for record in found.records}) == 12
    assert found.notes == ()
    assert [record.label for record in found.records].count(0) == 3
    assert len(list(phantom.glob("*/W39_1998.09.19_Segm.nii"))) == 1
    with (phantom / "name_mapping.csv").open() as stream:
        assert next(csv.reader(stream)) == list(COLUMNS)
    orders = {nib.aff2axcodes(nib.load(file).affine) for file in phantom.glob("*/*_t1.nii.gz")}
    assert orders == {("L", "P", "S"), ("R", "A", "S")}
    assert nib.load(next(phantom.glob("*/*_t1.nii.gz"))).get_data_dtype() == np.int16


def test_the_phantom_is_read_as_real_data_are(phantom: Path) -> None:
    records = VOLUMES.index(phantom).records

    for pixels, mask in VOLUMES.read(phantom, records, 24):
        assert pixels.shape == (4, 24, 24, 24)
        assert pixels.dtype == mask.dtype == np.uint8
        assert mask.shape == (24, 24, 24)
        assert 0.2 < (pixels[0] > 0).mean() < 0.6
        assert pixels[0][mask > 0].mean() > pixels[0][(mask == 0) & (pixels[0] > 0)].mean()  # bright on FLAIR
        assert 0.005 < mask[pixels[0] > 0].mean() < 0.5


def test_a_phantom_is_the_same_bytes_for_a_seed_and_others_for_another(tmp_path: Path) -> None:
    def files(name: str, seed: int) -> Iterator[bytes]:
        (tmp_path / name).mkdir()
        write(tmp_path / name, seed=seed, patients=2, null=False)
        return (path.read_bytes() for path in sorted((tmp_path / name).rglob("*.*")) if path.is_file())

    one, again, other = files("a", 1), files("b", 1), files("c", 2)

    assert list(one) == list(again)
    assert list(itertools.islice(other, 3)) != list(files("d", 1))[:3]


def test_the_phantom_to_learn_from_first_is_of_other_patients(tmp_path: Path) -> None:
    drawn = []
    for folder, recipe in ((tmp_path / "own", SLICES), (tmp_path / "source", SOURCE)):
        folder.mkdir()
        recipe.phantom(folder, seed=4, patients=2, null=False)
        drawn.append({path.read_bytes() for path in folder.rglob("*.nii.gz")})
    own, source = drawn

    assert own
    assert source
    assert not own & source


def test_a_null_phantom_has_the_same_pictures_and_other_grades(tmp_path: Path, phantom: Path) -> None:
    VOLUMES.phantom(tmp_path, seed=4, patients=12, null=True)

    truth, null = VOLUMES.index(phantom), VOLUMES.index(tmp_path)
    assert sorted(labels(truth).values()) == sorted(labels(null).values())
    assert labels(truth) != labels(null)
    for one, other in zip(truth.records, null.records, strict=True):
        assert (phantom / one.files[0]).read_bytes() == (tmp_path / other.files[0]).read_bytes()


def test_a_phantom_of_one_patient_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="patients"):
        write(tmp_path, seed=0, patients=1, null=False)


def test_the_grade_shows_in_the_phantom_but_not_always() -> None:
    """High grades enhance more, with overlap: the area under the curve of the drawn enhancement is 0.8 to 0.97."""
    from medbench_datasets.phantoms.brain_drawing import draw_tumour

    drawn = [[draw_tumour(np.random.default_rng(i), is_high=high).enhancement for i in range(400)] for high in (0, 1)]
    low, high = map(np.array, drawn)
    area = (high[:, None] > low).mean() + 0.5 * (high[:, None] == low).mean()
    assert 0.8 < area < 0.97


def test_real_cases_without_grades_are_read_once_a_csv_gives_them(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "brats2013"
    with pytest.raises(DataError, match="without grades"):
        VOLUMES.index(root)
    cases = ("brats_2013_pat0001_1", "brats_2013_pat0002_1")
    grades = write_csv(tmp_path / "grades.csv", ("case", "grade"), *((case, "IV") for case in cases))
    recipe = BrainTumour(modalities=("flair", "t1ce"), grades=grades, mask="labels")

    found = recipe.index(root)
    pixels, mask = next(recipe.read(root, found.records[:1], 48))

    assert [record.id for record in found.records] == list(cases)
    assert found.records[0].detail["roles"] == "flair,t1ce,seg,brain"
    assert pixels.shape == (2, 48, 48, 48)
    assert 0.2 < (pixels[0] > 0).mean() < 0.5
    assert np.unique(mask).tolist() == [0, 1, 2, 3, 4]
    assert pixels[0][mask > 0].mean() > 1.3 * pixels[0][(mask == 0) & (pixels[0] > 0)].mean()


def test_a_real_case_in_nested_folders_is_read(shared_data: Path, tmp_path: Path) -> None:
    root = shared_data / "tcga-lgg"
    grades = write_csv(tmp_path / "grades.csv", ("case", "grade"), ("TCGA-DU-7294", "II"))
    recipe = replace(SLICES, grades=grades, slices=3)

    found = recipe.index(root)
    read = list(recipe.read(root, found.records, 64))

    assert found.records[0].files[0] == "TCGA-DU-7294/TCGA-DU-7294_brainles/raw_bet/TCGA-DU-7294_fla_bet.nii.gz"
    assert found.records[0].files[-1].endswith("fusion/simple.nii.gz")
    assert len(read) == 3
    assert all(pixels.shape == (4, 64, 64) and mask.any() for pixels, mask in read)
