"""What tells classes apart without the image is measured out of sample, by patient, and said."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from medbench.data import audit_shortcuts
from medbench.data.audit_findings import PARTS, PARTS_DIFFER, Findings, Shortcut
from medbench.data.audit_parts import measure_parts
from medbench.data.audit_shortcuts import measure_shortcuts, read_header
from medbench.data.cache import decode
from medbench.data.find_phantom import phantom_root
from medbench_datasets.ddti import DDTI


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDBENCH_CACHE", str(tmp_path / "cache"))


N = 200
LABELS = (np.arange(N) // 2 % 2).astype(np.int64)
GROUPS = np.array([f"p{i // 2}" for i in range(N)])


def noise(seed: int = 0, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).integers(60, 180, (N, channels, 32, 32), dtype=np.uint8)


def headers(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.stack([rng.integers(5000, 9000, N), rng.integers(200, 300, N), rng.integers(200, 300, N), np.ones(N)], 1)


def measured(pixels: np.ndarray, of_files: np.ndarray | None = None) -> dict[str, Shortcut]:
    found, near, n = measure_shortcuts(pixels, LABELS, GROUPS, headers() if of_files is None else of_files, 2)

    assert n == N
    assert near is not None
    return {shortcut.name: shortcut for shortcut in (*found, near)}


def test_noise_gives_nothing_away() -> None:
    """A range of 95 % leaves out .5 now and then: none of four may be said, over three draws."""
    for seed in range(3):
        found = measured(noise(seed), headers(seed))

        assert {name for name, shortcut in found.items() if shortcut.is_said} == set()
        assert all(0.25 < s.auroc < 0.75 and s.low <= s.auroc <= s.high for s in found.values())


def letters(pixels: np.ndarray) -> None:
    pixels[:, :, 28:] = 0
    pixels[LABELS == 1, :, 30, 4:28:3] = 220


def bright(pixels: np.ndarray) -> None:
    pixels[LABELS == 1] += 40


def tinted(pixels: np.ndarray) -> None:
    pixels[LABELS == 1, 0] += 40


@pytest.mark.parametrize(
    ("plant", "name", "channels"),
    [(letters, "text in the image border", 1), (bright, "mean brightness", 1), (tinted, "colour", 3)],
)
def test_a_planted_shortcut_in_the_pixels_is_named(plant: object, name: str, channels: int) -> None:
    pixels = noise(channels=channels)
    plant(pixels)  # type: ignore[operator]
    found = measured(pixels)

    assert found[name].is_said
    assert found[name].auroc > 0.95
    assert not found["file size"].is_said


@pytest.mark.parametrize(("column", "name"), [(0, "file size"), (1, "image size"), (3, "colour")])
def test_a_planted_shortcut_in_the_files_is_named(column: int, name: str) -> None:
    of_files = headers()
    of_files[:, column] += LABELS * [3000, 90, 0, 2][column]

    assert measured(noise(), of_files)[name].auroc > 0.9


def test_a_class_between_two_others_is_told_by_its_size() -> None:
    labels = np.arange(N) // 2 % 3
    of_files = headers()
    of_files[:, 1] = of_files[:, 2] = np.array([200, 250, 300])[labels]
    found, _, _ = measure_shortcuts(noise(), labels, GROUPS, of_files, 3)

    assert next(s for s in found if s.name == "image size").accuracy > 0.95


def test_what_is_known_of_no_file_or_the_same_of_all_is_left_out() -> None:
    of_files = np.zeros((N, 4), dtype=np.int64)
    assert set(measured(noise(), of_files)) == {"mean brightness", "the nearest training picture"}
    of_files[:] = (100, 20, 20, 1)
    assert set(measured(noise(), of_files)) == {"mean brightness", "the nearest training picture"}


def test_patients_are_never_on_both_sides() -> None:
    """Brightness tells who it is, and a patient's label is noise: seen by image, the nearest picture would know it."""
    rng = np.random.default_rng(0)
    pixels = np.repeat(rng.integers(60, 180, (N // 4, 1, 32, 32), dtype=np.uint8), 4, axis=0)
    groups = np.array([f"p{i // 4}" for i in range(N)])
    labels = np.repeat(rng.permutation(np.arange(N // 4) % 2), 4)
    _, apart, _ = measure_shortcuts(pixels, labels, groups, headers(), 2)
    _, mixed, _ = measure_shortcuts(pixels, labels, np.arange(N).astype(str), headers(), 2)

    assert apart is not None
    assert mixed is not None
    assert apart.auroc < 0.75
    assert mixed.auroc > 0.95


def test_the_auroc_and_its_draws_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    values = rng.integers(0, 12, 60).astype(np.float64)  # with ties
    positive = rng.random(60) < 0.4
    times = rng.integers(0, 4, (5, 60)).astype(np.float64)

    expected = [roc_auc_score(positive, values, sample_weight=w) for w in times]
    assert audit_shortcuts._auroc(values, positive, times) == pytest.approx(expected, abs=1e-12)


def test_few_patients_are_not_measured_and_many_are_drawn_by_group() -> None:
    assert measure_shortcuts(noise()[:16], LABELS[:16], GROUPS[:16], headers()[:16], 2) == ((), None, 0)
    n = 5000
    pixels = np.random.default_rng(0).integers(0, 256, (n, 1, 8, 8), dtype=np.uint8)
    groups = np.array([f"p{i // 3}" for i in range(n)])
    _, _, looked_at = measure_shortcuts(pixels, (np.arange(n) // 3 % 2).astype(np.int64), groups, np.zeros((n, 4)), 2)

    assert 1990 <= looked_at <= 2000


def test_the_same_twice() -> None:
    assert measured(noise()) == measured(noise())


def test_a_header_is_read_without_decoding_and_never_raises(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((30, 50, 3), np.uint8)).save(tmp_path / "a.PNG")
    (tmp_path / "b.jpg").write_bytes(b"no picture")
    (tmp_path / "c.dcm").write_bytes(b"no DICOM")
    (tmp_path / "d.npz").write_bytes(b"x" * 7)

    assert read_header(tmp_path / "a.PNG")[1:] == (30, 50, 3)
    assert [read_header(tmp_path / name) for name in ("b.jpg", "c.dcm", "d.npz", "e.png")] == [
        (10, 0, 0, 0), (8, 0, 0, 0), (7, 0, 0, 0), (0, 0, 0, 0),
    ]  # fmt: skip


def test_a_dicom_header_says_its_size(tmp_path: Path) -> None:
    from medbench_datasets.vindr_spinexr import DATASETS

    DATASETS[0].phantom(tmp_path, seed=0, patients=12, null=False)
    file = next(tmp_path.rglob("*.dicom"))

    size, height, width, bands = read_header(file)
    assert size == file.stat().st_size
    assert min(height, width) > 100
    assert bands == 1


def test_drawn_labels_in_the_frame_are_told_and_the_default_crop_hides_them() -> None:
    told = {}
    for crop in ("frame", "nodule"):
        recipe = DDTI(crop=crop, size=128)  # type: ignore[arg-type]
        findings = decode(recipe, phantom_root(recipe, patients=120), size=128).findings
        told[crop] = {s.name: s for s in findings.shortcuts}["text in the image border"]

    assert told["frame"].is_said
    assert not told["nodule"].is_said


def test_the_labels_burned_into_ddti_are_told(shared_data: Path) -> None:
    findings = decode(DDTI(crop="frame"), shared_data / "ddti", size=128).findings
    hidden = decode(DDTI(), shared_data / "ddti", size=128).findings

    assert "text in the image border alone predicts the class with AUROC .70" in findings.sentences()
    assert not any("text" in sentence for sentence in hidden.sentences())


def test_a_test_part_of_another_kind_is_told_from_the_training_part_within_a_class() -> None:
    parts = ["test" if patient % 4 == 0 else "train" for patient in np.arange(N) // 2 // 2]
    pixels = noise()
    same, _ = measure_parts(pixels, LABELS, GROUPS, parts, headers(), 2)
    pixels[np.array(parts) == "test"] += 40
    other, near = measure_parts(pixels, LABELS, GROUPS, parts, headers(), 2)
    none = measure_parts(pixels, LABELS, GROUPS, [""] * N, headers(), 2)
    said = Findings(neighbour=Shortcut("n", 0.9, 0.8, 0.95, 0.8), neighbour_of_cut=near, part_differences=other)

    assert all(one.auroc < PARTS_DIFFER or one.low < 0.5 for one in same)
    assert {one.name for one in other if one.auroc > 0.95 and one.low > 0.9} == {"mean brightness"}
    assert near is not None
    assert near.low < 0.5 < near.high
    assert none == ((), None)
    assert Findings.from_json(said.to_json()) == said
    assert said.sentences()[0].startswith(f"{PARTS}: mean brightness alone tells training from test images")
    assert "gives AUROC .90 on all images, ." in said.sentences()[1]
