"""DDTI is read with all its known defects, and the answer burned into its frames stays outside of the default crop."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import medbench
from medbench_datasets.ddti import DATASETS, DDTI, scan_area
from medbench_datasets.ddti_outlines import read_outline
from medbench_datasets.readers.pictures.read import read_picture

SQUARE = [(200, 100), (260, 100), (260, 160), (200, 160)]


def svg(*polygons: list[tuple[int, int]], kind: str = "freehand") -> str:
    return json.dumps(
        [
            {"points": [{"x": x, "y": y} for x, y in polygon], "annotation": {}, "regionType": kind}
            for polygon in polygons
        ]
    )


def frame(*, text: bool = True) -> np.ndarray:
    """A scan of noise at (100, 10) to (400, 300), a gray scale on its left, text beside and under it."""
    pixels = np.zeros((360, 560), dtype=np.uint8)
    pixels[10:300, 100:400] = np.random.default_rng(0).integers(40, 200, (290, 300))
    if text:
        pixels[150:246, 70:90] = 255
        pixels[10:140, 410:440] = 255
        pixels[325:340, 110:240] = 255
    return pixels


def write_case(
    root: Path,
    number: int,
    tirads: str = "2",
    marks: Mapping[object, str] | None = None,
    *,
    pictures: tuple[int, ...] | None = None,
    age: str = "50",
    xml: str = "",
    jpg: str = "",
) -> None:
    marks = {1: svg(SQUARE)} if marks is None else marks
    inner = "".join(f"<mark><image>{k}</image><svg>{text}</svg></mark>" for k, text in marks.items())
    content = f"<case><number>{number}</number><age>{age}</age><tirads>{tirads}</tirads>{inner}</case>"
    for folder in (xml, jpg):
        (root / folder).mkdir(exist_ok=True)
    (root / xml / f"{number}.xml").write_text(content)
    for k in marks if pictures is None else pictures:
        Image.fromarray(frame()).save(root / jpg / f"{number}_{k}.jpg", quality=95)


def notes_of(root: Path) -> str:
    return " ".join(DDTI().index(root).notes)


def read_one(root: Path, dataset: DDTI, size: int = 64) -> tuple[np.ndarray, np.ndarray | None]:
    return next(iter(dataset.read(root, dataset.index(root).records[:1], size)))


@pytest.mark.parametrize(("xml", "jpg"), [("", ""), ("xml", "jpg"), ("", "images"), ("Annotations", "")])
def test_both_layouts_give_the_same_records_but_for_their_files(tmp_path: Path, xml: str, jpg: str) -> None:
    for number, tirads in ((10, "4c"), (2, "3")):
        write_case(tmp_path, number, tirads, {2: svg(SQUARE), 1: ""}, xml=xml, jpg=jpg)

    index = DDTI().index(tmp_path)

    assert [(r.id, r.patient, r.label) for r in index.records] == [
        ("2_1", "2", 0),
        ("2_2", "2", 0),
        ("10_1", "10", 1),
        ("10_2", "10", 1),
    ]
    assert index.records[0].files == ("/".join(filter(None, (jpg, "2_1.jpg"))), "/".join(filter(None, (xml, "2.xml"))))
    assert (index.classes, index.channels, index.dimensions) == (("benign", "malignant"), 1, 2)


def test_marks_belong_to_the_image_they_name_not_to_their_place(tmp_path: Path) -> None:
    write_case(tmp_path, 1, marks={2: svg(SQUARE), 1: ""})

    first, second = DDTI().index(tmp_path).records

    assert json.loads(first.detail["polygons"]) == []
    assert json.loads(second.detail["polygons"]) == [[list(point) for point in SQUARE]]


@pytest.mark.parametrize("text", ["4A", " 4a ", "4a"])
def test_case_and_spaces_of_a_category_do_not_matter(tmp_path: Path, text: str) -> None:
    write_case(tmp_path, 1, text)

    assert DDTI(task="tirads").index(tmp_path).records[0].label == 2


@pytest.mark.parametrize("text", ["6", "1", "4", "benign", "4 a"])
def test_an_unknown_category_names_the_case_and_not_the_text(tmp_path: Path, text: str) -> None:
    write_case(tmp_path, 7, text)

    with pytest.raises(medbench.DataError, match=r"^7\.xml has an unknown <tirads>; write one of 2, 3, 4a, 4b, 4c, 5"):
        DDTI().index(tmp_path)


def test_cases_without_a_category_are_left_out_and_counted(tmp_path: Path) -> None:
    write_case(tmp_path, 1)
    write_case(tmp_path, 2, "", {1: "", 2: ""})

    index = DDTI().index(tmp_path)

    assert [r.patient for r in index.records] == ["1"]
    assert index.notes[0] == "1 of 2 cases without TI-RADS category, left out (2 images)."


def test_a_folder_without_any_category_is_an_error(tmp_path: Path) -> None:
    write_case(tmp_path, 1, "")

    with pytest.raises(medbench.DataError, match="no case among the 1 here has a TI-RADS category; "):
        DDTI().index(tmp_path)


def test_which_categories_are_benign_is_an_option(tmp_path: Path) -> None:
    for number, tirads in enumerate(("2", "3", "4a"), start=1):
        write_case(tmp_path, number, tirads)

    assert [r.label for r in DDTI(benign=("2",)).index(tmp_path).records] == [0, 1, 1]
    assert [r.label for r in DDTI(benign=("2", "3", "4a")).index(tmp_path).records] == [0, 0, 0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"benign": ("2", "6")}, "benign has '6'; choose from 2, 3"),
        ({"benign": ()}, "leaves a class empty"),
        ({"benign": ("2", "3", "4a", "4b", "4c", "5")}, "leaves a class empty"),
        ({"crop": "tight"}, "crop is 'tight'; choose nodule"),
        ({"task": "grade"}, "task is 'grade'; choose"),
        ({"margin": -1.0}, "margin is -1.0; give"),
        ({"margin": float("nan")}, "margin is nan; give"),
    ],
)
def test_wrong_options_are_usage_errors(options: dict[str, object], words: str) -> None:
    with pytest.raises(medbench.UsageError, match=words):
        replace(DDTI(), **options)


@pytest.mark.parametrize("number", ["2", "", "x", "1e0", "²"])
def test_a_number_that_is_not_the_file_name_is_an_error(tmp_path: Path, number: str) -> None:
    write_case(tmp_path, 1)
    (tmp_path / "1.xml").write_text(f"<case><number>{number}</number></case>")

    with pytest.raises(medbench.DataError, match=r"^1\.xml is of another case by its <number>; "):
        DDTI().index(tmp_path)


def test_a_mark_without_its_picture_is_an_error(tmp_path: Path) -> None:
    write_case(tmp_path, 1, marks={1: "", 2: ""}, pictures=(1,))

    with pytest.raises(medbench.DataError, match=r"^1\.xml marks image 2, but 1_2\.jpg is missing; "):
        DDTI().index(tmp_path)


def test_pictures_without_mark_are_kept_and_pictures_without_xml_left_out(tmp_path: Path) -> None:
    write_case(tmp_path, 1, "2", pictures=(1, 2))
    write_case(tmp_path, 3)
    (tmp_path / "3.xml").unlink()
    write_case(tmp_path, 4, marks={})

    index = DDTI().index(tmp_path)

    assert [r.id for r in index.records] == ["1_1", "1_2"]
    assert "1 picture has no mark in the XML (kept with the category of the case): 1_2." in index.notes
    assert "1 picture has no XML (left out): 3_1." in index.notes
    assert "1 case has no picture: 4." in index.notes


@pytest.mark.parametrize(("mark", "words"), [("x", "is no number"), ("", "is no number"), ("-1", "is no number")])
def test_a_mark_of_no_image_is_an_error(tmp_path: Path, mark: str, words: str) -> None:
    write_case(tmp_path, 1, marks={mark: ""}, pictures=(1,))

    with pytest.raises(medbench.DataError, match=rf"^1\.xml has a mark whose <image> {words}; "):
        DDTI().index(tmp_path)


def test_an_image_marked_twice_is_an_error(tmp_path: Path) -> None:
    write_case(tmp_path, 1, marks={1: "", "01": ""}, pictures=(1,))

    with pytest.raises(medbench.DataError, match=r"^1\.xml marks image 1 twice; "):
        DDTI().index(tmp_path)


def test_files_of_the_same_number_are_an_error(tmp_path: Path) -> None:
    write_case(tmp_path, 1)
    write_case(tmp_path, 1, xml="xml", pictures=())

    with pytest.raises(medbench.DataError, match=r"^1\.xml and xml/1\.xml have the same number; "):
        DDTI().index(tmp_path)


def test_other_files_are_noted_and_those_a_mac_leaves_are_ignored(tmp_path: Path) -> None:
    write_case(tmp_path, 1)
    (tmp_path / "._1.xml").write_bytes(b"\0\5\x16\7")
    (tmp_path / ".DS_Store").touch()
    (tmp_path / "read\nme.txt").touch()

    assert DDTI().index(tmp_path).notes == (r"1 file is not part of DDTI (left alone): read\nme.txt.",)


@pytest.mark.parametrize("age", ["0", "abc", "300", "-4", "5e1"])
def test_an_impossible_age_is_counted_as_missing(tmp_path: Path, age: str) -> None:
    write_case(tmp_path, 1, age=age)

    assert DDTI().index(tmp_path).notes == ("1 age makes no sense (counted as missing): 1.",)


def test_nothing_where_the_data_should_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.html").touch()

    with pytest.raises(medbench.DataError, match=r"no N\.xml of DDTI in .*; unpack the data set there"):
        DDTI().index(tmp_path)
    with pytest.raises(medbench.DataError, match="absent or cannot be listed; check the path"):
        DDTI().index(tmp_path / "absent")
    write_case(tmp_path, 1, marks={})
    with pytest.raises(medbench.DataError, match=r"no N_K\.jpg of DDTI in .*; put the pictures beside the XML"):
        DDTI().index(tmp_path)


def test_another_xml_is_no_case(tmp_path: Path) -> None:
    write_case(tmp_path, 1)
    (tmp_path / "1.xml").write_text("<annotation/>")

    with pytest.raises(medbench.DataError, match=r"^1\.xml holds no <case>; "):
        DDTI().index(tmp_path)


def test_an_empty_outline_gives_the_whole_scan_and_no_mask(tmp_path: Path) -> None:
    write_case(tmp_path, 1, marks={1: ""})

    pixels, mask = read_one(tmp_path, DDTI())

    assert "1 image without an outline (no mask, shown as a whole scan): 1_1." in notes_of(tmp_path)
    np.testing.assert_array_equal(pixels, read_one(tmp_path, DDTI(crop="scan"))[0])
    assert mask is None


def test_an_outline_cut_at_2500_characters_gives_the_crop_but_no_mask(tmp_path: Path) -> None:
    dense = [(x, y) for x, y in SQUARE for _ in range(40)]
    text = svg(SQUARE, dense)[:2500]
    write_case(tmp_path, 1, marks={1: text})
    write_case(tmp_path, 2)

    (cut, cut_mask), (_, mask) = DDTI().read(tmp_path, DDTI().index(tmp_path).records, 64)

    assert "1 outline is cut off (no mask; the crop goes by the complete points): 1_1." in notes_of(tmp_path)
    assert cut.shape == (1, 64, 64)
    assert cut_mask is None
    assert mask is not None


def test_an_outline_cut_before_its_third_point_counts_as_none(tmp_path: Path) -> None:
    write_case(tmp_path, 1, marks={1: svg(SQUARE)[:40]})

    assert "1 image without an outline" in notes_of(tmp_path)


def test_arrows_outline_nothing(tmp_path: Path) -> None:
    arrow = json.loads(svg([(150, 60), (380, 280)], kind="arrow"))
    write_case(tmp_path, 1, marks={1: json.dumps(json.loads(svg(SQUARE)) + arrow)})

    index = DDTI().index(tmp_path)

    assert json.loads(index.records[0].detail["polygons"]) == [[list(point) for point in SQUARE]]
    assert index.notes == ("1 image carries arrows, which outline nothing (left out): 1_1.",)


def test_an_outline_that_leaves_the_picture_is_cut_at_its_edge(tmp_path: Path) -> None:
    write_case(tmp_path, 1, marks={1: svg([(200, 340), (260, 340), (230, 394)], SQUARE)})

    index = DDTI().index(tmp_path)

    assert np.concatenate(json.loads(index.records[0].detail["polygons"])).max(0).tolist() == [260, 359]
    assert index.notes == ("1 outline leaves the picture (cut at its edge): 1_1.",)


def test_an_outline_below_the_scan_does_not_widen_the_crop(tmp_path: Path) -> None:
    write_case(tmp_path, 1, marks={1: svg([(100, 340), (160, 340), (130, 394)], SQUARE)})
    write_case(tmp_path, 2, marks={1: svg(SQUARE)})

    (odd, _), (plain, _) = DDTI().read(tmp_path, DDTI().index(tmp_path).records, 64)

    np.testing.assert_array_equal(odd, plain)


@pytest.mark.parametrize("polygon", [[(1, 1), (2, 2)], [(5, 5)], []])
def test_a_curve_of_fewer_than_three_points_names_case_and_mark(tmp_path: Path, polygon: list[tuple[int, int]]) -> None:
    write_case(tmp_path, 3, marks={1: svg(polygon)})

    with pytest.raises(medbench.DataError, match=r"^3\.xml, mark of image 1: an outline has \d points"):
        DDTI().index(tmp_path)


@pytest.mark.parametrize("point", [(-300, 5), (5, 3000), (10**400, 5), (5, float("nan")), (float("inf"), 5)])
def test_points_far_outside_name_case_and_mark(tmp_path: Path, point: tuple[float, float]) -> None:
    write_case(tmp_path, 3, marks={1: svg([*SQUARE, point])})

    with pytest.raises(medbench.DataError, match=r"^3\.xml, mark of image 1: an outline lies outside .* 560 x 360"):
        DDTI().index(tmp_path)


@pytest.mark.parametrize(
    "text", ["{}", "1", "null", "[1]", "[null]", '[{"points": 5}]', '[{"points": [{"x": "1", "y": 2}]}]', '["points"]']
)
def test_json_of_another_shape_names_case_and_mark(text: str) -> None:
    with pytest.raises(medbench.DataError, match=r"^here: svg is not a list of regions"):
        read_outline(text, where="here", frame=(560, 360))


@settings(deadline=None)
@given(st.text(alphabet='[]{}",: xy0123456789pointsregTyl-.') | st.integers(0, 400).map(lambda n: svg(SQUARE * 4)[:n]))
def test_any_text_gives_an_outline_within_the_frame_or_a_data_error(text: str) -> None:
    try:
        outline = read_outline(text, where="here", frame=(560, 360))
    except medbench.DataError:
        return
    for polygon in outline.polygons:
        assert len(polygon) >= 3
        assert all(0 <= x < 560 and 0 <= y < 360 for x, y in polygon)


def test_nested_json_without_end_is_no_crash() -> None:
    assert read_outline("[" * 200_000, where="here", frame=(560, 360)).polygons == ()


def test_the_scan_is_found_without_scale_and_text() -> None:
    assert scan_area(frame()) == (slice(10, 300), slice(100, 400))


def test_two_views_are_one_scan() -> None:
    pixels = frame()
    pixels[:, 245:259] = 0

    assert scan_area(pixels) == (slice(10, 300), slice(100, 400))


def test_a_picture_without_borders_is_all_scan() -> None:
    assert scan_area(np.full((40, 50), 90, dtype=np.uint8)) == (slice(0, 40), slice(0, 50))


def test_a_black_picture_is_an_error(tmp_path: Path) -> None:
    write_case(tmp_path, 1)
    Image.new("L", (560, 360)).save(tmp_path / "1_1.jpg")

    with pytest.raises(medbench.DataError, match=r"^1_1\.jpg shows no ultrasound scan; "):
        read_one(tmp_path, DDTI())


@pytest.mark.parametrize("crop", ["nodule", "scan"])
def test_no_text_reaches_the_crops_even_where_the_outline_does(tmp_path: Path, crop: str) -> None:
    write_case(tmp_path, 1, marks={1: svg([(60, 5), (555, 5), (555, 355), (60, 355)])})
    with_text = read_one(tmp_path, DDTI(crop=crop, margin=1.0))[0]
    Image.fromarray(frame(text=False)).save(tmp_path / "1_1.jpg", quality=95)
    without = read_one(tmp_path, DDTI(crop=crop, margin=1.0))[0]

    assert np.abs(with_text.astype(int) - without).max() <= 3  # the quantisation of JPEG


def test_the_whole_frame_shows_the_text_and_says_so(tmp_path: Path) -> None:
    write_case(tmp_path, 1)
    dataset = DDTI(crop="frame")

    assert "a classifier can read the answer there" in dataset.index(tmp_path).notes[0]
    assert read_one(tmp_path, dataset, 560)[0][0, 100 + 325 : 100 + 340, 110:240].min() > 200


def test_the_mask_lies_on_the_nodule_and_nothing_is_squashed(tmp_path: Path) -> None:
    wide = [(150, 100), (250, 100), (250, 150), (150, 150)]
    write_case(tmp_path, 1, marks={1: svg(wide)})

    pixels, mask = read_one(tmp_path, DDTI(margin=0.0), 100)

    assert mask is not None
    assert (pixels.dtype, pixels.shape, mask.dtype, mask.shape) == (np.uint8, (1, 100, 100), np.uint8, (100, 100))
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    assert (np.ptp(rows), np.ptp(columns)) == (50, 99)
    assert set(np.unique(mask)) == {0, 1}


def test_the_margin_is_a_part_of_the_longer_side(tmp_path: Path) -> None:
    write_case(tmp_path, 1)

    bare, wide = (read_one(tmp_path, DDTI(margin=m), 90)[1] for m in (0.0, 0.25))

    assert bare is not None
    assert wide is not None
    assert abs(bare.sum() / wide.sum() - 1.5**2) < 0.2


def test_an_exif_orientation_is_applied_and_noted(tmp_path: Path) -> None:
    write_case(tmp_path, 1)
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.fromarray(np.rot90(frame(), 2)).save(tmp_path / "1_1.jpg", quality=95, exif=exif)

    pixels, _ = read_one(tmp_path, DDTI(crop="frame"), 560)

    assert "1 picture is turned by EXIF orientation" in notes_of(tmp_path)
    assert np.abs(pixels[0, 100:460].astype(int) - frame()).mean() < 3


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    write_case(tmp_path, 1)
    content = (tmp_path / "1_1.jpg").read_bytes()
    (tmp_path / "1_1.jpg").write_bytes(content[: len(content) // 2])
    with pytest.raises(medbench.DataError, match=r"1_1\.jpg is truncated"):
        read_one(tmp_path, DDTI())
    (tmp_path / "1_1.jpg").write_bytes(b"")
    with pytest.raises(medbench.DataError, match=r"1_1\.jpg has 0 bytes"):
        DDTI().index(tmp_path)
    Image.new("1", (13_000, 13_000)).save(tmp_path / "1_1.jpg", format="PNG")
    with pytest.raises(medbench.DataError, match=r"1_1\.jpg is a picture of 13000 x 13000"):
        DDTI().index(tmp_path)


def test_every_registered_data_set_keeps_to_the_contract(tmp_path: Path) -> None:
    for dataset in DATASETS:
        assert isinstance(dataset, medbench.Dataset)
        assert dataset.name.split(":")[0] == "ddti"
        assert dataset.crop == "nodule"
    assert [d.name for d in DATASETS] == ["ddti", "ddti:benign-malignant", "ddti:tirads"]


# The phantom.


@pytest.fixture(scope="module")
def phantom(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantom")
    DDTI().phantom(root, seed=3, patients=24, null=False)
    return root


def test_the_phantom_has_the_patients_and_the_imbalance_asked_for(phantom: Path) -> None:
    index = DDTI(task="tirads").index(phantom)
    of_patient = {r.patient: r.label for r in index.records}

    assert len(of_patient) == 24
    assert sum(label < 2 for label in of_patient.values()) == 6
    assert set(of_patient.values()) == set(range(6))
    assert len(index.records) > 24


def test_the_phantom_has_the_defects_of_the_release(phantom: Path) -> None:
    notes = notes_of(phantom)

    assert "cases without TI-RADS category" in notes
    for words in ("1 outline is cut off", "1 image carries arrows", "1 image without an outline"):
        assert words in notes
    texts = [text for path in phantom.glob("*.xml") for text in re.findall("<svg>(.*?)</svg>", path.read_text())]
    assert max(len(text) for text in texts) == 2500


def test_a_picture_of_the_phantom_recurs_in_another_case_of_its_class(phantom: Path) -> None:
    records = DDTI().index(phantom).records
    content = [(phantom / r.files[0]).read_bytes() for r in records]
    twins = [(a, b) for i, a in enumerate(records) for j, b in enumerate(records) if i < j and content[i] == content[j]]

    ((a, b),) = twins
    assert a.patient != b.patient
    assert a.label == b.label


def test_the_phantom_is_read_like_the_release(phantom: Path) -> None:
    records = DDTI().index(phantom).records
    frames = [read_picture(phantom / r.files[0]) for r in records]
    crops = list(DDTI().read(phantom, records, 48))

    assert {frame.shape for frame in frames} == {(1, 360, 560)}
    for picture, record in zip(frames, records, strict=True):
        rows, columns = scan_area(picture[0])
        assert (rows, columns) in (
            (slice(8, 303), slice(86, 472)),
            (slice(8, 303), slice(32, 528)),
        ), record.id
    assert all(pixels.shape == (1, 48, 48) and pixels.std() > 5 for pixels, _ in crops)
    assert sum(mask is None for _, mask in crops) == 2
    assert all(mask.any() for _, mask in crops if mask is not None)


def test_the_phantom_is_the_same_for_the_same_seed_only(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        DDTI().phantom(tmp_path / name, seed=seed, patients=3, null=False)
    files = {n: {p.name: p.read_bytes() for p in sorted((tmp_path / n).iterdir())} for n in "abc"}

    assert files["a"] == files["b"] != files["c"]


def test_a_null_phantom_gives_no_answer_away(tmp_path: Path) -> None:
    DDTI().phantom(tmp_path / "null", seed=5, patients=20, null=True)
    DDTI().phantom(tmp_path / "true", seed=5, patients=20, null=False)
    label_area = (slice(325, 345), slice(185, 300))
    lit = {
        name: max(read_picture(path)[0][label_area].max() for path in (tmp_path / name).glob("*.jpg"))
        for name in ("null", "true")
    }

    assert lit["null"] < 50 < lit["true"]


def test_a_phantom_of_one_patient_cannot_have_two_classes(tmp_path: Path) -> None:
    with pytest.raises(medbench.UsageError, match="at least 2 patients, got 1"):
        DDTI().phantom(tmp_path, seed=0, patients=1, null=False)


@pytest.mark.parametrize("patients", [2, 3, 5, 8])
def test_small_phantoms_have_both_classes(tmp_path: Path, patients: int) -> None:
    DDTI().phantom(tmp_path, seed=0, patients=patients, null=False)

    assert {r.label for r in DDTI().index(tmp_path).records} == {0, 1}


# The release itself.


def test_the_release_has_the_counts_and_defects_known_of_it(shared_data: Path) -> None:
    index = DDTI().index(shared_data / "ddti")

    assert len(index.records) == 231
    assert len({r.patient for r in index.records}) == 199
    assert np.bincount([r.label for r in index.records]).tolist() == [45, 186]
    assert index.notes == (
        "61 of 260 cases without TI-RADS category, left out (85 images).",
        "1 image without an outline (no mask, shown as a whole scan): 142_2.",
        "6 outlines are cut off (no mask; the crop goes by the complete points): 127_1, 166_1, 176_1, 197_1, "
        "203_1, 205_1.",
        "1 outline leaves the picture (cut at its edge): 338_2.",
        "3 images carry arrows, which outline nothing (left out): 337_3, 358_1, 362_1.",
    )


def test_the_scan_of_every_released_picture_ends_above_its_text(shared_data: Path) -> None:
    for path in sorted((shared_data / "ddti").glob("*.jpg")):
        picture = read_picture(path)[0]
        rows, columns = scan_area(picture)
        below = picture[rows.stop + 4 :, columns] > 60  # the first rows may hold ticks of a ruler, one its number

        # Seen on every picture: text starts at row 317 or below, and only under scans that end at row 310 or above.
        assert rows.stop <= 310 or below.any(0).sum() <= 8, path.name
        assert columns.stop - columns.start >= 200, path.name


def test_every_released_picture_is_read(shared_data: Path) -> None:
    records = DDTI().index(shared_data / "ddti").records

    pairs = list(DDTI().read(shared_data / "ddti", records, 32))

    assert len(pairs) == len(records)
    assert sum(mask is None for _, mask in pairs) == 7
    assert all(mask.any() for _, mask in pairs if mask is not None)
