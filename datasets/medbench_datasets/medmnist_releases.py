"""The official MedMNIST+ files: what each flag shows, and the MD5 of every resolution.

Facts of release 3.0.2 (Zenodo record 10519652). Release 3 took rows out of organamnist, organcmnist, organsmnist,
organmnist3d and vesselmnist3d: files of release 2 of these five have other checksums.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Task = Literal["binary-class", "multi-class", "ordinal-regression", "multi-label"]
RESOLUTIONS = (28, 64, 128, 224)
"""Pixels along an axis; volumes were released at the first two."""


@dataclass(frozen=True)
class Release:
    """One flag of MedMNIST.

    Attributes:
        title: Name as published.
        shows: What the images are, in a few words.
        task: Kind of label; only single-label tasks have ``classes`` that a classifier tells apart.
        classes: Names in the order of the labels.
        digests: MD5 of the official files, in the order of RESOLUTIONS.
        channels: 1 for gray, 3 for colour.
        dimensions: Spatial axes.
        licence: As published.
    """

    title: str
    shows: str
    task: Task
    classes: tuple[str, ...]
    digests: str
    channels: Literal[1, 3] = 1
    dimensions: Literal[2, 3] = 2
    licence: str = "CC BY 4.0"

    @property
    def md5(self) -> dict[int, str]:
        """Resolution in pixels to the MD5 of the official file."""
        return dict(zip(RESOLUTIONS, self.digests.split(), strict=False))


_ORGANS = (
    *("bladder", "femur-left", "femur-right", "heart", "kidney-left", "kidney-right"),
    *("liver", "lung-left", "lung-right", "pancreas", "spleen"),
)

RELEASES: dict[str, Release] = {
    "pathmnist": Release(
        "PathMNIST",
        "patches of colorectal cancer histology",
        "multi-class",
        (
            *("adipose", "background", "debris", "lymphocytes", "mucus", "smooth muscle", "normal colon mucosa"),
            *("cancer-associated stroma", "colorectal adenocarcinoma epithelium"),
        ),
        "a8b06965200029087d5bd730944a56c1 55aa9c1e0525abe5a6b9d8343a507616 "
        "ac42d08fb904d92c244187169d1fd1d9 2c51a510bcdc9cf8ddb2af93af1eadec",
        channels=3,
    ),
    "chestmnist": Release(
        "ChestMNIST",
        "frontal chest radiographs",
        "multi-label",
        (
            *("atelectasis", "cardiomegaly", "effusion", "infiltration", "mass", "nodule", "pneumonia"),
            *("pneumothorax", "consolidation", "edema", "emphysema", "fibrosis", "pleural", "hernia"),
        ),
        "02c8a6516a18b556561a56cbdd36c4a8 9de6cd0b934ebb5b7426cfba5efbae16 "
        "db107e5590b27930b62dbaf558aebee3 45bd33e6f06c3e8cdb481c74a89152aa",
    ),
    "dermamnist": Release(
        "DermaMNIST",
        "dermatoscopic images of skin lesions",
        "multi-class",
        (
            *("actinic keratoses and intraepithelial carcinoma", "basal cell carcinoma"),
            *("benign keratosis-like lesions", "dermatofibroma", "melanoma", "melanocytic nevi", "vascular lesions"),
        ),
        "0744692d530f8e62ec473284d019b0c7 b70a2f5635c6199aeaa28c31d7202e1f "
        "2defd784463fa5243564e855ed717de1 8974907d8e169bef5f5b96bc506ae45d",
        channels=3,
        licence="CC BY-NC 4.0",
    ),
    "octmnist": Release(
        "OCTMNIST",
        "optical coherence tomography of the retina",
        "multi-class",
        ("choroidal neovascularization", "diabetic macular edema", "drusen", "normal"),
        "c68d92d5b585d8d81f7112f81e2d0842 e229e9440236b774d9f0dfef9d07bdaf "
        "0a97e76651ace45c5d943ee3f65b63ae abc493b6d529d5de7569faaef2773ba3",
    ),
    "pneumoniamnist": Release(
        "PneumoniaMNIST",
        "paediatric chest radiographs",
        "binary-class",
        ("normal", "pneumonia"),
        "28209eda62fecd6e6a2d98b1501bb15f 8f4eceb4ccffa70c672198ea285246c6 "
        "05b46931834c231683c68f40c47b2971 d6a3c71de1b945ea11211b03746c1fe1",
    ),
    "retinamnist": Release(
        "RetinaMNIST",
        "fundus photographs graded for diabetic retinopathy",
        "ordinal-regression",
        ("grade 0", "grade 1", "grade 2", "grade 3", "grade 4"),
        "bd4c0672f1bba3e3a89f0e4e876791e4 afda852cc34dcda56f86ad2b2457dbcc "
        "e48e916a24454daf90583d4e6efb1a18 eae7e3b6f3fcbda4ae613ebdcbe35348",
        channels=3,
    ),
    "breastmnist": Release(
        "BreastMNIST",
        "breast ultrasound",
        "binary-class",
        ("malignant", "normal, benign"),
        "750601b1f35ba3300ea97c75c52ff8f6 742edef2a1fd1524b2efff4bd7ba9364 "
        "363e4b3f8d712e9b5de15470a2aaadf1 b56378a6eefa9fed602bb16d192d4c8b",
    ),
    "bloodmnist": Release(
        "BloodMNIST",
        "microscopy of single blood cells",
        "multi-class",
        (
            *("basophil", "eosinophil", "erythroblast"),
            "immature granulocytes(myelocytes, metamyelocytes and promyelocytes)",
            *("lymphocyte", "monocyte", "neutrophil", "platelet"),
        ),
        "7053d0359d879ad8a5505303e11de1dc 2b94928a2ae4916078ca51e05b6b800b "
        "adace1e0ed228fccda1f39692059dd4c b718ff6835fcbdb22ba9eacccd7b2601",
        channels=3,
    ),
    "tissuemnist": Release(
        "TissueMNIST",
        "fluorescence microscopy of kidney cortex cells",
        "multi-class",
        (
            *("Collecting Duct, Connecting Tubule", "Distal Convoluted Tubule", "Glomerular endothelial cells"),
            *("Interstitial endothelial cells", "Leukocytes", "Podocytes", "Proximal Tubule Segments"),
            "Thick Ascending Limb",
        ),
        "ebe78ee8b05294063de985d821c1c34b 123ece2eba09d0aa5d698fda57103344 "
        "61b955355d7425a89687b06cca3ce0c2 b077128c4a949f0a4eb01517f9037b9c",
    ),
    "organamnist": Release(
        "OrganAMNIST",
        "axial slices of abdominal CT",
        "multi-class",
        _ORGANS,
        "68e3f8846a6bd62f0c9bf841c0d9eacc 2dcccc29b88e6da5a01161ef20cda288 "
        "eeae80d0a227a8d099027e1b3cfd3b60 50747347e05c87dd3aaf92c49f9f3170",
    ),
    "organcmnist": Release(
        "OrganCMNIST",
        "coronal slices of abdominal CT",
        "multi-class",
        _ORGANS,
        "b9ceb9546e10131b32923c5bbeaea2b1 3ce34a8724ea6f548e6db4744d03b6a9 "
        "773c1f009daa3fe5d9a2a201b2a7ed94 050f5e875dc056f6768abf94ec9995d1",
    ),
    "organsmnist": Release(
        "OrganSMNIST",
        "sagittal slices of abdominal CT",
        "multi-class",
        _ORGANS,
        "9ab87b696fb54e2a387ebe992d6ed5f1 53a6d115339d874c25e309a994ff46d3 "
        "ded0c5fa01a95dc4978b956f613e9b8e b354719e553fbbb2513d5533f52a4cb1",
    ),
    "organmnist3d": Release(
        "OrganMNIST3D",
        "abdominal CT around one organ",
        "multi-class",
        (
            *("liver", "kidney-right", "kidney-left", "femur-right", "femur-left", "bladder"),
            *("heart", "lung-right", "lung-left", "spleen", "pancreas"),
        ),
        "a0c5a1ff56af4f155c46d46fbb45a2fe 58a2205adf14a9d0a189cb06dc78bf10",
        dimensions=3,
    ),
    "nodulemnist3d": Release(
        "NoduleMNIST3D",
        "thoracic CT around a lung nodule",
        "binary-class",
        ("benign", "malignant"),
        "8755a7e9e05a4d9ce80a24c3e7a256f3 c47c5b7d457bf6332200d2ea6d64ecd8",
        dimensions=3,
    ),
    "adrenalmnist3d": Release(
        "AdrenalMNIST3D",
        "shape masks of adrenal glands in CT",
        "binary-class",
        ("normal", "hyperplasia"),
        "bbd3c5a5576322bc4cdfea780653b1ce 17721accfe9fb005146a47d33bc54b2f",
        dimensions=3,
    ),
    "fracturemnist3d": Release(
        "FractureMNIST3D",
        "chest CT around a rib fracture",
        "multi-class",
        ("buckle rib fracture", "nondisplaced rib fracture", "displaced rib fracture"),
        "6aa7b0143a6b42da40027a9dda61302f f01d7e6316aedf4210da0da5b7437b42",
        dimensions=3,
    ),
    "vesselmnist3d": Release(
        "VesselMNIST3D",
        "shape masks of brain vessels in MRA",
        "binary-class",
        ("vessel", "aneurysm"),
        "b41fd4f7e7e2feedddb201585ecafa1b 6bb274a8846e1097066dcd64e2c4520f",
        dimensions=3,
    ),
    "synapsemnist3d": Release(
        "SynapseMNIST3D",
        "electron microscopy around a synapse",
        "binary-class",
        ("inhibitory synapse", "excitatory synapse"),
        "1235b78a3cd6280881dd7850a78eadb6 43bd14ebf3af9d3dd072446fedc14d5e",
        dimensions=3,
    ),
}
