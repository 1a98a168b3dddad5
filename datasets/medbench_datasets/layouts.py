"""What lies in a folder, told from its layout alone: so that a published data set is not taken for class folders.

Each function opens nothing but folders and returns the text of the data set to use, or "".
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from medbench_datasets.medmnist_releases import RELEASES


def published(root: Path) -> str:
    """Return the data set whose published layout a folder has, as ``vindr-spinexr:abnormal``; "" for none."""
    return vindr(root) or mura(root) or fracatlas(root) or medmnist(root) or ddti(root) or brain(root)


def vindr(root: Path) -> str:
    """VinDr-SpineXR: folders of ``.dicom`` beside one of annotations, or the two folders of images alone."""
    images = [name for name in ("train_images", "test_images") if (root / name).is_dir()]
    told = any((root / name).is_dir() for name in ("annotations", "annotation"))
    dicom = any(name.endswith((".dicom", ".dcm")) for part in images for name in _names(root / part)[:50])
    return "vindr-spinexr:abnormal" if images and (told or len(images) == 2) and dicom else ""


def mura(root: Path) -> str:
    """MURA: its tables, or ``train|valid/XR_PART/patientNNNNN``."""
    for top in (root, root / "MURA-v1.1"):
        for part in ("train", "valid"):
            parts = [name for name in _names(top / part) if re.fullmatch(r"XR_[A-Z]+", name)]
            if (top / f"{part}_image_paths.csv").is_file() or parts:
                return "mura:abnormal"
    return ""


def fracatlas(root: Path) -> str:
    """FracAtlas: ``dataset.csv`` beside ``images/Fractured``."""
    tops = (root, root / "FracAtlas")
    found = any((top / "dataset.csv").is_file() and (top / "images" / "Fractured").is_dir() for top in tops)
    return "fracatlas:fracture" if found else ""


def medmnist(root: Path) -> str:
    """MedMNIST: ``FLAG.npz`` or ``FLAG_64.npz``; the first that has one label an image."""
    for name in _names(root):
        flag, _, resolution = name.removesuffix(".npz").partition("_")
        if name.endswith(".npz") and flag in RELEASES and RELEASES[flag].task != "multi-label":
            if not resolution:
                return f"medmnist[flag={flag}]"
            if resolution.isdecimal() and int(resolution) in RELEASES[flag].md5:
                return f"medmnist[flag={flag},resolution={resolution}]"
    return ""


def ddti(root: Path) -> str:
    """DDTI: ``N.xml`` and ``N_K.jpg``, side by side or in folders of their own."""
    names = [*_names(root), *(name for folder in _folders(root) for name in _names(folder))]
    cases = {found[1] for name in names if (found := re.fullmatch(r"(\d{1,4})\.xml", name, re.IGNORECASE))}
    pictures = {found[1] for name in names if (found := re.fullmatch(r"(\d{1,4})_\d\.jpe?g", name, re.IGNORECASE))}
    return "ddti" if cases and len(cases & pictures) >= len(cases) / 2 else ""


def brain(root: Path) -> str:
    """Gliomas: folders of cases with several modalities, or one and its segmentation, up to three folders deep."""
    from medbench_datasets.brain_layouts import modalities

    waiting = [(root, 0)]
    while waiting:
        folder, depth = waiting.pop(0)
        for inner in _folders(folder)[:20]:
            if len(modalities(inner)) > 1:
                return "brain-tumour"
            if depth < 2:
                waiting.append((inner, depth + 1))
    return ""


def _names(folder: Path) -> list[str]:
    try:
        return sorted(name for name in os.listdir(folder) if not name.startswith("."))
    except OSError:
        return []


def _folders(folder: Path) -> list[Path]:
    return [folder / name for name in _names(folder) if (folder / name).is_dir()]
