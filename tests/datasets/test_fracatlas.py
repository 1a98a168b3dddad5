"""FracAtlas is read by its table, which must agree with the folders; its phantom is read by the very same reader."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

import medbench
from medbench.registry.recipes import configure
from medbench_datasets.fracatlas import DATASETS, FracAtlas
from medbench_datasets.mura import MURA

(FRACTURE,) = DATASETS
COLUMNS = (
    *("image_id", "hand", "leg", "hip", "shoulder", "mixed", "hardware", "multiscan", "fractured", "fracture_count"),
    *("frontal", "lateral", "oblique"),
)
IMAGES = {  # name -> parts shown, fractured
    "IMG0000000": (("leg",), 0),
    "IMG0000019": (("hand",), 1),
    "IMG0000025": (("hand", "leg"), 1),
    "IMG0000031": (("shoulder",), 0),
}
VOC = "Annotations/PASCAL VOC"


def voc(*boxes: tuple[object, ...]) -> str:
    objects = "".join(
        "<object><name>fractured</name><bndbox>"
        + "".join(f"<{key}>{value}</{key}>" for key, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True))
        + "</bndbox></object>"
        for box in boxes
    )
    return f"<annotation><filename>x.jpg</filename>{objects}</annotation>"


def lay_out(
    root: Path, images: Mapping[str, tuple[tuple[str, ...], int]] | None = None, *, top: str = ".", boxes: bool = True
) -> Path:
    """Write noise of 60 x 40 in the released layout."""
    images = IMAGES if images is None else images
    rng = np.random.default_rng(0)
    rows: list[tuple[object, ...]] = []
    for folder in ("images/Fractured", "images/Non_fractured", *([VOC] if boxes else [])):
        (root / top / folder).mkdir(parents=True, exist_ok=True)
    for name, (parts, fractured) in images.items():
        folder = root / top / "images" / ("Fractured" if fractured else "Non_fractured")
        Image.fromarray(rng.integers(0, 255, (40, 60), dtype=np.uint8)).save(folder / f"{name}.jpg")
        if boxes:
            (root / top / VOC / f"{name}.xml").write_text(voc(*[(6, 4, 30, 20)] * fractured))
        shown = [int(part in parts) for part in COLUMNS[1:5]]
        rows.append((f"{name}.jpg", *shown, int(len(parts) > 1), 0, 0, fractured, fractured, 1, 0, 0))
    with (root / top / "dataset.csv").open("w", newline="") as file:
        csv.writer(file).writerows([COLUMNS, *rows])
    return root


def edit(root: Path, old: str, new: str) -> None:
    text = (root / "dataset.csv").read_text()
    assert old in text
    (root / "dataset.csv").write_text(text.replace(old, new, 1))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


# What the table means


@pytest.mark.parametrize("top", [".", "FracAtlas"])
def test_the_folder_of_the_release_or_its_parent_may_be_given(tmp_path: Path, top: str) -> None:
    index = FRACTURE.index(lay_out(tmp_path, top=top))

    assert index.classes == ("not fractured", "fractured")
    assert [(r.id, r.patient, r.label, r.part) for r in index.records] == [
        (name, name, fractured, "") for name, (_, fractured) in IMAGES.items()
    ]
    assert all((tmp_path / file).is_file() for r in index.records for file in r.files)
    assert index.notes == (
        "No patients were released: every image counts as one, and images of one person may be in two parts.",
    )
    assert FRACTURE.card.unit == "image"


def test_a_chosen_part_has_every_image_that_shows_it(tmp_path: Path) -> None:
    lay_out(tmp_path)
    for part in ("hand", "leg", "shoulder"):
        chosen = configure(FRACTURE, [("part", part)], lambda *_: None)
        assert [r.id for r in chosen.index(tmp_path).records] == [
            n for n, (parts, _) in IMAGES.items() if part in parts
        ]

    with pytest.raises(medbench.DataError, match="no readable image of the part hip"):
        FracAtlas(part="hip").index(tmp_path)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"part": "knee"}, "part is 'knee'; choose all or one of hand"), ({"truncated": "keep"}, "choose omit or refuse")],
)
def test_a_wrong_option_is_named(options: dict[str, str], words: str) -> None:
    with pytest.raises(medbench.UsageError, match=words):
        FracAtlas(**options)  # type: ignore[arg-type]


# What is refused


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("IMG0000019.jpg", "IMG0000020.jpg", r"names images that are missing: 1 \(IMG0000020.jpg\)"),
        ("IMG0000019.jpg", "IMG0000000.jpg", "line 3: IMG0000000.jpg is listed a second time"),
        ("IMG0000019.jpg", "../19.jpg", "line 3: image_id is no name of a JPEG"),
        ("IMG0000019.jpg", "", "line 3: image_id is no name of a JPEG"),
        ("IMG0000019.jpg,1", "IMG0000019.jpg,2", "line 3: hand is neither 0 nor 1"),
        ("IMG0000019.jpg,1,0,0,0,0,0,0,1", "IMG0000019.jpg,1,0,0,0,0,0,0,", "line 3: fractured is neither 0 nor 1"),
        (
            "IMG0000019.jpg,1,0,0,0,0,0,0,1",
            "IMG0000019.jpg,1,0,0,0,0,0,0,0",
            r"contradicts the folders Fractured and Non_fractured about 1 \(IMG0000019.jpg\)",
        ),
        ("image_id", "image", "has no column image_id"),
        ("hip,", "hips,", "has no column hip"),
    ],
)
def test_a_contradiction_names_the_row_or_the_image(tmp_path: Path, old: str, new: str, words: str) -> None:
    edit(lay_out(tmp_path), old, new)

    with pytest.raises(medbench.DataError, match=f"^dataset.csv.*{words}"):
        FRACTURE.index(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0", ",".join(COLUMNS).encode()])
def test_a_broken_table_is_named(tmp_path: Path, content: bytes) -> None:
    (lay_out(tmp_path) / "dataset.csv").write_bytes(content)

    with pytest.raises(medbench.DataError, match=r"^dataset.csv "):
        FRACTURE.index(tmp_path)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.text(max_size=60).filter(lambda text: text.strip()))
def test_no_row_of_the_table_ends_in_anything_but_a_sentence(tmp_path: Path, line: str) -> None:
    path = lay_out(tmp_path, dict(list(IMAGES.items())[:1])) / "dataset.csv"
    path.write_bytes(path.read_bytes() + line.encode("utf-8", "surrogatepass"))

    with pytest.raises(medbench.DataError, match=r"^dataset.csv"):
        FRACTURE.index(tmp_path)


@pytest.mark.parametrize(
    ("gone", "words"),
    [("dataset.csv", "holds no dataset.csv of FracAtlas"), ("images/Fractured", "images/Fractured/ is missing")],
)
def test_a_missing_table_or_folder_is_named(tmp_path: Path, gone: str, words: str) -> None:
    (lay_out(tmp_path) / gone).rename(tmp_path / "elsewhere")

    with pytest.raises(medbench.DataError, match=words):
        FRACTURE.index(tmp_path)


def test_an_image_in_both_folders_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path)
    one = tmp_path / "images" / "Fractured" / "IMG0000019.jpg"
    (tmp_path / "images" / "Non_fractured" / one.name).write_bytes(one.read_bytes())

    with pytest.raises(medbench.DataError, match=r"IMG0000019.jpg is in images/ more than once"):
        FRACTURE.index(tmp_path)


def test_images_that_the_table_does_not_name_are_noted(tmp_path: Path) -> None:
    lay_out(tmp_path)
    for name in ("IMG0000099.jpg", "._IMG0000019.jpg", ".DS_Store"):
        (tmp_path / "images" / "Fractured" / name).write_bytes(b"x")

    assert FRACTURE.index(tmp_path).notes[1:] == (
        "Images that dataset.csv does not name were left out: 1 (IMG0000099.jpg).",
    )


# JPEGs that are cut short


def test_jpegs_that_are_cut_short_are_left_out_and_counted_by_class(tmp_path: Path) -> None:
    lay_out(tmp_path)
    for name in ("Non_fractured/IMG0000000", "Fractured/IMG0000025"):
        cut(tmp_path / "images" / f"{name}.jpg")
    index = FRACTURE.index(tmp_path)

    assert [r.id for r in index.records] == ["IMG0000019", "IMG0000031"]
    assert index.notes[1] == (
        "JPEGs that are cut short were left out: 2 (IMG0000000.jpg, IMG0000025.jpg); 1 of them fractured, 1 not."
    )
    with pytest.raises(medbench.DataError, match=r"cut short: 2 \(IMG0000000.jpg, IMG0000025.jpg\); fetch"):
        FracAtlas(truncated="refuse").index(tmp_path)


def test_a_jpeg_with_something_behind_its_end_is_read(tmp_path: Path) -> None:
    path = lay_out(tmp_path) / "images" / "Non_fractured" / "IMG0000031.jpg"
    path.write_bytes(path.read_bytes() + b"\0" * 100)

    assert len(FRACTURE.index(tmp_path).records) == len(IMAGES)


def test_a_damaged_image_that_looks_whole_is_named_when_it_is_read(tmp_path: Path) -> None:
    lay_out(tmp_path)
    path = tmp_path / "images" / "Non_fractured" / "IMG0000000.jpg"
    path.write_bytes(path.read_bytes()[:100] + b"\xff\xd9")
    records = FRACTURE.index(tmp_path).records

    with pytest.raises(medbench.DataError, match=r"Non_fractured/IMG0000000.jpg is truncated, damaged"):
        list(FRACTURE.read(tmp_path, records, 8))


# Boxes


def test_boxes_become_masks_and_images_without_a_fracture_have_an_empty_one(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / VOC / "IMG0000019.xml").write_text(voc((6, 4, 30, 20), (50, 30, 60, 40)))
    records = FRACTURE.index(tmp_path).records
    masks = {r.id: mask for r, (_, mask) in zip(records, FRACTURE.read(tmp_path, records, 60), strict=True)}

    expected = np.zeros((60, 60), dtype=np.uint8)
    expected[14:30, 6:30] = expected[40:50, 50:60] = 1  # 10 rows of padding above
    np.testing.assert_array_equal(masks["IMG0000019"], expected)
    assert masks["IMG0000000"] is not None
    assert not masks["IMG0000000"].any()


def test_boxes_that_do_not_fit_the_label_are_noted_and_give_no_mask(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / VOC / "IMG0000000.xml").write_text(voc((1, 1, 5, 5)))
    (tmp_path / VOC / "IMG0000019.xml").unlink()
    index = FRACTURE.index(tmp_path)
    masks = {r.id: mask for r, (_, mask) in zip(index.records, FRACTURE.read(tmp_path, index.records, 8), strict=True)}

    assert index.notes[1] == (
        "Images whose boxes do not fit their label have no mask: 2 (IMG0000000.jpg, IMG0000019.jpg)."
    )
    assert {name for name, mask in masks.items() if mask is None} == {"IMG0000000", "IMG0000019"}


def test_without_annotations_no_image_has_a_mask(tmp_path: Path) -> None:
    index = FRACTURE.index(lay_out(tmp_path, boxes=False))

    assert index.notes[1] == "There is no Annotations/PASCAL VOC/: no image has a mask."
    assert [mask for _, mask in FRACTURE.read(tmp_path, index.records, 8)] == [None] * 4


@pytest.mark.parametrize("box", [(6, 4, 6, 20), (6, 20, 30, 4), (-1, 4, 30, 20), ("nan", 4, 30, 20), ("x", 4, 30, 20)])
def test_a_box_that_makes_no_sense_is_named(tmp_path: Path, box: tuple[object, ...]) -> None:
    lay_out(tmp_path)
    (tmp_path / VOC / "IMG0000019.xml").write_text(voc((1, 1, 2, 2), box))

    with pytest.raises(medbench.DataError, match=r"^IMG0000019.xml, object 2: "):
        FRACTURE.index(tmp_path)


def test_a_box_outside_its_image_is_refused(tmp_path: Path) -> None:
    lay_out(tmp_path)
    (tmp_path / VOC / "IMG0000019.xml").write_text(voc((100, 4, 130, 20)))
    records = FRACTURE.index(tmp_path).records

    with pytest.raises(medbench.DataError, match=r"IMG0000019.xml, .* lies outside its image of 60 x 40"):
        list(FRACTURE.read(tmp_path, records, 8))


# The phantom


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom")
    FRACTURE.phantom(root, seed=3, patients=24, null=False)
    return root


def test_the_phantom_has_the_classes_the_parts_and_the_defect_of_the_release(phantom: Path) -> None:
    index = FRACTURE.index(phantom)

    assert Counter(r.label for r in index.records) == {0: 17, 1: 6}
    assert "cut short were left out: 1 (" in index.notes[1]
    assert "0 of them fractured, 1 not" in index.notes[1]
    assert len(index.notes) == 2
    for part in ("hand", "leg", "hip", "shoulder"):
        assert len(FracAtlas(part=part).index(phantom).records) in (5, 6)  # type: ignore[arg-type]


def test_the_phantom_is_read_with_masks_on_the_fractures(phantom: Path) -> None:
    records = FRACTURE.index(phantom).records

    for record, (pixels, mask) in zip(records, FRACTURE.read(phantom, records, 48), strict=True):
        assert pixels.shape == (1, 48, 48)
        assert pixels.std() > 10
        assert mask is not None
        assert mask.any() == bool(record.label)
        assert mask.mean() < 0.5


@pytest.mark.parametrize("patients", [2, 3, 5])
def test_small_phantoms_have_both_classes(tmp_path: Path, patients: int) -> None:
    FRACTURE.phantom(tmp_path, seed=0, patients=patients, null=False)

    assert {r.label for r in FRACTURE.index(tmp_path).records} == {0, 1}


def test_a_phantom_of_one_patient_is_refused(tmp_path: Path) -> None:
    with pytest.raises(medbench.UsageError, match="at least 2 patients, got 1"):
        FRACTURE.phantom(tmp_path, seed=0, patients=1, null=False)


def files_under(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def test_the_same_seed_writes_the_same_files(tmp_path: Path) -> None:
    for name, seed in (("a", 5), ("b", 5), ("c", 6)):
        FRACTURE.phantom(tmp_path / name, seed=seed, patients=5, null=False)
    first, again, other = (files_under(tmp_path / name) for name in "abc")

    assert first == again
    assert not any(first[path] == other.get(path) for path in first if path.endswith(".jpg"))


def test_a_null_phantom_keeps_the_labels_and_shows_the_fractures_of_others(tmp_path: Path) -> None:
    for name, null in (("true", False), ("null", True)):
        FRACTURE.phantom(tmp_path / name, seed=1, patients=12, null=null)
    true, null = (files_under(tmp_path / name) for name in ("true", "null"))

    assert true.keys() == null.keys()
    assert true["dataset.csv"] == null["dataset.csv"]
    redrawn = {path.split("/")[1] for path in true if path.endswith(".jpg") and true[path] != null[path]}
    assert redrawn == {"Fractured", "Non_fractured"}


def test_the_two_phantoms_of_one_seed_share_no_picture(tmp_path: Path) -> None:
    """Else what is learned on one would have been seen on the other."""
    pictures: list[np.ndarray] = []
    for dataset in (FRACTURE, MURA()):
        root = tmp_path / dataset.name.partition(":")[0]
        dataset.phantom(root, seed=0, patients=6, null=False)
        pictures += [pixels for pixels, _ in dataset.read(root, dataset.index(root).records, 16)]

    flat = np.stack(pictures).reshape(len(pictures), -1).astype(float)
    distance = np.abs(flat[:, None] - flat[None]).mean(2) + 255 * np.eye(len(flat))
    assert distance[:6, 6:].min() > 5
