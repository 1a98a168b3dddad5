"""MURA is read by its tables, which must agree with the folders; its phantom is read by the very same reader."""

from __future__ import annotations

import shutil
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import medbench
from medbench.registry.recipes import configure
from medbench_datasets.mura import BODY_PARTS, DATASETS, MURA
from medbench_datasets.phantoms.limb_drawing import LAYOUTS, UNSEEN, draw, new_finding, new_limb

ABNORMAL, PART = DATASETS
Study = tuple[str, str, str, str]  # part, part of the body, patient, folder of the study
TRAIN: tuple[Study, ...] = (
    ("train", "XR_SHOULDER", "patient00001", "study1_positive"),
    ("train", "XR_SHOULDER", "patient00001", "study2_negative"),
    ("train", "XR_WRIST", "patient00001", "study1_negative"),
    ("train", "XR_HAND", "patient00002", "study1_negative"),
)
VALID: tuple[Study, ...] = (
    ("valid", "XR_WRIST", "patient11185", "study1_positive"),
    ("valid", "XR_HAND", "patient11186", "study1_negative"),
)


def lay_out(root: Path, studies: tuple[Study, ...] = TRAIN + VALID, images: int = 2, *, top: str = "MURA-v1.1") -> Path:
    """Write tiny images in the released layout and return the folder that holds ``MURA-v1.1``."""
    paths, labels = defaultdict(list), defaultdict(list)
    for study in studies:
        folder = "/".join(study)
        (root / top / folder).mkdir(parents=True, exist_ok=True)
        labels[study[0]].append(f"MURA-v1.1/{folder}/,{int(study[3].endswith('positive'))}")
        for k in range(1, images + 1):
            Image.fromarray(np.full((6, 4), 40 * k, dtype=np.uint8)).save(root / top / folder / f"image{k}.png")
            paths[study[0]].append(f"MURA-v1.1/{folder}/image{k}.png")
    for part in paths:
        for name, lines in (("image_paths", paths[part]), ("labeled_studies", labels[part])):
            (root / top / f"{part}_{name}.csv").write_text("\n".join(lines) + "\n")
    return root


def edit(root: Path, table: str, old: str, new: str) -> None:
    path = root / "MURA-v1.1" / table
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def notes_of(root: Path) -> str:
    return " ".join(ABNORMAL.index(root).notes)


# What the tables mean


def test_a_study_gives_its_label_to_its_images_and_a_number_is_one_person(tmp_path: Path) -> None:
    index = ABNORMAL.index(lay_out(tmp_path, images=1))

    assert index.classes == ("normal", "abnormal")
    assert [(r.id, r.label, r.patient, r.study, r.part) for r in index.records] == [
        (
            f"{part}/{limb}/{patient}/{study}/image1",
            int("positive" in study),
            patient,
            f"{part}/{limb}/{patient}/{study.split('_')[0]}",
            "train" if part == "train" else "test",
        )
        for part, limb, patient, study in (*sorted(TRAIN), *sorted(VALID, key=lambda s: s[1]))
    ]
    assert "Patients with images of more than one class: 1." in index.notes
    assert 'An official cut: 4 images are the part "train", 2 (valid) the part "test".' in index.notes


@pytest.mark.parametrize("below", [".", "MURA-v1.1"])
def test_the_folder_of_the_release_or_its_parent_may_be_given(tmp_path: Path, below: str) -> None:
    root = lay_out(tmp_path) / below
    records = ABNORMAL.index(root).records

    assert [r.id for r in records] == [r.id for r in ABNORMAL.index(tmp_path).records]
    assert all((root / r.files[0]).is_file() for r in records)


def test_the_seven_parts_of_the_body_are_classes_of_their_own(tmp_path: Path) -> None:
    records = PART.index(lay_out(tmp_path)).records

    assert PART.classes == BODY_PARTS
    assert {(BODY_PARTS[r.label], r.patient) for r in records} == {(s[1], s[2]) for s in TRAIN + VALID}


def test_one_part_of_the_body_can_be_chosen_on_the_command_line(tmp_path: Path) -> None:
    chosen = configure(ABNORMAL, [("part", "XR_WRIST")], lambda *_: None)
    records = chosen.index(lay_out(tmp_path)).records

    assert {r.id.split("/")[1] for r in records} == {"XR_WRIST"}
    assert [r.label for r in records] == [0, 0, 1, 1]
    with pytest.raises(medbench.DataError, match="lists no image of XR_ELBOW"):
        MURA(part="XR_ELBOW").index(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"part": "wrist"}, "part is 'wrist'; choose all or one of XR_ELBOW"),
        ({"case": "x"}, "case is 'x'; choose abnormal or part"),
        ({"case": "part", "part": "XR_HAND"}, "part=XR_HAND leaves one class of seven"),
    ],
)
def test_a_wrong_option_is_named(options: dict[str, str], words: str) -> None:
    with pytest.raises(medbench.UsageError, match=words):
        MURA(**options)  # type: ignore[arg-type]


def test_a_patient_in_both_parts_is_one_person_and_noted(tmp_path: Path) -> None:
    again = ("valid", "XR_HAND", "patient00002", "study1_negative")
    index = ABNORMAL.index(lay_out(tmp_path, (*TRAIN, *VALID, again)))

    assert {r.part for r in index.records if r.patient == "patient00002"} == {"train", "test"}
    assert len({r.study for r in index.records if r.patient == "patient00002"}) == 2
    assert any("both train and valid, which the official cut would leak: 1 (patient00002)" in n for n in index.notes)


def test_what_a_mac_leaves_behind_and_blank_lines_do_not_count(tmp_path: Path) -> None:
    expected = ABNORMAL.index(lay_out(tmp_path))
    for folder in (tmp_path / "MURA-v1.1", *(tmp_path / "MURA-v1.1" / "/".join(s) for s in TRAIN)):
        (folder / "._image1.png").write_bytes(b"\x00\x05\x16\x07")
        (folder / ".DS_Store").touch()
    (tmp_path / "__MACOSX" / "MURA-v1.1").mkdir(parents=True)
    path = tmp_path / "MURA-v1.1" / "train_image_paths.csv"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n") + b"\r\n")

    assert ABNORMAL.index(tmp_path) == expected


@pytest.mark.parametrize(
    ("paths", "labels"), [("image_path", "study_path,label"), ("0", "0,1"), ("Path", "Path,Label")]
)
def test_a_header_that_a_copy_of_the_tables_has_does_not_count(tmp_path: Path, paths: str, labels: str) -> None:
    expected = ABNORMAL.index(lay_out(tmp_path))
    for table, header in (("train_image_paths.csv", paths), ("train_labeled_studies.csv", labels)):
        path = tmp_path / "MURA-v1.1" / table
        path.write_text(f"{header}\n{path.read_text()}")

    assert ABNORMAL.index(tmp_path) == expected


@pytest.mark.parametrize("gone", ["train", "valid"])
def test_one_part_without_the_other_is_read_and_noted(tmp_path: Path, gone: str) -> None:
    root = lay_out(tmp_path)
    shutil.rmtree(root / "MURA-v1.1" / gone)
    for table in ("image_paths", "labeled_studies"):
        (root / "MURA-v1.1" / f"{gone}_{table}.csv").unlink()

    assert f"The {gone} part is not here" in notes_of(root)
    assert {r.part for r in ABNORMAL.index(root).records} == ({"test"} if gone == "train" else {"train"})


# What is refused


@pytest.mark.parametrize("gone", ["train_image_paths.csv", "valid_labeled_studies.csv", "valid"])
def test_a_part_that_is_half_there_is_named(tmp_path: Path, gone: str) -> None:
    root = lay_out(tmp_path)
    (root / "MURA-v1.1" / gone).rename(root / "elsewhere")

    with pytest.raises(medbench.DataError, match=f"MURA-v1.1/{gone} is missing, but others"):
        ABNORMAL.index(root)


def test_a_folder_without_mura_says_what_is_expected(tmp_path: Path) -> None:
    with pytest.raises(medbench.DataError, match=r"holds neither train_image_paths.csv nor MURA-v1.1/"):
        ABNORMAL.index(tmp_path)


LINE = "MURA-v1.1/train/XR_WRIST/patient00001/study1_negative/"


@pytest.mark.parametrize(
    ("table", "old", "new", "words"),
    [
        ("train_image_paths.csv", f"{LINE}image1.png", f"{LINE}image9.png", r"missing: 1 \(.*/image9.png\)"),
        ("train_image_paths.csv", f"{LINE}image1.png", f"{LINE}image2.png", "image2.png. more than once"),
        ("train_image_paths.csv", f"{LINE}image1.png", f"{LINE}image1.jpg", "line 5: no path of an image"),
        ("train_image_paths.csv", "XR_WRIST", "../XR_WRIST", "line 5: no study of the part train"),
        ("train_image_paths.csv", "train/XR_WRIST", "valid/XR_WRIST", "line 5: no study of the part train"),
        ("train_image_paths.csv", "XR_WRIST", "XR_KNEE", "line 5: no study of the part train"),
        ("train_labeled_studies.csv", f"{LINE},0", f"{LINE},1", "line 3: .* is labelled 1, which its name contradicts"),
        ("train_labeled_studies.csv", f"{LINE},0", f"{LINE},2", "line 3: the label is neither 0 nor 1"),
        ("train_labeled_studies.csv", f"{LINE},0", f"{LINE}", "line 3: "),
        ("train_labeled_studies.csv", f"{LINE},0\n", "", r"lacks studies of train_image_paths.csv: 1 \(train/XR_WRIST"),
        ("train_labeled_studies.csv", f"{LINE},0\n", f"{LINE},0\n{LINE},0\n", "line 4: .* a second time"),
    ],
)
def test_a_contradiction_names_table_and_line(tmp_path: Path, table: str, old: str, new: str, words: str) -> None:
    root = lay_out(tmp_path)
    edit(root, table, old, new)

    with pytest.raises(medbench.DataError, match=words):
        ABNORMAL.index(root)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\0"])
@pytest.mark.parametrize("table", ["train_image_paths.csv", "train_labeled_studies.csv"])
def test_a_broken_table_is_named(tmp_path: Path, table: str, content: bytes) -> None:
    root = lay_out(tmp_path)
    (root / "MURA-v1.1" / table).write_bytes(content)

    with pytest.raises(medbench.DataError, match=f"^{table} "):
        ABNORMAL.index(root)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.text(max_size=60).filter(lambda text: text.strip()))
def test_no_line_of_a_table_ends_in_anything_but_a_sentence(tmp_path: Path, line: str) -> None:
    root = lay_out(tmp_path, TRAIN[:1], images=1)
    for table in ("train_image_paths.csv", "train_labeled_studies.csv"):
        path = root / "MURA-v1.1" / table
        good = path.read_bytes()
        path.write_bytes(good + line.encode("utf-8", "surrogatepass"))
        with pytest.raises(medbench.DataError, match=table):
            ABNORMAL.index(root)
        path.write_bytes(good)


def test_images_that_no_table_names_and_studies_without_images_are_noted(tmp_path: Path) -> None:
    root = lay_out(tmp_path)
    (root / "MURA-v1.1" / "/".join(TRAIN[0]) / "image9.png").write_bytes(b"x")
    edit(root, "train_labeled_studies.csv", f"{LINE},0\n", f"{LINE},0\n{LINE.replace('study1', 'study7')},0\n")

    assert "that train_image_paths.csv does not name were left out: 1 (" in notes_of(root)
    assert "Labelled studies without an image in train_image_paths.csv: 1 (" in notes_of(root)


def test_a_damaged_image_is_named_when_it_is_read(tmp_path: Path) -> None:
    root = lay_out(tmp_path)
    records = ABNORMAL.index(root).records
    path = root / records[1].files[0]
    path.write_bytes(path.read_bytes()[:-30])

    with pytest.raises(medbench.DataError, match=r"study1_negative/image2.png is truncated"):
        list(ABNORMAL.read(root, records, 8))


def test_gray_and_colour_files_are_read_alike_and_padded_to_a_square(tmp_path: Path) -> None:
    root = lay_out(tmp_path)
    records = ABNORMAL.index(root).records[:1]
    ((gray, mask),) = ABNORMAL.read(root, records, 6)
    path = root / records[0].files[0]
    with Image.open(path) as picture:
        in_colour = picture.convert("RGB")
    in_colour.save(path)
    ((colour, _),) = ABNORMAL.read(root, records, 6)

    expected = np.zeros((1, 6, 6), dtype=np.uint8)
    expected[..., 1:5] = 40
    np.testing.assert_array_equal(gray, expected)
    np.testing.assert_array_equal(colour, expected)
    assert mask is None


# The phantom


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom")
    ABNORMAL.phantom(root, seed=3, patients=40, null=False)
    return root


def test_the_phantom_has_every_class_in_both_parts_and_nobody_twice(phantom: Path) -> None:
    records = ABNORMAL.index(phantom).records
    people = {part: {r.patient for r in records if r.part == part} for part in ("train", "test")}

    assert len(people["train"] | people["test"]) == 40
    assert not people["train"] & people["test"]
    assert max(people["train"]) < min(people["test"])  # numbered one after the other, as in the release
    for part in people:
        assert {r.label for r in records if r.part == part} == {0, 1}
    assert {r.label for r in PART.index(phantom).records} == set(range(7))


def mode_of(path: Path) -> str:
    with Image.open(path) as picture:
        return picture.mode


def test_the_phantom_has_the_quirks_of_the_release(phantom: Path) -> None:
    records = ABNORMAL.index(phantom).records
    studies, labels = defaultdict(set), defaultdict(set)
    for r in records:
        studies[r.patient].add(r.study)
        labels[r.patient].add(r.label)

    assert {mode_of(phantom / r.files[0]) for r in records} == {"L", "RGB"}
    assert list(phantom.rglob("._image1.png"))
    assert max(map(len, studies.values())) == 2
    assert {frozenset(found) for found in labels.values()} == {frozenset({0}), frozenset({1}), frozenset({0, 1})}


@pytest.mark.parametrize("patients", [4, 5, 9])
def test_small_phantoms_have_both_classes_in_both_parts(tmp_path: Path, patients: int) -> None:
    ABNORMAL.phantom(tmp_path, seed=0, patients=patients, null=False)

    assert {(r.part, r.label) for r in ABNORMAL.index(tmp_path).records} == {
        (part, label) for part in ("train", "test") for label in (0, 1)
    }


def test_a_phantom_of_three_patients_is_refused(tmp_path: Path) -> None:
    with pytest.raises(medbench.UsageError, match="at least 4 patients, got 3"):
        ABNORMAL.phantom(tmp_path, seed=0, patients=3, null=False)


def files_under(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*.png")) if p.name[0] != "."}


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        ABNORMAL.phantom(tmp_path / name, seed=seed, patients=5, null=False)
    first, again, other = (files_under(tmp_path / name) for name in "abc")

    assert first == again
    assert not set(first.values()) & set(other.values())


def test_a_null_phantom_keeps_the_labels_and_shows_limbs_and_findings_of_others(tmp_path: Path) -> None:
    for name, null in (("true", False), ("null", True)):
        ABNORMAL.phantom(tmp_path / name, seed=5, patients=12, null=null)
    true, null = (files_under(tmp_path / name) for name in ("true", "null"))
    redrawn = {path for path in true if true[path] != null.get(path)}

    assert true.keys() == null.keys()
    assert {"positive" in path for path in redrawn} == {False, True}
    assert len(redrawn) > 0.6 * len(true)  # the body part is a class as well: six in seven of another one


# The drawing that MURA and FracAtlas share


@pytest.mark.parametrize("part", LAYOUTS)
@pytest.mark.parametrize("kind", ["fracture", "lesion"])
def test_a_finding_changes_the_picture_in_its_box(part: str, kind: str) -> None:
    hidden = 0
    for seed in range(6):
        rng = np.random.default_rng([seed, 1])
        limb = new_limb(rng, part)
        finding = new_finding(rng, limb, kind)  # type: ignore[arg-type]
        with_it, box = draw(limb, finding, np.random.default_rng(seed))
        without, none = draw(limb, None, np.random.default_rng(seed))
        change = np.abs(with_it - without)
        assert with_it.shape == without.shape
        assert none is None
        if box is None:  # the view hides it
            hidden += 1
            assert change.max() == 0
            continue
        x0, y0, x1, y1 = (round(corner) for corner in box)
        assert change[y0:y1, x0:x1].max() > 0.1
        beside = change.copy()
        beside[y0:y1, x0:x1] = 0
        assert change[y0:y1, x0:x1].mean() > beside.mean()
        if kind == "lesion":  # a lesion is in its box; what lies beyond a break has moved
            assert beside.max() < 0.02
    assert hidden < 4


def test_some_views_hide_a_finding() -> None:
    rng = np.random.default_rng(0)
    limb = new_limb(rng, "finger")
    finding = new_finding(rng, limb, "fracture")
    hidden = sum(draw(limb, finding, np.random.default_rng(seed))[1] is None for seed in range(80))

    assert 0.4 * UNSEEN < hidden / 80 < 1.6 * UNSEEN


def summaries(picture: np.ndarray) -> list[float]:
    """Numbers of a whole picture that see neither shape nor place: size, mean, spread, quantiles, share of black."""
    height, width = picture.shape
    quantiles = np.quantile(picture, (0.1, 0.5, 0.9, 0.99))
    return [height, width, height / width, picture.mean(), picture.std(), *quantiles, (picture < 0.02).mean()]


def probed(pictures: list[np.ndarray], labels: np.ndarray, people: np.ndarray) -> float:
    """AUROC of a linear probe on summaries of pictures, each predicted without its person."""
    probe = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
    numbers = np.array([summaries(picture) for picture in pictures])
    scores = cross_val_predict(probe, numbers, labels, groups=people, cv=GroupKFold(5), method="predict_proba")
    return float(roc_auc_score(labels, scores[:, 1]))


def test_neither_size_nor_gray_values_tell_the_class() -> None:
    pictures, labels, people = [], [], []
    for seed in range(54):
        rng = np.random.default_rng(seed)
        limb = new_limb(rng, list(LAYOUTS)[seed % len(LAYOUTS)])
        finding = new_finding(rng, limb, "lesion" if seed % 3 == 0 else "fracture")
        for label in (0, 1):  # the same view of the same person, so that only the finding tells them apart
            pictures.append(draw(limb, finding if label else None, np.random.default_rng([seed, 7]))[0])
            labels.append(label)
            people.append(seed)
    truth, groups = np.array(labels), np.array(people)

    assert 0.35 < probed(pictures, truth, groups) < 0.65  # 0.62 with 220 people
    for number in np.array([summaries(picture) for picture in pictures]).T:
        assert 0.44 < roc_auc_score(truth, number) < 0.56
    brighter = [x + 0.06 * label for x, label in zip(pictures, labels, strict=True)]
    assert probed(brighter, truth, groups) > 0.8  # the probe would have seen it
