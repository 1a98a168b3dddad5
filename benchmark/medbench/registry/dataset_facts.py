"""What helps to choose a built-in data set, for lists and pages; what a reader needs stands in its own recipe.

Counts are those of the release, or of the copy that was read here; a copy of yours may hold others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from medbench.registry.recipes import parse

DOWNLOAD, FREE, AGREEMENT, OWN = "download", "by hand", "agreement", "yours"


@dataclass(frozen=True)
class DatasetFacts:
    """What helps to choose a data set.

    Attributes:
        what: Modality and what is told apart, in plain words.
        dimensions: 2 or 3; 0 where both are read.
        classes: How many; 0 where the data say it.
        patients: How many, or studies where patients were not released; 0 where nothing was released.
        images: How many; 0 where it depends.
        get: DOWNLOAD: ``medbench datasets fetch`` does it. FREE: by hand. AGREEMENT: by hand, after one is signed.
            OWN: one's own.
        licence: In a word or two.
    """

    what: str
    dimensions: int
    classes: int
    patients: int
    images: int
    get: str
    licence: str


_VINDR = ("PhysioNet 1.5.0", 5000, 10466)


def _vindr(what: str, classes: int) -> DatasetFacts:
    licence, studies, images = _VINDR
    return DatasetFacts(f"spine X-ray: {what}", 2, classes, studies, images, AGREEMENT, licence)


def _medmnist(what: str, classes: int, images: int, dimensions: int = 2, licence: str = "CC BY 4.0") -> DatasetFacts:
    return DatasetFacts(what, dimensions, classes, 0, images, DOWNLOAD, licence)


FACTS: Mapping[str, DatasetFacts] = {
    "ddti": DatasetFacts("thyroid ultrasound: benign or malignant nodule", 2, 2, 199, 231, FREE, "none stated"),
    "ddti:benign-malignant": DatasetFacts(
        "thyroid ultrasound: benign or malignant nodule", 2, 2, 199, 231, FREE, "none stated"
    ),
    "ddti:tirads": DatasetFacts("thyroid ultrasound: TI-RADS category", 2, 6, 199, 231, FREE, "none stated"),
    "vindr-spinexr:abnormal": _vindr("no finding, or any", 2),
    "vindr-spinexr:case-1": _vindr("no finding, disc space narrowing, vertebral collapse", 3),
    "vindr-spinexr:case-2": _vindr("no finding, spondylolisthesis, surgical implant", 3),
    "vindr-spinexr:case-3": _vindr("no finding, foraminal stenosis, other lesions", 3),
    "vindr-spinexr:lesions": _vindr("no finding, or which of 7 lesions", 8),
    "brain-tumour": DatasetFacts(
        "brain MRI volumes: glioma of low or high grade", 3, 2, 369, 369, AGREEMENT, "research"
    ),
    "brain-tumour:slices": DatasetFacts(
        "brain MRI slices: glioma of low or high grade", 2, 2, 369, 0, AGREEMENT, "research"
    ),
    "source-brain-tumour:slices": DatasetFacts(
        "brain MRI slices to learn from first, beside brain-tumour:slices", 2, 2, 369, 0, AGREEMENT, "research"
    ),
    "mura:abnormal": DatasetFacts("upper limb X-ray: normal or not", 2, 2, 11967, 40005, AGREEMENT, "research"),
    "mura:part": DatasetFacts("upper limb X-ray: which of 7 parts", 2, 7, 11967, 40005, AGREEMENT, "research"),
    "fracatlas:fracture": DatasetFacts("limb X-ray: fractured or not", 2, 2, 0, 4083, FREE, "CC BY 4.0"),
    "medmnist[flag=breastmnist]": _medmnist("breast ultrasound: benign or malignant", 2, 780),
    "medmnist[flag=pneumoniamnist]": _medmnist("chest X-ray of children: pneumonia or not", 2, 5856),
    "medmnist[flag=retinamnist]": _medmnist("fundus photographs: grade of diabetic retinopathy", 5, 1600),
    "medmnist[flag=dermamnist]": _medmnist("dermatoscopy: kind of skin lesion", 7, 10015, licence="CC BY-NC 4.0"),
    "medmnist[flag=octmnist]": _medmnist("retinal OCT: kind of disease", 4, 109309),
    "medmnist[flag=pathmnist]": _medmnist("colorectal histology: kind of tissue", 9, 107180),
    "medmnist[flag=bloodmnist]": _medmnist("blood microscopy: kind of cell", 8, 17092),
    "medmnist[flag=tissuemnist]": _medmnist("kidney microscopy: kind of cell", 8, 236386),
    "medmnist[flag=organamnist]": _medmnist("abdominal CT, axial slices: which organ", 11, 58830),
    "medmnist[flag=organcmnist]": _medmnist("abdominal CT, coronal slices: which organ", 11, 23583),
    "medmnist[flag=organsmnist]": _medmnist("abdominal CT, sagittal slices: which organ", 11, 25211),
    "medmnist[flag=organmnist3d]": _medmnist("abdominal CT volumes: which organ", 11, 1742, 3),
    "medmnist[flag=nodulemnist3d]": _medmnist("lung CT volumes: benign or malignant nodule", 2, 1633, 3),
    "medmnist[flag=adrenalmnist3d]": _medmnist("adrenal gland shapes from CT: normal or mass", 2, 1584, 3),
    "medmnist[flag=fracturemnist3d]": _medmnist("chest CT volumes: kind of rib fracture", 3, 1370, 3),
    "medmnist[flag=vesselmnist3d]": _medmnist("brain vessel shapes from MRA: healthy or aneurysm", 2, 1908, 3),
    "medmnist[flag=synapsemnist3d]": _medmnist("electron microscopy volumes: kind of synapse", 2, 1759, 3),
    "folder": DatasetFacts("your own images: a folder a class, or a CSV table", 0, 0, 0, 0, OWN, "yours"),
    "source-folder": DatasetFacts("your own images to pretrain on, beside -d folder", 0, 0, 0, 0, OWN, "yours"),
}
"""By the text that is given to ``-d``; ``medmnist`` once a flag."""
SIZES = "medmnist: 28 px; also 64, 128 and 224 px (3-D: 64), as in 'medmnist[flag=breastmnist,resolution=224]'."
"""Told below a list with MedMNIST in it."""


def facts_of(text: str) -> DatasetFacts | None:
    """Return the facts of a data set by its text, whatever parameters it has besides; None where it has none here."""
    spec = parse(text)
    flag = dict(spec.parameters).get("flag", "breastmnist")
    return FACTS.get(f"medmnist[flag={flag}]" if spec.name == "medmnist" else spec.name)
