"""Write drawn thyroid ultrasound as DDTI was released: ``N.xml`` and ``N_K.jpg``, with borders, text and defects."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from medbench import UsageError
from medbench_datasets.phantoms.thyroid_drawing import Nodule, draw_nodule, draw_view

FRAME = (560, 360)  # width and height of every released picture
SINGLE = (86, 8, 386, 295)  # left, top, width, height of a scan
LEFT, RIGHT = (32, 8, 247, 295), (280, 8, 248, 295)  # of two views side by side
SEVERITY = {"2": 0.12, "3": 0.3, "4a": 0.52, "4b": 0.64, "4c": 0.78, "5": 0.92}
# Measured with the small network at 32 pixels, 600 balanced steps of 32, 130 patients, three cuts: AUROC of unseen
# patients 0.85 (0.83 to 0.90) with random affine maps, 0.75 (0.69 to 0.78) without.
OVERLAP = 0.22
# The release has one benign case to five; one to three keeps more than a handful of them in a small phantom.
BENIGN_PART = 0.25
WITHIN = {"2": 0.73, "3": 0.27, "4a": 0.35, "4b": 0.3, "4c": 0.23, "5": 0.12}  # as in the release, within each class


@dataclass(frozen=True)
class _Case:
    number: int
    tirads: str  # empty where the file gives none
    shown: str  # what the pictures look like


def write(root: Path, *, seed: int, patients: int, null: bool) -> None:
    """Write a look-alike of DDTI.

    Args:
        root: Folder for the files; made where it is absent.
        seed: The same seed writes the same files.
        patients: Cases with a TI-RADS category; a few without one come on top.
        null: Whether the pictures are drawn without regard to the category.

    Raises:
        UsageError: For fewer than 2 patients.
    """
    if patients < 2:
        raise UsageError(f"a thyroid phantom needs at least 2 patients, got {patients}; ask for more")
    root.mkdir(parents=True, exist_ok=True)
    cases = _cases(np.random.default_rng([seed, 0]), patients, null)
    defects, twins = _defects(cases)
    first: dict[int, str] = {}  # case -> svg of its first image
    for case in cases:
        rng = np.random.default_rng([seed, 1, case.number])
        nodule = draw_nodule(rng, SEVERITY[case.shown], OVERLAP)
        lobe = rng.uniform(0.42, 0.56)
        marks = []
        for k in range(1, 1 + int(rng.choice([1, 2, 3], p=[0.72, 0.2, 0.08]))):
            frame, polygons = _frame(rng, nodule, lobe, "" if null else case.tirads)
            frame.save(root / f"{case.number}_{k}.jpg", quality=90)
            marks.append((k, _svg(polygons, defects.get(case.number, "") if k == 1 else "")))
        if case.number in twins:
            k, source = len(marks) + 1, twins[case.number]
            (root / f"{case.number}_{k}.jpg").write_bytes((root / f"{source}_1.jpg").read_bytes())
            marks.append((k, first[source]))
        first[case.number] = marks[0][1]
        (root / f"{case.number}.xml").write_text(_xml(rng, case, nodule, marks), encoding="utf-8")


def _cases(rng: np.random.Generator, patients: int, null: bool) -> list[_Case]:
    """Deal out categories in fixed parts, so that small phantoms have every class."""
    n_benign = max(1, round(BENIGN_PART * patients))
    dealt = _dealt(("2", "3"), n_benign) + _dealt(("4a", "4b", "4c", "5"), patients - n_benign)
    tirads = [str(t) for t in rng.permutation(dealt)]
    shown = [str(t) for t in rng.permutation(tirads)] if null else list(tirads)
    for place in sorted(rng.choice(patients + 1, size=max(1, patients // 10))):
        tirads.insert(int(place), "")  # not scored, yet in the folder, as a quarter of the release
        shown.insert(int(place), str(rng.choice(list(SEVERITY))))
    numbers = np.cumsum(rng.choice([1, 2, 3], size=len(tirads), p=[0.85, 0.1, 0.05]))  # the release has gaps
    return [_Case(int(n), t, s) for n, t, s in zip(numbers, tirads, shown, strict=True)]


def _dealt(categories: tuple[str, ...], n: int) -> list[str]:
    ends = np.round(np.cumsum([WITHIN[c] for c in categories]) * n).astype(int)
    return [categories[int(np.searchsorted(ends, i, side="right"))] for i in range(n)]


def _defects(cases: list[_Case]) -> tuple[dict[int, str], dict[int, int]]:
    """Give known defects of the release to a case each, as far as there are cases; and a case another one's picture."""
    labelled = [case for case in cases if case.tirads]
    pairs = [(a, b) for a, b in pairwise(labelled) if a.tirads == b.tirads]
    twins = {b.number: a.number for a, b in pairs[:1]} if len(labelled) >= 8 else {}
    free = [case.number for case in labelled if case.number not in {*twins, *twins.values()}]
    return dict(zip(free[3::4], ("cut", "arrow", "empty"), strict=False)), twins


def _frame(
    rng: np.random.Generator, nodule: Nodule, lobe: float, tirads: str
) -> tuple[Image.Image, list[list[tuple[int, int]]]]:
    """Draw a whole picture: one view or two, gray scale, settings, and sometimes the category as text."""
    two = rng.random() < 0.2
    canvas = np.zeros((FRAME[1], FRAME[0]), dtype=np.uint8)
    polygons = []
    gain = lobe * rng.uniform(0.92, 1.08)
    for left, top, width, height in (LEFT, RIGHT) if two else (SINGLE,):
        scan, margin = draw_view(rng, nodule, width=width, height=height, lobe=gain)
        canvas[top : top + height, left : left + width] = scan
        margin = margin[:: 2 if two else int(rng.choice([1, 2]))]  # no text of a mark is longer than in the release
        drawn = margin.mean(0) + (margin - margin.mean(0)) * rng.normal(1.08, 0.03) + rng.normal(0, 1, margin.shape)
        drawn = np.clip(drawn, 1, (width - 2, height - 2)) + np.array([left, top])
        polygons.append([(int(x), int(y)) for x, y in np.round(drawn)])
    canvas[150:246, 8:19] = np.linspace(255, 0, 96)[:, None]

    picture = Image.fromarray(canvas).convert("RGB")  # gray pictures, yet stored as colour
    draw, font = ImageDraw.Draw(picture), ImageFont.load_default_imagefont()
    for line, text in enumerate(("P100", "12L5", "12.0", "31fps", "DR65", "2DG", str(rng.integers(84, 100)))):
        draw.text((536, 6 + 9 * line), text, fill="white", font=font)
    for tick in range(5):
        draw.point((SINGLE[0] - 4, 8 + 59 * tick), fill="white")
    draw.text((106, 330), str(rng.choice(["DER", "IZQ", "ITSMO"])), fill="white", font=font)
    # The burned-in answer: on half of the benign pictures of the release, on a sixth of the others.
    if tirads and rng.random() < (0.49 if tirads in ("2", "3") else 0.16):
        draw.text((190, 330), f"TIRADS {tirads.upper()}", fill="white", font=font)
    if rng.random() < 0.06:  # callipers, the only colour
        for x, y in (polygons[0][0], polygons[0][len(polygons[0]) // 2]):
            draw.line((x - 3, y, x + 3, y), fill=(0, 200, 200))
            draw.line((x, y - 3, x, y + 3), fill=(0, 200, 200))
    return picture, polygons


def _svg(polygons: list[list[tuple[int, int]]], defect: str) -> str:
    if defect == "empty":
        return ""
    regions = [
        {"points": [{"x": x, "y": y} for x, y in polygon], "annotation": {}, "regionType": "freehand"}
        for polygon in polygons
    ]
    if defect == "arrow":
        arrow = {"points": [{"x": 120, "y": 60}, {"x": 150, "y": 90}], "annotation": {}, "regionType": "arrow"}
        regions.append(arrow)
    if defect == "cut":
        dense = [{"x": x, "y": y} for x, y in polygons[0] for _ in range(4)]  # a hand that paused
        return json.dumps([{**regions[0], "points": dense}])[:2500]  # the length at which the release cuts
    return json.dumps(regions)


def _xml(rng: np.random.Generator, case: _Case, nodule: Nodule, marks: list[tuple[int, str]]) -> str:
    echo = ("marked hypoechogenicity", "hypoechogenicity", "isoechogenicity", "hyperechogenicity")
    fields = {
        "number": str(case.number),
        "age": str(rng.integers(18, 85)) if rng.random() < 0.78 else "",
        "sex": str(rng.choice(["F", "M", ""], p=[0.7, 0.1, 0.2])),
        "composition": "predominantly cystic" if nodule.cysts else "spongiform" if nodule.pores else "solid",
        "echogenicity": echo[int(np.searchsorted([0.65, 0.85, 1.1], nodule.echo))],
        "margins": "ill defined" if nodule.blur > 0.15 else "spiculated" if nodule.roughness > 0.12 else "well defined",
        "calcifications": "microcalcifications" if nodule.calcifications else "non",
        "tirads": case.tirads,
        "reportbacaf": "",
        "reporteco": "",
    }
    lines = [f"<{tag}>{text}</{tag}>" for tag, text in fields.items()]
    # The order of marks is not that of images.
    lines += [f"<mark><image>{k}</image><svg>{svg}</svg></mark>" for k, svg in reversed(marks)]
    return f"<case>{''.join(lines)}</case>"
