"""A look-alike of MURA: drawn radiographs of limbs in the released layout.

The look-alike of FracAtlas is drawn by the same module, with people of its own, so that what is learned on one can be
tried on the other. In MURA an abnormal study shows a fracture or, in one of five, a lesion of a bone; in FracAtlas
there are fractures only. Body part, exposure, growth plates and implants are dealt without regard to what a picture
shows.

Measured once, 180 patients each, four convolutions at 32 pixels, 500 balanced steps of 32 with random affine maps:
AUROC of unseen people 0.76 in MURA, 0.65 in FracAtlas, 0.70 in FracAtlas after training on MURA. A linear probe on ten
numbers of a whole picture (size, mean, spread, quantiles) reaches 0.62; none of them alone leaves 0.45 to 0.55.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from medbench import UsageError
from medbench_datasets.phantoms.limb_drawing import as_bytes, draw, new_finding, new_limb

PARTS = ("elbow", "finger", "forearm", "hand", "humerus", "shoulder", "wrist")
_PEOPLE = 1  # others than those of FracAtlas, which are 2
_ABNORMAL = 0.4  # of the studies, as in the release
_LESION = 0.2  # of the abnormal studies
_RESOURCE = b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        "  # how a resource fork of a Mac begins


@dataclass(frozen=True)
class _Study:
    patient: int
    number: int  # among the studies of that patient and part of the body
    limb: str
    part: str
    abnormal: bool  # what the files say
    shown: bool  # whether the pictures show a finding
    drawn: str  # the limb that they show

    @property
    def folder(self) -> str:
        sign = "positive" if self.abnormal else "negative"
        return f"MURA-v1.1/{self.part}/XR_{self.limb.upper()}/patient{self.patient:05d}/study{self.number}_{sign}"


def write(root: Path, *, seed: int, patients: int, null: bool) -> None:
    """Write a look-alike of MURA-v1.1.

    Args:
        root: Folder for ``MURA-v1.1``; made where it is absent.
        seed: The same seed writes the same files.
        patients: People, a fifth of them in the part "valid"; each has one or two studies of one to three pictures.
        null: Whether the pictures show somebody else's limb and finding; names and labels stay.

    Raises:
        UsageError: For fewer than 4 patients, since both parts have both classes.
    """
    if patients < 4:
        raise UsageError(f"a MURA phantom needs at least 4 patients, got {patients}; ask for more")
    lines: dict[str, dict[str, list[str]]] = {part: {"paths": [], "studies": []} for part in ("train", "valid")}
    for place, study in enumerate(_studies(np.random.default_rng([seed, _PEOPLE, 0]), patients, null)):
        rng = np.random.default_rng([seed, _PEOPLE, 1, place])
        # Two studies of one limb show the same bones.
        person = np.random.default_rng([seed, _PEOPLE, 2, study.patient, PARTS.index(study.drawn)])
        limb = new_limb(person, study.drawn)
        finding = new_finding(rng, limb, "lesion" if rng.random() < _LESION else "fracture")
        folder = root / study.folder
        folder.mkdir(parents=True, exist_ok=True)
        lines[study.part]["studies"].append(f"{study.folder}/,{int(study.abnormal)}")
        for k in range(1, 1 + int(rng.choice((1, 2, 3), p=(0.2, 0.4, 0.4)))):
            picture, _ = draw(limb, finding if study.shown else None, rng)
            image = Image.fromarray(as_bytes(picture))
            (image.convert("RGB") if rng.random() < 0.3 else image).save(folder / f"image{k}.png", compress_level=1)
            lines[study.part]["paths"].append(f"{study.folder}/image{k}.png")
        if place % 5 == 0:  # a Mac packed the release
            (folder / "._image1.png").write_bytes(_RESOURCE)
    (root / "MURA-v1.1" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
    for part, tables in lines.items():
        for name, rows in (("image_paths", tables["paths"]), ("labeled_studies", tables["studies"])):
            path = root / "MURA-v1.1" / f"{part}_{name}.csv"
            path.write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")


def _studies(rng: np.random.Generator, patients: int, null: bool) -> list[_Study]:
    """Decide who has which studies, with which labels; the patients of "valid" are numbered after those of "train"."""
    n_abnormal = min(max(2, round(_ABNORMAL * patients)), patients - 2)
    first = np.arange(patients) < n_abnormal
    held_out = np.zeros(patients, dtype=bool)
    for members in (np.flatnonzero(first), np.flatnonzero(~first)):
        held_out[members[: max(1, round(len(members) / 5))]] = True
    order = rng.permutation(patients)
    order = order[np.argsort(held_out[order], kind="stable")]
    first, held_out = first[order], held_out[order]
    # A second study has the other label as often as not; some patients have both.
    second = np.where(rng.random(patients) < 0.5, rng.random(patients) < _ABNORMAL, first)
    has_second = rng.random(patients) < 0.2
    limbs = rng.permutation(np.resize(PARTS, patients))
    others = np.where(rng.random(patients) < 0.5, limbs, rng.choice(PARTS, patients))  # of a second study
    shuffled = rng.permutation(patients)  # drawn in any case, so that null changes nothing but this
    source = shuffled if null else np.arange(patients)  # whose limb and finding the pictures show
    studies = []
    for i, other in enumerate(source):
        part = "valid" if held_out[i] else "train"
        studies.append(_Study(i + 1, 1, str(limbs[i]), part, bool(first[i]), bool(first[other]), str(limbs[other])))
        if has_second[i]:
            number = 2 if others[i] == limbs[i] else 1
            labels = bool(second[i]), bool(second[other])
            studies.append(_Study(i + 1, number, str(others[i]), part, *labels, str(others[other])))
    return studies
