"""One's own data through the command line: what would make a number wrong is said before there is one."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from medbench.cli import cli
from medbench.errors import MedbenchError
from medbench.planning import study
from medbench.registry.recipes import parse


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def say(*arguments: object) -> tuple[int, str]:
    """Run a command in this process; return its exit code and all it said, on one line."""
    found = CliRunner().invoke(cli, [str(a) for a in arguments], standalone_mode=False)
    text = found.output
    if isinstance(found.exception, MedbenchError):
        return found.exception.exit_code, f"{text} Error: {found.exception}"
    if found.exception is not None:
        raise found.exception
    return found.return_value or 0, " ".join(text.split())


def noise(path: Path, *, seed: int, side: int = 24, lift: int = 0) -> np.ndarray:
    """Write a picture of noise, a texture of its own for each seed."""
    pixels = np.random.default_rng(seed).integers(0, 160, (side // 2, side // 2)).repeat(2, 0).repeat(2, 1) + lift
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return pixels.astype(np.uint8)


def black(path: Path, side: int = 24) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((side, side), np.uint8)).save(path)


def test_a_nearly_equal_picture_under_two_labels_is_said_by_every_command(tmp_path: Path) -> None:
    for n in range(6):
        noise(tmp_path / "d" / "yes" / f"{n}.png", seed=n)
        noise(tmp_path / "d" / "no" / f"{n}.png", seed=10 + n)
    pixels = noise(tmp_path / "d" / "yes" / "0.png", seed=0)
    Image.fromarray((pixels[:, ::-1] * 0.9).astype(np.uint8)).save(tmp_path / "d" / "no" / "twin.png")
    said = "1 pair of nearly equal pictures stands under different labels"

    code, text = say("audit", "folder[size=24]", "--data", "d")
    facts = json.loads(say("audit", "folder[size=24]", "--data", "d", "--json")[1])[0]
    checked = say("datasets", "check", "folder[size=24]", "d")
    planned = say("plan", "-d", "folder[size=24]", "--data", "d", "-a", "balanced", "--folds", 2, "--repeats", 1)

    assert code == 0
    assert "labels that conflict on nearly equal ones: 1 pair folder/no/twin.png, folder/yes/0.png" in text
    assert [(v["first"], v["second"]) for v in facts["near_conflicts"]] == [("folder/no/twin.png", "folder/yes/0.png")]
    assert checked[0] == 0
    assert said in checked[1]
    assert "different labels: folder/no/twin.png, folder/yes/0.png" in checked[1]
    assert planned[0] == 0
    assert f"Note: {said}, the first: folder/no/twin.png" in planned[1]
    assert f"Warning: {said}." in planned[1]  # what a board shows


def test_a_class_of_blank_images_is_said_and_images_that_are_all_one_are_refused(tmp_path: Path) -> None:
    for n in range(6):
        black(tmp_path / "half" / "yes" / f"{n}.png")
        noise(tmp_path / "half" / "no" / f"{n}.png", seed=n)
        black(tmp_path / "all" / "yes" / f"{n}.png")
        black(tmp_path / "all" / "no" / f"{n}.png")
    plan = ("-a", "balanced", "--folds", 2, "--repeats", 1)
    said = "images that show nothing, a single gray level: all of 6 yes"

    checked = say("datasets", "check", "folder", "half")
    audited = say("audit", "folder[size=24]", "--data", "half")
    planned = say("plan", "-d", "folder[size=24]", "--data", "half", *plan)
    refused = say("audit", "folder[size=24]", "--data", "all")
    checked_all = say("datasets", "check", "folder", "all")

    for code, text in (checked, audited, planned):
        assert code == 0
        assert said in text
    assert "Warning: images that show nothing" in planned[1]
    assert refused[0] == checked_all[0] == 3
    for text in (refused[1], checked_all[1]):
        assert "all 12 images show the same, nothing but one gray level; there is nothing to learn" in text


def test_a_check_says_at_which_size_the_parts_of_an_official_split_were_compared(tmp_path: Path) -> None:
    for part, seeds in (("train", range(8)), ("test", range(7, 12))):  # seed 7 stands in both
        for n in seeds:
            for k, name in enumerate(("no", "yes")):
                noise(tmp_path / "cut" / part / name / f"{n}.png", seed=10 * n + k)

    code, text = say("datasets", "check", "folder[size=24]", "cut")
    assert code == 0
    assert "its official cut, compared at 24 px: 2 of 10 test images have a twin in training" in text


def test_patients_joined_by_near_copies_are_counted_and_can_be_kept_apart(tmp_path: Path) -> None:
    for n in range(6):
        noise(tmp_path / "d" / "no" / f"{n}.png", seed=10 + n)
        pixels = noise(tmp_path / "d" / "yes" / f"{n}.png", seed=0)
        near = np.random.default_rng(n).normal(0, 4, pixels.shape) + pixels  # alike, not equal
        Image.fromarray(near.clip(0, 255).astype(np.uint8)).save(tmp_path / "d" / "yes" / f"{n}.png")
    joined = (
        "class 'yes' has 6 patients, who count as 1; those who share a picture, the same or nearly, are kept together"
    )
    (tmp_path / "s.toml").write_text("datasets = ['folder']\naugmenters = ['balanced']\nyardsticks = false\n"
                                     "[data]\nfolder = 'd'\nsize = 24\nchannels = 1\n")  # fmt: skip

    begun = say("init", "d", "-a", "balanced", "--size", 24)
    audited = say("audit", "s.toml")
    planned = say("plan", "s.toml")
    apart = say("init", "d", "-a", "balanced", "--size", 24, "--no-join-near", "--out", "apart.toml")
    planned_apart = say("plan", "apart.toml")
    smoke = say("plan", "apart.toml", "--budget", "smoke")

    assert begun[0] == 2
    assert joined in begun[1]
    assert "`medbench init d --no-join-near` keeps them apart" in begun[1]
    assert audited[0] == 8
    assert f"TOO FEW {joined}" in audited[1]
    assert planned[0] == 3
    assert "Class 'yes' has 6 patients, who count as 1" in planned[1]
    assert "join_near = false under [data]" in audited[1] + planned[1]
    assert apart[0] == planned_apart[0] == 0
    assert "join_near = false\n" in (tmp_path / "apart.toml").read_text()
    assert "pairs of nearly equal pictures may stand on both sides of a split" in planned_apart[1]
    assert "verdict needs 20 images of every class to test, and there are 6 of no and 6 of yes" in planned_apart[1]
    every, of_board = re.findall(r"([0-9]+) training runs(?! at a time)", planned_apart[1])[:2]
    assert every == of_board  # those on fewer patients among them
    assert "So few steps teach a network little" in smoke[1]
    assert "is known once the images are decoded" in smoke[1]  # at another size


def test_init_reads_colour_where_images_show_it(tmp_path: Path) -> None:
    for n in range(12):
        gray = noise(tmp_path / "gray" / str(n % 2) / f"{n}.png", seed=n)
        place = tmp_path / "skin" / str(n % 2)
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.stack([gray, gray // 2, gray // 3], axis=2)).save(place / f"{n}.png")
    in_colour = say("init", "skin", "-a", "balanced", "--size", 16, "--out", "skin.toml")
    as_gray = say("init", "skin", "-a", "balanced", "--size", 16, "--out", "told.toml", "--channels", 1)
    gray_ones = say("init", "gray", "-a", "balanced", "--size", 16, "--out", "gray.toml")

    assert "colour yes, so channels = 3; --channels 1 reads gray" in in_colour[1]
    assert "\nchannels = 3\n" in (tmp_path / "skin.toml").read_text()
    assert study.read(tmp_path / "skin.toml").datasets == ["folder[channels=3]"]
    assert as_gray[0] == gray_ones[0] == 0
    assert "channels" not in (tmp_path / "told.toml").read_text() + (tmp_path / "gray.toml").read_text()


def test_two_patients_a_class_are_told_what_is_missing(tmp_path: Path) -> None:
    for n in range(2):
        noise(tmp_path / "d" / "yes" / f"{n}.png", seed=n)
        noise(tmp_path / "d" / "no" / f"{n}.png", seed=10 + n)
    say("audit", "folder[size=24]", "--data", "d")

    code, text = say("plan", "-d", "folder[size=24]", "--data", "d", "-a", "balanced", "--folds", 2, "--repeats", 1)

    assert code == 2
    assert "' out of training: it has 2 patients, and one to train on, one to watch" in text
    assert "--protocol patients" not in text


def dicom(path: Path, *, seed: int, patient: str = "", study: str = "") -> None:
    """Write a radiograph of noise with a person in its header."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian, generate_uid

    tags, tags.file_meta = Dataset(), FileMetaDataset()
    tags.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    tags.file_meta.MediaStorageSOPClassUID = tags.SOPClassUID = "1.2.840.10008.5.1.4.1.1.1.1"
    tags.file_meta.MediaStorageSOPInstanceUID = tags.SOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    if patient:
        tags.PatientID = patient
    if study:
        tags.StudyInstanceUID = generate_uid(entropy_srcs=[study])
    tags.Rows = tags.Columns = 24
    tags.SamplesPerPixel, tags.PhotometricInterpretation, tags.PixelRepresentation = 1, "MONOCHROME2", 0
    tags.BitsAllocated = tags.BitsStored = 16
    tags.HighBit = 15
    tags.PixelData = np.random.default_rng(seed).integers(0, 4096, (24, 24)).astype(np.uint16).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    tags.save_as(path, enforce_file_format=True)


def views(root: Path, *, patient: str = "{c}{p}", study: str = "{c}{p}", suffix: str = ".dcm") -> None:
    """Write 6 people a class, 2 views each, in files that do not tell."""
    for c in "no", "yes":
        for p in range(6):
            for v in range(2):
                seed = 100 * (c == "yes") + 10 * p + v
                name = root / c / f"1.2.{seed}{suffix}"
                dicom(name, seed=seed, patient=patient.format(c=c, p=p, v=v), study=study.format(c=c, p=p, v=v))


@pytest.mark.parametrize(
    ("patient", "study", "said"),
    [
        ("{c}{p}", "", "12 in 24 images, by PatientID"),
        ("{c}{p}", "{c}{p}{v}", "12 in 24 images, by PatientID"),
        ("", "{c}{p}", "12 in 24 images, by StudyInstanceUID"),
        ("ANONYMOUS", "{c}{p}", "12 in 24 images, by StudyInstanceUID"),
        ("0815", "{c}{p}", "12 in 24 images, by StudyInstanceUID; one PatientID stands in every file and was not"),
    ],
)
def test_the_headers_of_dicom_files_tell_the_patients(tmp_path: Path, patient: str, study: str, said: str) -> None:
    views(tmp_path / "d", patient=patient, study=study, suffix="" if study else ".dcm")

    code, text = say("datasets", "check", "--no-pixels", "folder", "d")

    assert code == 0
    assert "24 images, 12 patients" in text
    assert f"note: Patients are those of the DICOM headers, hashed: {said}" in text
    assert "no0" not in text
    assert "0815" not in text


def test_init_groups_by_the_headers_and_no_identifier_is_stored(tmp_path: Path) -> None:
    views(tmp_path / "d", patient="Doe^{c}{p}")

    code, text = say("init", "d", "-a", "balanced", "--size", 24)

    assert code == 0
    assert "12 patients, 24 images (as the DICOM headers say), 2-D" in text
    stored = [path for path in tmp_path.rglob("*") if path.is_file() and path.parts[len(tmp_path.parts)] != "d"]
    assert stored
    assert not any(b"Doe" in path.read_bytes() for path in stored)
    [columns] = [path for path in stored if path.name == "columns.json"]
    assert len(set(json.loads(columns.read_text())["groups"])) == 12


def test_headers_that_say_nothing_are_said_to(tmp_path: Path) -> None:
    views(tmp_path / "d", patient="anon", study="")

    _, text = say("datasets", "check", "--no-pixels", "folder", "d")

    assert "24 images, 24 patients" in text
    assert "The DICOM headers hold no PatientID or StudyInstanceUID that tells patients apart." in text


def test_a_pattern_or_column_that_contradicts_the_headers_is_named_with_them(tmp_path: Path) -> None:
    views(tmp_path / "d")
    rows = [f"{c}/1.2.{s}.dcm,{c},x{s % 100}" for c, of in (("no", 0), ("yes", 100)) for s in seeds(of)]
    (tmp_path / "d" / "t.csv").write_text("\n".join(["path,label,patient", *rows]))

    _, by_pattern = say("datasets", "check", "--no-pixels", r"folder[patient=(\d+)\.dcm$]", "d")
    _, by_column = say("datasets", "check", "--no-pixels", "folder[table=t.csv]", "d")

    assert "note: folder.patient gives 24 patients, the DICOM headers give 12: folder.patient parts 12 patients" in (
        by_pattern
    )
    assert "the table's column patient gives 12 patients, the DICOM headers give 12: " in by_column
    assert "the table's column patient unites several patients of the headers in 12 patients" in by_column


def seeds(first: int) -> list[int]:
    return [first + 10 * p + v for p in range(6) for v in range(2)]


def listed(root: Path, text: str, *names: str) -> None:
    """Write pictures of these names and a table of them."""
    for seed, name in enumerate(names):
        noise(root / name, seed=seed)
    (root / "meta.csv").write_text(text)


HAM = "lesion_id,image_id,dx,dx_type,age\n" + "".join(
    f"HAM_{n // 2:03d},ISIC_{n:03d},{('nv', 'mel')[n // 2 % 2]},histo,{n}\n" for n in range(16)
)
ISIC = "image_name,patient_id,sex,diagnosis,benign_malignant,target\n" + "".join(
    f"ISIC_{n:03d},IP_{n // 2},male,unknown,{('benign', 'malignant')[n // 2 % 2]},{n // 2 % 2}\n" for n in range(16)
)
ISIC_ONE_HOT = "image,MEL,NV,BCC\n" + "".join(
    f"ISIC_{n:03d},{'1.0,0.0,0.0' if n % 2 else '0.0,1.0,0.0' if n % 4 else '0.0,0.0,1.0'}\n" for n in range(16)
)
RSNA = "patientId,x,y,width,height,Target\n" + "".join(
    f"ISIC_{n:03d},{'1.0,2.0,3.0,4.0,1' if n % 2 else ',,,,0'}\n" + f"ISIC_{n:03d},5,5,5,5,1\n" * (n % 2)
    for n in range(16)
)


@pytest.mark.parametrize(
    ("text", "folders", "mapping", "patients", "classes"),
    [
        (HAM, ("part_1", "part_2"), "path=image_id,label=dx,patient=lesion_id", 8, "8 mel, 8 nv"),
        (ISIC, ("train",), "path=image_name,label=benign_malignant,patient=patient_id", 8, "8 benign, 8 malignant"),
        (ISIC_ONE_HOT, ("train",), "path=image,label=MEL+NV+BCC", 16, "4 BCC, 8 MEL, 4 NV"),
        (RSNA, ("stage_2",), "path=patientId,label=Target,patient=patientId", 16, "8 0, 8 1"),
    ],
)
def test_init_finds_the_columns_of_a_published_table(
    tmp_path: Path, text: str, folders: tuple[str, ...], mapping: str, patients: int, classes: str
) -> None:
    names = [f"{folders[n % len(folders)]}/ISIC_{n:03d}.png" for n in range(16)]
    listed(tmp_path / "d", text, *names)

    code, said = say("init", "d", "-a", "balanced", "--size", 24)
    checked = say("datasets", "check", f"folder[table=meta.csv,{mapping}]", "d")

    assert code == 0, said
    assert f"columns table: meta.csv, {mapping.replace('=', ': ').replace(',', ', ')}" in said
    [text] = study.read(tmp_path / "study.toml").datasets
    assert set(parse(text).parameters) == set(parse(f"folder[table=meta.csv,{mapping}]").parameters)
    assert checked[0] == 0
    assert f"16 images, {patients} patients, 2-D, 1 channel: {classes}" in checked[1]


def test_class_folders_beside_a_table_say_that_it_was_not_used(tmp_path: Path) -> None:
    listed(tmp_path / "d", HAM, *(f"part_{n % 2}/ISIC_{n:03d}.png" for n in range(16)))

    _, text = say("datasets", "check", "--no-pixels", "folder", "d")

    assert "names the images and was not used: folder[table=meta.csv,path=image_id,label=dx,patient=lesion_id]" in text


@pytest.mark.parametrize(
    ("files", "found"),
    [
        (("train_images/a.dicom", "test_images/b.dicom", "annotations/train.csv"), "vindr-spinexr:abnormal"),
        (("train_images/a.dicom", "test_images/b.dicom"), "vindr-spinexr:abnormal"),
        (("MURA-v1.1/train/XR_WRIST/patient00001/study1_positive/image1.png",), "mura:abnormal"),
        (("dataset.csv", "images/Fractured/a.jpg", "images/Non_fractured/b.jpg"), "fracatlas:fracture"),
        (("xml/1.xml", "jpg/1_1.jpg"), "ddti"),
        (("breastmnist.npz",), "medmnist[flag=breastmnist]"),
        (("adrenalmnist3d_64.npz",), "medmnist[flag=adrenalmnist3d,resolution=64]"),
        (("HGG/c1/c1_flair.nii.gz", "HGG/c1/c1_seg.nii.gz", "LGG/c2/c2_t1.nii.gz"), "brain-tumour"),
        (("c1/c1_fla.nii.gz", "c1/c1_t1c.nii.gz"), "brain-tumour"),
    ],
)
def test_a_published_layout_is_never_taken_for_class_folders(
    tmp_path: Path, files: tuple[str, ...], found: str
) -> None:
    for file in files:
        (tmp_path / "d" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "d" / file).write_bytes(b"")

    code, _ = say("init", "d")
    refused = say("datasets", "check", "folder", "d")

    assert code == 3  # none of these is whole: its own reader says what is missing
    assert refused[0] == 3
    assert found.partition("[")[0].partition(":")[0] not in ("folder", "")
    assert not (tmp_path / "study.toml").exists()
    if not any(file.endswith(".npz") or not (tmp_path / "d" / file).stat().st_size for file in files):
        assert f"this is the layout of {found}" in refused[1]
    assert f"this looks like {found}" in say_init(tmp_path)


def say_init(tmp_path: Path) -> str:
    """Return what init says before it stops."""
    found = CliRunner().invoke(cli, ["init", str(tmp_path / "d")])
    return " ".join(found.output.split())


def test_init_writes_the_official_cut_and_counts_its_twins(tmp_path: Path) -> None:
    for part, first in (("Training", 0), ("Testing", 30)):
        for n in range(6):
            noise(tmp_path / "d" / part / "yes" / f"{n}.png", seed=first + n)
            noise(tmp_path / "d" / part / "no" / f"{n}.png", seed=first + 10 + n)
    plain = say("init", "d", "-a", "balanced", "--size", 24, "--out", "plain.toml")
    noise(tmp_path / "d" / "Testing" / "yes" / "twin.png", seed=0)
    twins = say("init", "d", "-a", "balanced", "--size", 24, "--out", "twins.toml")
    planned = say("plan", "twins.toml", "--data", "d")

    assert plain[0] == twins[0] == planned[0] == 0
    assert 'protocols = ["official"]' in (tmp_path / "plain.toml").read_text()
    assert "official split x 3 repeats" in plain[1]
    assert "folds" not in (tmp_path / "plain.toml").read_text()
    assert 'protocols = ["official[overlap=drop]"]' in (tmp_path / "twins.toml").read_text()
    assert "without 1 of 12 training images: 1 of 13 test images have a twin there" in twins[1]
    assert "official[overlap=drop] trains without 1 of 12 images, which share a patient or a picture" in planned[1]


def test_a_patient_of_several_studies_is_said_where_a_reader_takes_studies_for_patients(tmp_path: Path) -> None:
    from pydicom import dcmread

    from medbench_datasets.vindr_spinexr import DATASETS

    DATASETS[0].phantom(tmp_path / "d", seed=0, patients=12, null=False)
    records = DATASETS[0].index(tmp_path / "d").records
    first = sorted({record.study for record in records})[:2]
    for record in records:
        tags = dcmread(tmp_path / "d" / record.files[0])
        tags.PatientID = "P1" if record.study in first else record.study
        tags.save_as(tmp_path / "d" / record.files[0])

    said = DATASETS[0].check(tmp_path / "d", records)

    assert any(": the column study_id parts 1 patient of the headers" in note for note in said)
    assert not any("P1" in note for note in said)


def test_check_goes_on_behind_an_image_that_cannot_be_read(tmp_path: Path) -> None:
    for n in range(4):
        noise(tmp_path / "d" / "yes" / f"{n}.png", seed=n)
        noise(tmp_path / "d" / "no" / f"{n}.png", seed=10 + n)
    for name in ("no/1.png", "no/2.png", "yes/3.png"):
        (tmp_path / "d" / name).write_bytes((tmp_path / "d" / name).read_bytes()[:60])

    code, text = say("datasets", "check", "folder", "d")

    assert code == 3
    assert "3 of 8 images cannot be read" in text
    assert all(f"bad:  {name} " in text for name in ("no/1.png", "no/2.png", "yes/3.png"))
