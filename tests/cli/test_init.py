"""medbench init: from a folder of images to a study that runs."""

from __future__ import annotations

import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from medbench.cli import cli
from medbench.errors import MedbenchError
from medbench.planning import study
from medbench.registry.recipes import parse

TOYS = str(Path(__file__).parents[1] / "toys")
Medbench = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def medbench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Medbench:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MEDBENCH_RESULTS", str(tmp_path / "runs"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> subprocess.CompletedProcess[str]:
        given = [str(argument) for argument in arguments]
        if given[0] == "run":  # its jobs want a process of their own
            run = [sys.executable, "-m", "medbench", *given]
            return subprocess.run(run, capture_output=True, text=True, timeout=300)
        ended = CliRunner().invoke(cli, given, standalone_mode=False)
        code, said = ended.return_value or 0, ended.stderr
        if isinstance(ended.exception, MedbenchError):
            code, said = ended.exception.exit_code, f"{said}Error: {ended.exception}\n"
        elif ended.exception is not None:
            raise ended.exception
        return subprocess.CompletedProcess(given, code, ended.stdout, said)

    return call


def draw(path: Path, value: int) -> None:
    """Write a noise picture of a mean gray value; no two are alike."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(zlib.crc32(bytes(path))).normal(value, 20, (16, 16)).clip(0, 255)
    Image.fromarray(pixels.astype(np.uint8)).save(path)


def named_after_patients(root: Path) -> None:
    for number in range(16):
        for image in range(3):
            label = "malignant" if number % 2 else "benign"
            draw(root / label / f"P{number:03d}_{image}.png", 160 if number % 2 else 90)


def anonymous(root: Path) -> None:
    for number in range(24):
        draw(root / ("yes" if number % 2 else "no") / f"{number:05d}.png", 160 if number % 2 else 90)


def tabled(root: Path, *, patients: bool = True, images_per_patient: int = 2) -> None:
    lines = ["path,label,patient" if patients else "path,label"]
    for number in range(24):
        patient = number // images_per_patient
        name = f"images/P{number // 3:03d}_{number % 3}.png"  # what the names seem to say is not what the table says
        draw(root / name, 160 if patient % 2 else 90)
        lines.append(",".join([name, "yes" if patient % 2 else "no", f"q{patient}"][: 2 + patients]))
    (root / "samples.csv").write_text("\n".join(lines) + "\n")


def volumes(root: Path) -> None:
    rng = np.random.default_rng(0)
    for number in range(12):
        voxels = rng.normal(100, 20, (12, 12, 12)).astype(np.float32)
        voxels[3:9, 3:9, 3:9] += 100 * (number % 2)
        place = root / ("HGG" if number % 2 else "LGG") / f"case{number:02d}"
        place.mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), place / "t1.nii.gz")  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("make", "says", "patients", "dimensions"),
    [
        (named_after_patients, "guessed from file names", 16, 2),
        (anonymous, "none found in the file names", 24, 2),
        (tabled, "as the table of samples says", 12, 2),
        (volumes, "none found in the file names", 12, 3),
    ],
)
def test_what_it_writes_can_be_planned_and_run(
    medbench: Medbench, tmp_path: Path, make: Callable[[Path], None], says: str, patients: int, dimensions: int
) -> None:
    make(tmp_path / "mine")
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "mine").rglob("*")}

    begun = medbench("init", "mine", "-a", "balanced", "--size", "16")
    planned = medbench("plan", "study.toml")

    assert begun.returncode == 0, begun.stderr
    assert says in begun.stdout
    counted = "patients not known" if says.startswith("none") else f"{patients} patients,"
    assert counted in begun.stdout
    assert f"{dimensions}-D" in begun.stdout
    assert " medbench run study.toml --budget smoke" in begun.stdout
    assert counted in " ".join(planned.stdout.split())
    assert planned.returncode == 0, planned.stderr
    if make is tabled:
        ran = medbench("run", "study.toml", "-a", "plain-toy", "-c", "mean", "--budget", "smoke",
                       "--folds", "2", "--repeats", "1", "--plugins-dir", TOYS, "--executor", "forks")  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        assert "Practice run, so no verdict" in ran.stdout
    assert before == {p: p.stat().st_mtime_ns for p in (tmp_path / "mine").rglob("*")}


def test_a_guess_shows_examples_and_gives_way_to_a_pattern(medbench: Medbench, tmp_path: Path) -> None:
    named_after_patients(tmp_path / "mine")

    guessed = medbench("init", "mine")
    told = medbench("init", "mine", "--patient", r"/P\d(\d\d)", "--out", "told.toml")
    wrong = medbench("init", "mine", "--patient", "case", "--out", "wrong.toml")

    assert "benign/P000_1.png  is of patient P000" in guessed.stdout
    assert "pattern     /P\\d(\\d\\d)\n" in told.stdout
    [text] = study.read(tmp_path / "told.toml").datasets
    assert dict(parse(text).parameters)["patient"] == r"/P\d(\d\d)"
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "0 groups, expected 1 around the patient" in wrong.stderr
    assert not (tmp_path / "wrong.toml").exists()


def test_a_table_that_names_patients_is_believed_over_file_names(medbench: Medbench, tmp_path: Path) -> None:
    tabled(tmp_path / "alone", images_per_patient=1)
    tabled(tmp_path / "unsaid", patients=False)

    alone = medbench("init", "alone", "--out", "alone.toml")
    unsaid = medbench("init", "unsaid", "--out", "unsaid.toml")

    assert alone.returncode == 0, alone.stderr
    assert "24 patients, 24 images (as the table of samples says)" in alone.stdout
    assert unsaid.returncode == 0, unsaid.stderr
    assert "8 patients, 24 images (guessed from file names" in unsaid.stdout


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("nowhere",), 2, "nowhere: no such folder"),
        (("empty",), 3, "no image (PNG, JPEG, BMP, TIFF, DICOM, NIfTI)"),
        (("mine", "--out", "there.toml"), 2, "there.toml is there already"),
        (("mine", "--out", "no/study.toml"), 2, "no is no folder; make it first"),
        (("mine", "-a", "hybird"), 2, "did you mean 'hybrid'"),
        (("single",), 3, "only the class yes"),
        (("lonely",), 2, "'yes' has 1 patient; a class needs at least 3 patients"),
        (("alike",), 2, "'yes' has 2 patients, who count as 1; those who share a picture"),
    ],
)
def test_what_cannot_be_begun_is_one_sentence_and_writes_nothing(
    medbench: Medbench, tmp_path: Path, arguments: tuple[str, ...], code: int, says: str
) -> None:
    anonymous(tmp_path / "mine")
    (tmp_path / "empty").mkdir()
    draw(tmp_path / "single" / "yes" / "1.png", 90)
    for name in ("yes/a.png", "no/b.png", "no/c.png"):
        draw(tmp_path / "lonely" / name, 90)
    for name in ("yes/a.png", "yes/b.png", "no/a.png", "no/b.png"):
        draw(tmp_path / "alike" / name, 90)
    (tmp_path / "alike" / "yes" / "b.png").write_bytes((tmp_path / "alike" / "yes" / "a.png").read_bytes())
    (tmp_path / "there.toml").write_text("mine")

    begun = medbench("init", *arguments)

    assert begun.returncode == code, begun.stderr
    assert says in begun.stderr
    assert begun.stderr.count("Error: ") == 1
    assert [p.read_text() for p in tmp_path.glob("*.toml")] == ["mine"]
    if (tmp_path / arguments[0]).is_dir() and len(arguments) == 1:
        assert "No study file was written" in begun.stderr
        assert f"`medbench init {arguments[0]}" in begun.stderr


def test_a_folder_is_read_as_a_data_set_of_a_plugin_that_is_named(medbench: Medbench, tmp_path: Path) -> None:
    drawn = medbench("datasets", "phantom", "toy", "toys", "--plugins-dir", TOYS)
    begun = medbench("init", "toys", "-d", "toy", "-a", "plain-toy", "--plugins-dir", TOYS)
    planned = medbench("plan", "study.toml", "--plugins-dir", TOYS)

    assert (drawn.returncode, begun.returncode, planned.returncode) == (0, 0, 0), begun.stderr + planned.stderr
    assert "as the data set says" in begun.stdout
    assert f"medbench run study.toml --plugins-dir {TOYS}" in " ".join(begun.stdout.split())
    written = study.read(tmp_path / "study.toml")
    assert written.datasets == ["toy"]
    assert Path(written.folder) == tmp_path / "toys"


def test_a_data_set_that_is_named_and_not_there_writes_nothing(medbench: Medbench, tmp_path: Path) -> None:
    (tmp_path / "toys").mkdir()
    begun = medbench("init", "toys", "-d", "toy", "--plugins-dir", TOYS)

    assert begun.returncode == 3, begun.stderr
    assert "toy.npz" in begun.stderr
    assert (
        f"No study file was written; mend that and type `medbench init toys -d toy --plugins-dir {TOYS}`"
        in begun.stderr
    )
    assert not (tmp_path / "study.toml").exists()


def test_real_images_without_patients_are_said_to_have_none(medbench: Medbench, shared_data: Path) -> None:
    if not (shared_data / "kauh-spine").is_dir():
        pytest.skip("the spine radiographs are not there")

    begun = medbench("init", shared_data / "kauh-spine", "--size", "16")
    planned = medbench("plan", "study.toml", "--no-yardsticks", "--data", shared_data / "kauh-spine")

    assert begun.returncode == 0, begun.stderr
    assert "one patient may stand on both sides of a cut" in " ".join(begun.stdout.split())
    assert "90 training runs" in planned.stdout
