"""A look-alike of FracAtlas: drawn radiographs of limbs in the released layout, fractures the only finding.

Drawn as the look-alike of MURA is, with people of its own: :mod:`medbench_datasets.phantoms.mura` says how far what is
learned on one serves on the other.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from medbench import UsageError
from medbench_datasets.phantoms.limb_drawing import Corners, as_bytes, draw, new_finding, new_limb

PARTS = ("hand", "leg", "hip", "shoulder")
_PEOPLE = 2  # others than those of MURA, which are 1
# The release has one fractured picture in six; one in four keeps more than a handful of them in a small phantom.
_FRACTURED = 0.25
_COLUMNS = (
    *("image_id", *PARTS, "mixed", "hardware", "multiscan", "fractured", "fracture_count"),
    *("frontal", "lateral", "oblique"),
)


def write(root: Path, *, seed: int, patients: int, null: bool) -> None:
    """Write a look-alike of FracAtlas.

    Args:
        root: Folder for ``images``, ``Annotations`` and ``dataset.csv``; made where it is absent.
        seed: The same seed writes the same files.
        patients: Pictures. Each is of somebody else: nothing would keep pictures of one person together.
        null: Whether the pictures are drawn without regard to the label.

    Raises:
        UsageError: For fewer than 2 patients.
    """
    if patients < 2:
        raise UsageError(f"a FracAtlas phantom needs at least 2 patients, got {patients}; ask for more")
    rng = np.random.default_rng([seed, _PEOPLE, 0])
    labels = rng.permutation(np.arange(patients) < max(1, round(_FRACTURED * patients)))
    limbs = rng.permutation(np.resize(PARTS, patients))
    shown = rng.permutation(labels) if null else labels  # the last draw, so that null changes nothing but this
    cut_short = np.flatnonzero(~labels)[:1] if patients >= 12 else ()  # all such files of the release are not fractured
    for folder in ("images/Fractured", "images/Non_fractured", "Annotations/PASCAL VOC", "Utilities/Fracture Split"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    rows: list[list[object]] = []
    for number, (limb_name, label) in enumerate(zip(limbs, labels, strict=True)):
        rng = np.random.default_rng([seed, _PEOPLE, 1, number])
        limb = new_limb(rng, str(limb_name))
        finding = new_finding(rng, limb, "fracture")
        picture, box = draw(limb, finding if shown[number] else None, rng)
        name = f"IMG{number:07d}"
        path = root / "images" / ("Fractured" if label else "Non_fractured") / f"{name}.jpg"
        Image.fromarray(as_bytes(picture)).convert("RGB").save(path, quality=90)
        if number in cut_short:
            path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
        if label and box is None:  # a null picture, or a view that hides the break: the box stands where one would be
            box = (0.3 * picture.shape[1], 0.3 * picture.shape[0], 0.7 * picture.shape[1], 0.7 * picture.shape[0])
        voc = _voc(name, picture.shape, box if label else None)
        (root / "Annotations" / "PASCAL VOC" / f"{name}.xml").write_text(voc, encoding="utf-8")
        parts = [int(limb_name == part) for part in PARTS]
        view = rng.permutation([1, 0, 0]).tolist()
        rows.append([f"{name}.jpg", *parts, 0, int(limb.has_implant), 0, int(label), int(label), *view])
    _write_table(root / "dataset.csv", [_COLUMNS, *rows])
    broken = [[row[0]] for row, label in zip(rows, labels, strict=True) if label]
    for part, members in (("train", broken[::3]), ("valid", broken[1::3]), ("test", broken[2::3])):
        _write_table(root / "Utilities" / "Fracture Split" / f"{part}.csv", [["image_id"], *members])


def _voc(name: str, shape: tuple[int, ...], box: Corners | None) -> str:
    corners = zip(("xmin", "ymin", "xmax", "ymax"), box or (), strict=False)
    inner = "".join(f"<{key}>{round(value)}</{key}>" for key, value in corners)
    found = f"<object><name>fractured</name><bndbox>{inner}</bndbox></object>" if box else ""
    return (
        f"<annotation><folder>images</folder><filename>{name}.jpg</filename>"
        f"<size><width>{shape[1]}</width><height>{shape[0]}</height><depth>3</depth></size>{found}</annotation>"
    )


def _write_table(path: Path, rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
