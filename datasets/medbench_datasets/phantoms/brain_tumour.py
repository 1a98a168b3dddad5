"""Write a look-alike of BraTS 2020: drawn volumes as NIfTI files, the mapping file, the survival file, and its quirks.

As in the real one a segmentation bears the name ``W39_1998.09.19_Segm.nii``, and the mapping file gives names of other
years and of the TCGA, or NA. Volumes have the real field of view at 4 mm. Most lie in the order LPS, as the real ones;
one in five in RAS.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from medbench import UsageError
from medbench_datasets.phantoms.brain_drawing import SHAPE, VOXEL_MM, draw_brain, draw_tumour

LOW_SHARE = 0.25  # BraTS 2020 has 0.21; a little more, so that small phantoms fill five folds
MISNAMED = "W39_1998.09.19_Segm.nii"
_MAPPING = (
    "Grade",
    "BraTS_2017_subject_ID",
    "BraTS_2018_subject_ID",
    "TCGA_TCIA_subject_ID",
    "BraTS_2019_subject_ID",
    "BraTS_2020_subject_ID",
)


def write(root: Path, *, seed: int, patients: int, null: bool) -> None:
    """Write `patients` cases of one patient each below `root`.

    Args:
        root: An existing folder.
        seed: The same seed gives the same bytes.
        patients: At least 2, so that both grades occur.
        null: The same pictures, with grades dealt out anew.

    Raises:
        UsageError: For fewer than two patients.
    """
    if patients < 2:
        raise UsageError(f"patients: a phantom of {patients} has not both grades; ask for at least 2")
    rng = np.random.default_rng([seed, 0])
    is_high = np.arange(patients) >= max(1, round(LOW_SHARE * patients))
    rng.shuffle(is_high)
    stated = np.random.default_rng([seed, 1]).permutation(is_high) if null else is_high
    names = [f"BraTS20_Training_{n:03d}" for n in range(1, patients + 1)]
    for row, name in enumerate(names):
        _write_case(root / name, np.random.default_rng([seed, 2, row]), is_high=bool(is_high[row]))
    odd = root / names[patients // 2]
    (odd / MISNAMED).write_bytes(gzip.decompress((odd / f"{odd.name}_seg.nii.gz").read_bytes()))
    (odd / f"{odd.name}_seg.nii.gz").unlink()
    _write_table(root / "name_mapping.csv", _MAPPING, [_names(row, n, stated[row]) for row, n in enumerate(names)])
    columns = ("Brats20ID", "Age", "Survival_days", "Extent_of_Resection")
    resections = ("GTR", "STR", "NA")
    survival = [(n, f"{rng.normal(60, 11):.3f}", rng.integers(20, 1700), rng.choice(resections)) for n in names]
    _write_table(root / "survival_info.csv", columns, [r for r, high in zip(survival, stated, strict=True) if high])


def _write_case(folder: Path, rng: np.random.Generator, *, is_high: bool) -> None:
    volumes, segmentation = draw_brain(rng, draw_tumour(rng, is_high=is_high))
    is_ras = rng.random() < 0.2
    folder.mkdir()
    for role, voxels in {**volumes, "seg": segmentation.astype(np.int16)}.items():
        content = _as_nifti(voxels, is_ras=is_ras)
        # No time and no name in the gzip header: the same seed gives the same bytes.
        (folder / f"{folder.name}_{role}.nii.gz").write_bytes(gzip.compress(content, 1, mtime=0))


def _as_nifti(voxels: np.ndarray, *, is_ras: bool) -> bytes:
    from nibabel import Nifti1Image  # 0.9 s: not at module level

    affine = np.diag([VOXEL_MM, VOXEL_MM, VOXEL_MM, 1.0])
    affine[1, 3] = -VOXEL_MM * (SHAPE[1] - 1)
    affine[0, 3] = -VOXEL_MM * (SHAPE[0] - 1)
    if not is_ras:  # the real files: x and y run to the left and to the back
        voxels = voxels[::-1, ::-1]
        affine[:2] *= -1
        affine[:2, 3] = (-0.0, 0.0)
    image = Nifti1Image(np.ascontiguousarray(voxels), affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    return bytes(image.to_bytes())


def _names(row: int, name: str, is_high: bool) -> tuple[str, ...]:
    """One row of the mapping file; one case in eleven is new in 2020, one in three comes from the TCGA."""
    grade = "HGG" if is_high else "LGG"
    if row % 11 == 10:
        return (grade, "NA", "NA", "NA", "NA", name)
    origin = f"TCIA{row % 10:02d}_{row + 1:03d}_1"
    tcga = f"TCGA-00-{row + 1:04d}" if row % 3 == 0 else "NA"
    return (grade, f"Brats17_{origin}", f"Brats18_{origin}", tcga, f"BraTS19_{origin}", name)


def _write_table(file: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, lineterminator="\n").writerows([columns, *rows])
