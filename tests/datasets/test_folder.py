"""medbench_datasets.folder: one's own images, from class folders or a table, and one sentence for what cannot be."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from _encodings import png, tiff  # type: ignore[import-not-found]
from medbench import UNLABELLED, DataError, Dataset, Index, UsageError
from medbench.data.files import list_files
from medbench_datasets.folder import DATASETS, Folder
from medbench_datasets.folder_table import read_table


def draw(root: Path, *names: str, value: int = 100, mode: str = "L") -> None:
    """Write small pictures under these names."""
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new(mode, (9, 6), (value,) * len(mode) if len(mode) > 1 else value).save(root / name)


def table(root: Path, text: str, name: str = "samples.csv") -> Path:
    """Write a table."""
    (root / name).write_text(text, encoding="utf-8")
    return root / name


def labels(index: Index) -> dict[str, str]:
    """Return the class of every file."""
    return {r.files[0]: index.classes[r.label] if r.label != UNLABELLED else "" for r in index.records}


def test_it_is_registered_and_is_a_dataset() -> None:
    assert [recipe.name for recipe in DATASETS] == ["folder", "source-folder"]
    assert isinstance(DATASETS[0], Dataset)


def test_each_folder_is_a_class_however_deep_the_images_lie(tmp_path: Path) -> None:
    draw(tmp_path, "b/one.png", "a/x/y/two.JPG", "a/three, of 3.bmp", "b/four.tiff")

    index = Folder().index(tmp_path)

    assert index.classes == ("a", "b")
    assert labels(index) == {"a/three, of 3.bmp": "a", "a/x/y/two.JPG": "a", "b/four.tiff": "b", "b/one.png": "b"}
    assert [record.id for record in index.records] == sorted(labels(index))
    assert (index.channels, index.dimensions) == (1, 2)


@given(st.permutations(["a/1.png", "a/2.png", "b/1.png", "b/10.png", "b/c/1.png"]))
def test_the_index_does_not_depend_on_the_order_of_the_disk(tmp_path_factory, names: list[str]) -> None:
    root = tmp_path_factory.mktemp("order")
    draw(root, *names)

    assert [record.id for record in Folder().index(root).records] == sorted(names)


def test_without_patients_each_image_is_its_own_and_the_notes_say_so(tmp_path: Path) -> None:
    draw(tmp_path, "a/1_1.png", "a/1_2.png", "b/2_1.png")

    index = Folder().index(tmp_path)

    assert len({record.patient for record in index.records}) == 3
    assert any("each image counts as a patient of its own" in note for note in index.notes)


def test_an_expression_finds_the_patients(tmp_path: Path) -> None:
    draw(tmp_path, "a/1_1.png", "a/1_2.png", "b/2_1.png", "b/1_7.png")

    index = Folder(patient=r"(\d+)_\d+\.png$").index(tmp_path)

    assert Counter(record.patient for record in index.records) == {"1": 3, "2": 1}
    assert "Patients: 2, with 4 images, at most 3 of one." in index.notes
    assert "Patients with images of more than one class: 1." in index.notes


def test_an_expression_that_misses_files_names_how_many(tmp_path: Path) -> None:
    draw(tmp_path, "a/1_1.png", "b/x.png", "b/y.png")

    with pytest.raises(DataError, match=r"finds no patient in 2 \(b/x.png, b/y.png\)"):
        Folder(patient=r"(\d+)_").index(tmp_path)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"patient": "("}, "no regular expression"),
        ({"patient": "(a)(b)"}, "2 groups, expected 1"),
        ({"channels": 2}, "expected 1 or 3"),
        ({"size": 0}, "expected at least 1"),
    ],
)
def test_a_wrong_parameter_is_a_usage_error(parameters: dict, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Folder(**parameters)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"patient": "a"}, "0 groups, expected 1"),
        ({"label": ("dx",)}, "label names a column and there is no samples.csv"),
    ],
)
def test_a_column_without_a_table_is_a_usage_error(tmp_path: Path, parameters: dict, message: str) -> None:
    draw(tmp_path, "a/1.png", "b/2.png")

    with pytest.raises(UsageError, match=message):
        Folder(**parameters).index(tmp_path)


@pytest.mark.parametrize("val", ["val", "Validation"])
def test_train_and_test_folders_are_an_official_cut(tmp_path: Path, val: str) -> None:
    draw(tmp_path, "train/a/1.png", "train/b/2.png", f"{val}/a/3.png", "test/b/p/4.png")

    index = Folder().index(tmp_path)

    assert labels(index) == {"train/a/1.png": "a", "train/b/2.png": "b", f"{val}/a/3.png": "a", "test/b/p/4.png": "b"}
    assert {r.id: r.part for r in index.records}[f"{val}/a/3.png"] == "train"
    assert {r.id: r.part for r in index.records}["test/b/p/4.png"] == "test"
    assert 'An official cut: 3 images are the part "train", 1 the part "test".' in index.notes
    assert 'The part "test" has no image of 1 (a).' in index.notes


def test_with_train_and_val_only_val_is_what_is_held_out(tmp_path: Path) -> None:
    draw(tmp_path, "train/a/1.png", "train/b/2.png", "val/a/3.png", "val/b/4.png")

    assert [record.part for record in Folder().index(tmp_path).records] == ["train", "train", "test", "test"]


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    draw(tmp_path, "a/1.png", "b/2.png", "overview.png", "a/.hidden.png", "b/._2.png", ".cache/c/3.png")
    for name in ("a/Thumbs.db", "a/notes.txt", "b/more.TXT", "b/README", "b/table.xlsx"):
        (tmp_path / name).write_text("x")

    index = Folder().index(tmp_path)

    assert list(labels(index)) == ["a/1.png", "b/2.png"]
    assert "Files that are no images were left out: 2 .txt, 1 .xlsx, 1 no ending." in index.notes
    assert "Images beside the class folders were left out: 1 (overview.png)." in index.notes


def test_content_decides_what_an_image_is(tmp_path: Path) -> None:
    draw(tmp_path, "a/1.png", "b/2.png", "b/4.tif")
    Image.new("L", (9, 6), 7).save(tmp_path / "a" / "photo.jfif", format="JPEG")
    Image.new("L", (9, 6), 8).save(tmp_path / "a" / "no_ending", format="BMP")
    Image.new("L", (9, 6), 9).save(tmp_path / "b" / "3.txt", format="PNG")
    (tmp_path / "b" / "BM.txt").write_text("BM are two letters, and no picture begins like this one")
    (tmp_path / "b" / "4.tif").write_text("no picture, and called one")

    index = Folder().index(tmp_path)

    assert list(labels(index)) == ["a/1.png", "a/no_ending", "a/photo.jfif", "b/2.png", "b/3.txt", "b/4.tif"]
    assert "Files that are no images were left out: 1 .txt." in index.notes
    with pytest.raises(DataError, match=r"b/4\.tif"):  # not left out in silence
        list(Folder().read(tmp_path, index.records, 9))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", r"class folders without any file: 1 \(normal\)"),
        ("n.jp2", r"that can be read here: 1 \(normal\), .*n\.jp2"),
    ],
)
def test_a_class_folder_without_an_image_is_named(tmp_path: Path, name: str, message: str) -> None:
    draw(tmp_path, "benign/1.png", "malignant/2.png")
    (tmp_path / "normal").mkdir()
    if name:
        (tmp_path / "normal" / name).write_bytes(b"\0\0\0\x0cjP  and so on")

    with pytest.raises(DataError, match=message):
        Folder().index(tmp_path)
    (tmp_path / "normal" / "readme.txt").write_text("x")
    (tmp_path / "normal" / "n.jp2").unlink(missing_ok=True)
    assert "Folders without an image are no classes: 1 (normal)." in Folder().index(tmp_path).notes


def test_images_beside_an_official_cut_are_left_out_and_counted(tmp_path: Path) -> None:
    draw(tmp_path, "train/a/1.png", "train/b/2.png", "test/a/3.png", "masks/a/1.png", "train/4.png")

    index = Folder().index(tmp_path)

    assert len(index.records) == 3
    assert any("2 (masks/a/1.png, train/4.png)" in note for note in index.notes)


@pytest.mark.parametrize(
    ("names", "message"),
    [
        ((), "no image .* in the data folder"),
        (("a/1.png", "a/2.png"), "only the class a, expected at least 2; add the images of another class"),
        (("data/a/1.png", "data/b/2.png"), "only the class data, .* if its folders are the classes, give that folder"),
        (("1.png", "2.png"), r"directly in the data folder: 2 \(1.png, 2.png\); put each class"),
    ],
)
def test_a_folder_that_cannot_be_classified_says_what_to_do(
    tmp_path: Path, names: tuple[str, ...], message: str
) -> None:
    draw(tmp_path, *names)

    with pytest.raises(DataError, match=message):
        Folder().index(tmp_path)


def test_folders_without_end_are_refused(tmp_path: Path) -> None:
    draw(tmp_path, "a/1.png", "b/" + "x/" * 40 + "2.png")

    with pytest.raises(DataError, match="more than 32 folders deep"):
        Folder().index(tmp_path)


def test_a_missing_data_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the data folder nowhere is missing"):
        Folder().index(tmp_path / "nowhere")


def test_a_link_in_a_circle_is_refused(tmp_path: Path) -> None:
    draw(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "b" / "again").symlink_to(tmp_path, target_is_directory=True)

    with pytest.raises(DataError, match="b/again is a link that leads back"):
        Folder().index(tmp_path)


@pytest.mark.parametrize("target", ["self.png", "gone.png"])
def test_a_link_to_itself_or_to_nowhere_is_refused(tmp_path: Path, target: str) -> None:
    draw(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "b" / "self.png").symlink_to(tmp_path / "b" / target)

    with pytest.raises(DataError, match=r"b/self\.png is a link in a circle or to nowhere"):
        Folder().index(tmp_path)


def test_links_within_the_folder_are_followed(tmp_path: Path) -> None:
    draw(tmp_path, "a/3.png", "b/4.png", "b/more/6.png")
    (tmp_path / "c").symlink_to(tmp_path / "b" / "more", target_is_directory=True)
    (tmp_path / "a" / "5.png").symlink_to(tmp_path / "b" / "4.png")

    assert Counter(labels(Folder().index(tmp_path)).values()) == {"a": 2, "b": 2, "c": 1}


@pytest.mark.parametrize("target", ["/", "../store", "../store/1.png", "../data-2"])
def test_a_link_out_of_the_folder_is_refused_and_not_followed(tmp_path: Path, target: str) -> None:
    draw(tmp_path, "store/1.png", "data-2/c/2.png", "data/a/3.png", "data/b/4.png")
    (tmp_path / "data" / "out.png").symlink_to(target)

    for read in (Folder().index, list_files):
        with pytest.raises(DataError, match=r"^out\.png:? is a link out of the data folder.* not followed; "):
            read(tmp_path / "data")


def test_a_data_folder_may_be_a_link(tmp_path: Path) -> None:
    draw(tmp_path, "store/a/1.png", "store/b/2.png")
    (tmp_path / "data").symlink_to(tmp_path / "store")

    assert len(Folder().index(tmp_path / "data").records) == len(list_files(tmp_path / "data")) == 2


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_and_never_opened(tmp_path: Path) -> None:
    draw(tmp_path, "a/1.png", "b/2.png")
    os.mkfifo(tmp_path / "b" / "pipe.png")

    with pytest.raises(DataError, match=r"b/pipe\.png is a named pipe, socket or device"):
        Folder().index(tmp_path)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("name", ["b", "b/2.png"])
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    draw(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / name).chmod(0)

    with pytest.raises(DataError, match=f"{name}.* make (it|them) readable"):
        Folder().index(tmp_path)
    (tmp_path / name).chmod(0o700)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"b/new\nline.png", r"b/new\\nline\.png"),
        (b"b/\xff\xfe.png", r"b/\\udcff\\udcfe\.png"),
        (b"b\x07/1.png", r"b\\x07"),
    ],
)
def test_a_name_that_cannot_be_printed_is_refused_and_shown_escaped(tmp_path: Path, name: bytes, shown: str) -> None:
    draw(tmp_path, "a/1.png")
    path = os.fsencode(tmp_path) + b"/" + name
    os.makedirs(os.path.dirname(path), exist_ok=True)
    try:
        shutil.copy(tmp_path / "a" / "1.png", os.fsdecode(path))
    except OSError:
        pytest.skip("this file system refuses the name itself")

    with pytest.raises(DataError, match=f"the name {shown} holds control characters"):
        Folder().index(tmp_path)


@pytest.mark.parametrize("name", ["b/Grüße aus München.png", "b/\u202fnarrow.png", "b/x\xa0y.png", "b/脊椎.png"])
def test_names_in_any_script_are_fine(tmp_path: Path, name: str) -> None:
    draw(tmp_path, "a/1.png", name)

    assert name in labels(Folder().index(tmp_path))


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (("a/Scan.png", "a/scan.PNG", "b/1.png"), "the files a/Scan.png and a/scan.PNG differ only by upper"),
        (("Benign/1.png", "benign/2.png"), "the classes Benign and benign differ only by upper"),
        (("a/caf\u00e9.png", "a/cafe\u0301.png", "b/1.png"), "differ only by upper"),
    ],
)
def test_names_that_differ_only_by_case_are_refused(tmp_path: Path, names: tuple[str, ...], message: str) -> None:
    draw(tmp_path, *names)
    if len([p for p in tmp_path.rglob("*.*") if p.is_file()]) < len(names):
        pytest.skip("this file system folds case")

    with pytest.raises(DataError, match=message):
        Folder().index(tmp_path)


def test_an_empty_image_is_found_before_anything_is_decoded(tmp_path: Path) -> None:
    draw(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "b" / "3.png").touch()

    with pytest.raises(DataError, match=r"images of 0 bytes: 1 \(b/3.png\)"):
        Folder().index(tmp_path)


def test_volumes_and_flat_images_do_not_mix(tmp_path: Path) -> None:
    draw(tmp_path, "a/1.png")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "2.nii.gz").write_bytes(b"x")

    with pytest.raises(
        DataError, match=r"volumes such as b/2.nii.gz \(1\) are mixed with flat images such as a/1.png \(1\)"
    ):
        Folder().index(tmp_path)


def test_volumes_have_no_colour(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "1.nii").write_bytes(b"x")

    assert Folder().index(tmp_path).dimensions == 3
    with pytest.raises(UsageError, match="channels is 3 and the files are NIfTI"):
        Folder(channels=3).index(tmp_path)


def test_colour_is_kept_on_request(tmp_path: Path) -> None:
    draw(tmp_path, "a/1.png", mode="RGB", value=10)
    draw(tmp_path, "b/2.png", value=20)
    recipe = Folder(channels=3)
    index = recipe.index(tmp_path)

    pixels = [x for x, _ in recipe.read(tmp_path, index.records, 9)]

    assert [x.shape for x in pixels] == [(3, 9, 9), (3, 9, 9)]
    assert index.channels == 3
    assert [x.max() for x in pixels] == [10, 20]


def test_a_picture_is_padded_and_never_squashed(tmp_path: Path) -> None:
    draw(tmp_path, "a/1.png", "b/2.png")
    records = Folder().index(tmp_path).records

    pixels, mask = next(Folder().read(tmp_path, records, 9))

    assert mask is None
    assert pixels.shape == (1, 9, 9)
    assert (pixels[0, 1:7] == 100).all()
    assert (pixels[0, 7:] == 0).all()


def test_a_damaged_image_is_named_when_it_is_read(tmp_path: Path) -> None:
    draw(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "b" / "2.png").write_bytes((tmp_path / "a" / "1.png").read_bytes()[:40])
    records = Folder().index(tmp_path).records

    with pytest.raises(DataError, match=r"b/2\.png"):
        list(Folder().read(tmp_path, records, 9))


def test_a_table_gives_label_patient_study_and_part(tmp_path: Path) -> None:
    draw(tmp_path, "x/1.png", "x/2.png", "3, of 3.png", "unnamed.png")
    table(
        tmp_path,
        "\ufeffPath;Label;PATIENT;study;part;age\nx/1.png;10;p1;s1;train;50\nx\\2.png;9;p1;s2;val;51\n"
        '"3, of 3.png";;p2;s3;test;52\n\n',
    )

    index = Folder().index(tmp_path)

    assert index.classes == ("9", "10")
    assert labels(index) == {"3, of 3.png": "", "x/1.png": "10", "x/2.png": "9"}
    assert [(r.patient, r.study, r.part) for r in index.records] == [
        ("p2", "s3", "test"),
        ("p1", "s1", "train"),
        ("p1", "s2", "train"),
    ]
    assert "Images in the folder that samples.csv does not name were left out: 1." in index.notes
    assert "Columns of samples.csv that were not used: 1." in index.notes
    assert "Images without a label: 1." in index.notes
    assert not any("are no images" in note for note in index.notes)  # the table itself is in use
    assert "Patients: 2, with 3 images, at most 2 of one." in index.notes


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("sep=;\r\npath;label\r\n1.png;a\r\n2.png;b\r\n", "utf-8"),
        ("path\tlabel\r\n1.png\ta\r\n2.png\tb\r\n", "utf-16"),
    ],
)
def test_what_excel_writes_is_read(tmp_path: Path, text: str, encoding: str) -> None:
    draw(tmp_path, "1.png", "2.png")
    (tmp_path / "samples.csv").write_bytes(text.encode(encoding))

    assert labels(Folder().index(tmp_path)) == {"1.png": "a", "2.png": "b"}


def test_a_name_that_could_be_two_images_is_refused(tmp_path: Path) -> None:
    draw(tmp_path, "x/1.png", "y/1.bmp", "2.png")
    table(tmp_path, "path,label\n1,a\n2,b\n")

    with pytest.raises(DataError, match=r"1 could be each of 2 \(x/1\.png, y/1\.bmp\); write the path"):
        Folder().index(tmp_path)
    table(tmp_path, "path,label\nx/1,a\n2,b\n")
    assert labels(Folder().index(tmp_path)) == {"2.png": "b", "x/1.png": "a"}


def test_rows_of_one_image_count_once_if_they_agree(tmp_path: Path) -> None:
    """As in tables of boxes."""
    draw(tmp_path, "1.png", "2.png")
    boxes = Folder(table=Path("boxes.csv"), path="image", label=("kind",))
    table(tmp_path, "image,x,kind\n1,4,a\n1,5,a\n2,,b\n", "boxes.csv")

    index = boxes.index(tmp_path)

    assert labels(index) == {"1.png": "a", "2.png": "b"}
    assert "Rows of boxes.csv that say again what another row of the same image says: 1." in index.notes
    table(tmp_path, "image,x,kind\n1,4,a\n1,5,b\n2,,b\n", "boxes.csv")
    with pytest.raises(DataError, match=r"names 1 \(1\) with different values"):
        boxes.index(tmp_path)


@pytest.mark.parametrize(
    ("row", "message"), [("0,0", "0 of the columns of classes are 1"), ("1,1", "2 of the"), ("1,x", "neither 0 nor 1")]
)
def test_columns_of_classes_hold_a_single_one(tmp_path: Path, row: str, message: str) -> None:
    draw(tmp_path, "1.png", "2.png")
    table(tmp_path, f"path,MEL,NV\n1.png,1.0,0.0\n2.png,{row}\n")

    with pytest.raises(DataError, match=f"line 3: .*{message}"):
        Folder(label=("MEL", "NV")).index(tmp_path)


def test_a_table_may_lie_elsewhere(tmp_path: Path) -> None:
    draw(tmp_path, "data/1.png", "data/2.png")
    path = table(tmp_path, "path,label\n1.png,a\n./2.png,b\n", "mine.csv")

    assert labels(Folder(table=path).index(tmp_path / "data")) == {"1.png": "a", "2.png": "b"}


def test_a_table_and_an_expression_work_together_but_do_not_contradict(tmp_path: Path) -> None:
    draw(tmp_path, "p1_1.png", "p1_2.png")
    table(tmp_path, "path,label\np1_1.png,a\np1_2.png,b\n")

    assert {r.patient for r in Folder(patient="(p1)").index(tmp_path).records} == {"p1"}
    table(tmp_path, "path,label,patient\np1_1.png,a,x\np1_2.png,b,y\n")
    with pytest.raises(UsageError, match="leave one out"):
        Folder(patient="(p1)").index(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has no column path and label"),
        ("file,label\n1.png,a\n", "has no column path among its 2"),
        ("path\n1.png\n", "has no column label"),
        ("path,label\n", "has no rows"),
        ("path,label,label\n1.png,a,b\n", "the column label twice"),
        ("path,label\n1.png,a\n2.png,b,c\n", "line 3: 3 values under 2 columns"),
        ("path,label\n,a\n", "line 2: the path is empty"),
        ("path,label\n/etc/passwd,a\n", "line 2: the path leaves the data folder"),
        ("path,label\n../1.png,a\n", "line 2: the path leaves the data folder"),
        ("path,label\nC:\\x\\1.png,a\n", "line 2: the path leaves the data folder"),
        ("path,label\n1.png,a\n1.png,b\n", r"names 1 \(1.png\) more than once"),
        ("path,label,patient\n1.png,a,p\n2.png,b,\n", r"no patient for 1 \(2.png\)"),
        ("path,label,part\n1.png,a,train\n2.png,b,extra\n", "line 3: an unknown part"),
        ("path,label,part\n1.png,a,train\n2.png,b,\n", "the part is given for some rows only"),
        ('path,label\n"1.png,a\n2.png,b\n', "the quotes do not match"),
        ('path,label\n"1\n.png",a\n', r"the name 1\\n\.png holds control characters"),
        ("path,label\n1.png,a\n2.png,a\n", "only the class a"),
        ("path,label\n1.png,A\n2.png,a\n", "the classes A and a differ only by upper"),
        ("path,label\n1.png,a\nnotes.txt,b\n", r"no images by content and ending: 1 \(notes.txt\)"),
        ("path,label\n1.png,a\n" + "".join(f"gone{i}.png,b\n" for i in range(7)), r"7 \(gone0.png.* and 2 more\)"),
    ],
)
def test_a_table_that_cannot_be_used_names_line_and_fix(tmp_path: Path, text: str, message: str) -> None:
    draw(tmp_path, "1.png", "2.png")
    (tmp_path / "notes.txt").write_text("x")
    table(tmp_path, text)

    with pytest.raises(DataError, match=message):
        Folder().index(tmp_path)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("path,label\nMüller.png,a\n".encode("latin-1"), "line 2: not UTF-8"),
        (b"PK\x03\x04 and so on", "is a spreadsheet, not a CSV file"),
    ],
)
def test_a_file_that_is_no_csv_is_recognised(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "samples.csv").write_bytes(data)

    with pytest.raises(DataError, match=message):
        Folder().index(tmp_path)


def test_a_missing_table_is_a_data_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"the table none\.csv is missing"):
        Folder(table=tmp_path / "none.csv").index(tmp_path)


@given(st.binary(max_size=200))
def test_any_bytes_make_a_table_or_a_data_error(tmp_path_factory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("any") / "samples.csv"
    path.write_bytes(b"path,label\n" + data)

    try:
        rows = read_table(path).rows
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017  both outcomes are right
    else:
        assert all(row.path and not row.path.startswith("/") for row in rows)


def test_it_has_no_phantom(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no phantom"):
        Folder().phantom(tmp_path, seed=0, patients=4, null=False)


def test_the_spine_radiographs_are_read_as_they_lie(shared_data: Path) -> None:
    """Counts of the data's README: Normal 71, Scol 188, Spond 79; names with commas, spaces and .JPG."""
    root = shared_data / "kauh-spine"
    index = Folder().index(root)

    assert Counter(labels(index).values()) == {"Normal": 71, "Scol": 188, "Spond": 79}
    assert "Spond/N5, Olisthesis L5-S1, M, 48 Yrs.JPG" in labels(index)
    pixels = [x for x, _ in Folder().read(root, index.records[::16], 32)]
    assert all(x.shape == (1, 32, 32) and x.dtype == np.uint8 and x.std() > 5 for x in pixels)


def test_mednist_is_read_as_it_lies(shared_data: Path) -> None:
    root = shared_data / "mednist"
    index = Folder().index(root)

    assert set(Counter(labels(index).values()).values()) == {200}
    assert len(index.classes) == 6
    record = index.records[500]
    pixels, _ = next(Folder().read(root, [record], 64))
    assert np.array_equal(pixels[0], np.asarray(Image.open(root / record.files[0]).convert("L")))


def test_dicom_files_are_read_by_a_table(shared_data: Path, tmp_path: Path) -> None:
    """Files with and without an ending; wg04 holds one radiograph in two encodings, which decode alike."""
    path = table(
        tmp_path,
        "path,label,patient\nwg04/RLE/RG3_RLE,chest,1\nwg04/JPLL/RG3_JPLL,chest,1\npydicom/MR_small_RLE.dcm,brain,2\n"
        "pydicom/dicomdirtests/77654033/CR1/6154,hand,3\n",
    )
    recipe = Folder(table=path)
    index = recipe.index(shared_data / "dicom")

    read = recipe.read(shared_data / "dicom", index.records, 48)
    pixels = {record.id: x for record, (x, _) in zip(index.records, read, strict=True)}

    assert index.dimensions == 2
    assert np.array_equal(pixels["wg04/RLE/RG3_RLE"], pixels["wg04/JPLL/RG3_JPLL"])
    assert all(x.shape == (1, 48, 48) and x.std() > 5 for x in pixels.values())
    assert any("that samples.csv does not name" in note for note in index.notes)


def test_volumes_are_read_by_a_table(shared_data: Path, tmp_path: Path) -> None:
    cases = [f"brats_2013_pat{n:04d}_1/Flair_subtrMeanDivStd.nii.gz" for n in (1, 2, 4, 5)]
    path = table(tmp_path, "path,label\n" + "".join(f"{case},{k % 2}\n" for k, case in enumerate(cases)))
    recipe = Folder(table=path, patient=r"pat(\d+)")
    index = recipe.index(shared_data / "brats2013")

    pixels = [x for x, _ in recipe.read(shared_data / "brats2013", index.records[:2], 24)]

    assert index.dimensions == 3
    assert [record.patient for record in index.records] == ["0001", "0002", "0004", "0005"]
    assert all(x.shape == (1, 24, 24, 24) and x.dtype == np.uint8 for x in pixels)
    assert all((x > 0).mean() > 0.3 for x in pixels)  # cropped to the brain, which fills about half of its box


@pytest.mark.parametrize("channels", [1, 3])
def test_one_picture_is_one_picture_in_every_kind_of_file(tmp_path: Path, channels: Literal[1, 3]) -> None:
    levels = np.add.outer(np.arange(24) * 4, np.arange(24) * 6)[..., None] * 17  # 12 bits, 0 to 3910
    opaque = np.full_like(levels, 65535)
    files = {
        "grey.png": png(levels, bits=16, colour=0),
        "opacity.png": png(np.concatenate([levels, opaque], -1), bits=16, colour=4),
        "colour.png": png(np.repeat(levels, 3, -1), bits=16, colour=2, interlace=True),
        "white-is-zero.tif": tiff(4095 - levels, bits=16, photometric=0),
        "colour.tif": tiff(np.repeat(levels, 3, -1), bits=16, photometric=2, order=">", deflate=True),
    }
    for label in "ab":
        (tmp_path / label).mkdir()
        for name, content in files.items():
            (tmp_path / label / name).write_bytes(content)
    own = Folder(channels=channels, size=16)

    read = [pixels for pixels, _ in own.read(tmp_path, own.index(tmp_path).records, 16)]

    assert len(read) == 10
    assert np.ptp(read[0]) > 240
    for other in read[1:]:
        np.testing.assert_array_equal(other, read[0])
