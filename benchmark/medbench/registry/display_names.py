"""Names for people: what a table calls a method, a classifier or a data set whose recipe is text for machines.

A name is read off the recipe alone, so that published entries are shown where the plugin is not installed. A recipe of
a third party keeps the name it was registered under.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence

from medbench.errors import UsageError
from medbench.registry.recipes import Spec, parse
from medbench.text import clean

METHODS: Mapping[str, str] = {
    "none": "no augmentation",
    "balanced": "class balancing",
    "class-weight": "class-weighted loss",
    "focal": "focal loss",
    "under-bagging": "under-bagging",
    "geometric": "rotations, flips, zoom",
    "geometric-offline": "stored rotations, flips, zoom",
    "trivialaugment": "TrivialAugment",
    "randaugment": "RandAugment",
    "mixup": "mixup",
    "cutmix": "CutMix",
    "crops": "random crops",
    "cropmix": "CropMix",
    "yoco": "YOCO",
    "snapmix": "SnapMix",
    "chains": "chains of random changes",
    "augmix": "AugMix",
    "self-mix": "stored self-mixup",
    "self-cutmix": "stored self-CutMix",
    "self-yoco": "stored changed halves",
    "self-cropmix": "stored self-CropMix",
    "self-augmix": "stored self-AugMix",
    "self-jitter": "stored jitter, blur, noise",
    "feature-none": "refitted head",
    "feature-smote": "SMOTE features",
    "feature-gaussian": "Gaussian features",
    "feature-mixup": "manifold mixup",
    "feature-under-bagging": "under-bagged heads",
}
"""Augmenters without a generator, by the name they are registered under."""
OF_GENERATORS: Mapping[str, tuple[str, str]] = {
    "copies": ("resample", "{} images"),
    "acgan": ("acgan", "{} images"),
    "acgan-selected": ("selected", "{} images"),
    "acgan-chosen": ("selected", "{} images"),
    "reacgan": ("reacgan", "{} images"),
    "dcgan": ("dcgan", "{} images"),
    "diffusion": ("diffusion", "{} images"),
    "wgan": ("wgan-clip", "{} images"),
    "hybrid": ("acgan", "hybrid: {} images"),
    "changed-offline": ("changed", "stored {} images"),
    "hybrid-offline": ("wgan-clip", "stored hybrid: {} images"),
    "synthetic-only": ("acgan", "{} images only"),
    "feature-copies": ("resample", "{} features"),
    "feature-acgan": ("feature-acgan", "{} features"),
    "feature-clswgan": ("clswgan", "{} features"),
}
"""Augmenters with a generator: the one they have by default, and how the name is made of its name."""
GENERATORS: Mapping[str, str] = {
    "acgan": "AC-GAN",
    "reacgan": "ReACGAN",
    "dcgan": "DCGAN",
    "wgan-clip": "WGAN",
    "wgan-gp": "WGAN-GP",
    "diffusion": "diffusion",
    "dense-acgan": "dense AC-GAN",
    "map-acgan": "AC-GAN",
    "feature-acgan": "AC-GAN",
    "refined-acgan": "refined AC-GAN",
    "clswgan": "f-CLSWGAN",
    "selected": "selected AC-GAN",
    "rare-only": "rare-class WGAN",
    "resample": "copied",
    "blur": "blurred",
    "shuffled-labels": "mislabelled",
    "transformed": "transformed",
    "changed": "changed",
    "self-mixed": "self-mixed",
}
CLASSIFIERS: Mapping[str, str] = {
    "small-cnn": "Small CNN",
    "vgg16": "VGG-16",
    "inception-v3": "Inception-v3",
    "densenet121-3d": "DenseNet-121 (3-D)",
    "resnet10-3d": "ResNet-10 (3-D)",
    "resnet18-3d": "ResNet-18 (3-D)",
    "unet-features": "U-Net features",
}
HEADS: Mapping[str, str] = {"linear": "Linear layer", "mlp": "Hidden layer", "knn": "Nearest neighbours"}
CHOSEN_NETWORKS: Mapping[str, tuple[str, str, str]] = {
    "timm": ("model", "{} (timm)", "resnet18"),
    "monai": ("network", "{} (MONAI)", "DenseNet121"),
}
"""Classifiers that are one of many: the parameter that says which, how the name is made of it, and its default."""
DATASETS: Mapping[str, str] = {
    "ddti": "Thyroid ultrasound",
    "ddti:benign-malignant": "Thyroid ultrasound, benign or malignant",
    "ddti:tirads": "Thyroid ultrasound, TI-RADS category",
    "vindr-spinexr:abnormal": "Spine radiographs, abnormal or not",
    "vindr-spinexr:case-1": "Spine radiographs, case 1",
    "vindr-spinexr:case-2": "Spine radiographs, case 2",
    "vindr-spinexr:case-3": "Spine radiographs, case 3",
    "vindr-spinexr:lesions": "Spine radiographs, kind of lesion",
    "brain-tumour": "Brain MRI volumes, glioma grade",
    "brain-tumour:slices": "Brain MRI slices, glioma grade",
    "source-brain-tumour:slices": "Other brain MRI slices, glioma grade",
    "mura:abnormal": "Bone radiographs, abnormal or not",
    "mura:part": "Bone radiographs, part of the body",
    "fracatlas:fracture": "Bone radiographs, fracture or not",
    "folder": "Images of your own folder",
}
MEDMNIST = {
    "adrenal": "AdrenalMNIST3D",
    "blood": "BloodMNIST",
    "breast": "BreastMNIST",
    "chest": "ChestMNIST",
    "derma": "DermaMNIST",
    "fracture": "FractureMNIST3D",
    "nodule": "NoduleMNIST3D",
    "oct": "OCTMNIST",
    "organ": "OrganMNIST3D",
    "organa": "OrganAMNIST",
    "organc": "OrganCMNIST",
    "organs": "OrganSMNIST",
    "path": "PathMNIST",
    "pneumonia": "PneumoniaMNIST",
    "retina": "RetinaMNIST",
    "synapse": "SynapseMNIST3D",
    "tissue": "TissueMNIST",
    "vessel": "VesselMNIST3D",
}
"""Names of MedMNIST's sets by the start of their flag."""
MODALITIES: Mapping[str, str] = {
    "brain-tumour": "MRI",
    "source-brain-tumour": "MRI",
    "ddti": "ultrasound",
    "fracatlas": "X-ray",
    "mura": "X-ray",
    "vindr-spinexr": "X-ray",
}
"""How the images of a data set were taken, by the name it is registered under."""
MEDMNIST_MODALITIES: Mapping[str, str] = {
    "adrenal": "CT",
    "blood": "microscopy",
    "breast": "ultrasound",
    "chest": "X-ray",
    "derma": "dermatoscopy",
    "fracture": "CT",
    "nodule": "CT",
    "oct": "OCT",
    "organ": "CT",
    "organa": "CT",
    "organc": "CT",
    "organs": "CT",
    "path": "histopathology",
    "pneumonia": "X-ray",
    "retina": "fundus photography",
    "synapse": "electron microscopy",
    "tissue": "microscopy",
    "vessel": "MR angiography",
}
WITHOUT_DISEASE = frozenset({"0", "absent", "benign", "control", "healthy", "negative", "no", "non", "none", "normal",
                             "not", "without"})  # fmt: skip
"""Words that the name of a class without the disease begins with."""
ADDED = frozenset(
    {
        "geometric",
        "geometric-offline",
        "trivialaugment",
        "randaugment",
        "mixup",
        "cutmix",
        "crops",
        "cropmix",
        "yoco",
        "snapmix",
        "chains",
        "augmix",
        "changed-offline",
        "self-mix",
        "self-cutmix",
        "self-yoco",
        "self-cropmix",
        "self-augmix",
        "self-jitter",
        "copies",
        "feature-mixup",
        "feature-smote",
        "feature-gaussian",
        "feature-copies",
    }
)
"""Methods that keep all their reference does and add something."""


@functools.lru_cache(4096)
def method_name(text: str) -> str:
    """Name a method: ``hybrid[generator=reacgan]`` is ``hybrid: ReACGAN images``.

    Args:
        text: Recipe of an augmenter.
    """
    spec = _parse(text)
    if spec.name not in OF_GENERATORS:
        return _with(METHODS.get(spec.name, spec.name), spec.parameters)
    default, form = OF_GENERATORS[spec.name]
    parameters = dict(spec.parameters)
    generator = _parse(parameters.pop("generator", default))
    base = parameters.pop("base", "")
    name = form.format(GENERATORS.get(generator.name, generator.name))
    if base:
        name += f" on {method_name(base)}"
    if parameters.pop("order", "mixed") == "pretrain":
        name += ", then real ones"
    return _with(name, (*generator.parameters, *parameters.items()))


def step_name(text: str, control: str) -> str:
    """Name a method where it stands below the one it is compared with: ``+ rotations, flips, zoom``.

    Args:
        text: Recipe of an augmenter.
        control: That of its reference; "" where it has none.
    """
    spec, name = _parse(text), method_name(text)
    is_copied = dict(spec.parameters).get("generator") == "resample" and not control.startswith(spec.name)
    if control and (spec.name in ADDED or is_copied):
        return f"+ {name.removeprefix('stored hybrid: ').removeprefix('hybrid: ')}"
    return name


def control_name(text: str) -> str:
    """Name what a method is compared with, as the tree has it: ``hybrid[generator=resample]`` is ``copied images``."""
    return step_name(text, "-").removeprefix("+ ") if is_of_copies(text) else method_name(text)


def is_of_copies(text: str) -> bool:
    """Say whether an augmenter adds training images as they are, in place of generated ones."""
    spec = _parse(text)
    default = OF_GENERATORS.get(spec.name, ("", ""))[0]
    return _parse(dict(spec.parameters).get("generator", default) or "-").name == "resample"


def generator_name(text: str) -> str:
    """Name a generator: ``acgan[steps=500]`` is ``AC-GAN (steps=500)``."""
    spec = _parse(text)
    return _with(GENERATORS.get(spec.name, spec.name), spec.parameters)


@functools.lru_cache(4096)
def classifier_name(text: str) -> str:
    """Name a classifier: ``timm[model=resnet18]`` is ``resnet18 (timm)``; what it begins from stands behind.

    ``frozen`` is a head on frozen features, ``pretrained-on`` a network that learnt other images first.
    """
    spec = _parse(text)
    if spec.name == "frozen":
        return _frozen_name(dict(spec.parameters))
    if spec.name == "pretrained-on":
        return _pretrained_name(dict(spec.parameters))
    key, form, default = CHOSEN_NETWORKS.get(spec.name, ("", "", ""))
    parameters = dict(spec.parameters)
    chosen = parameters.pop(key, default)
    name = form.format(chosen) if chosen else CLASSIFIERS.get(spec.name, spec.name)
    if (weights := parameters.pop("pretrained", "none")) != "none":
        begins = "ImageNet weights" if weights == "imagenet" else f"weights of {weights.rpartition('/')[2]}"
        name = f"{name}, {begins}"
        if parameters.get("trunk") == "0.1":  # unless another is given
            del parameters["trunk"]
    if spec.name == "unet-features" and "source" in parameters:
        name = f"{name} pretrained on {dataset_name(parameters.pop('source'))}"
    return _with(name, tuple(parameters.items()))


def _pretrained_name(parameters: dict[str, str]) -> str:
    network = classifier_name(parameters.pop("classifier", "small-cnn"))
    source, augmenter = parameters.pop("source", ""), parameters.pop("augmenter", "balanced")
    learnt = [dataset_name(source)] * bool(source) + [method_name(augmenter)] * (augmenter != "balanced")
    return _with(f"{network} pretrained on {' and '.join(learnt)}" if learnt else network, tuple(parameters.items()))


def _frozen_name(parameters: dict[str, str]) -> str:
    head = HEADS.get(parameters.pop("head", "linear"), "Head")
    encoder = _parse(parameters.pop("encoder", "timm-features"))
    inner, slices = dict(encoder.parameters), ""
    if encoder.name == "slices":
        encoder, slices = _parse(inner.get("extractor", "timm-features")), " of slices"
        inner = dict(encoder.parameters)
    if (default := {"timm-features": "efficientnet_lite0", "monai-features": "resnet10"}.get(encoder.name)) is not None:
        name = inner.pop("model", default)
        if "/" in (file := inner.pop("weights", "")) or "." in file:
            inner = {"weights": file.rpartition("/")[2], **inner}
        name = _with(name, tuple(inner.items()))
    else:
        name = _with(encoder.name, encoder.parameters)
    return _with(f"{head} on frozen {name} features{slices}", tuple(parameters.items()))


@functools.lru_cache(4096)
def dataset_name(text: str, title: str = "") -> str:
    """Name a data set: ``phantom:ddti`` is ``Thyroid ultrasound (SYNTHETIC images)``.

    Args:
        text: How results call it.
        title: Its own title where one is known, as that of a person's own folder.
    """
    drawn = text.startswith("phantom:")
    spec = _parse(text.removeprefix("phantom:"))
    parameters = dict(spec.parameters)
    if spec.name == "medmnist":
        flag = parameters.pop("flag", "breastmnist")
        start, _, is_3d = flag.partition("mnist")
        name = _with(MEDMNIST.get(start, flag) if is_3d in ("", "3d") else flag, tuple(parameters.items()))
    elif title or spec.name == "folder":
        name = clean(title) or DATASETS["folder"]
    else:
        name = _with(DATASETS.get(spec.name, spec.name), spec.parameters)
    return f"{name} (SYNTHETIC images)" if drawn else name


@functools.lru_cache(4096)
def modality(text: str) -> str:
    """Say how the images of a data set were taken: ``phantom:ddti`` gives ``ultrasound``; "" where it is not known.

    Args:
        text: How results call the data set.
    """
    spec = _parse(text.removeprefix("phantom:"))
    if spec.name == "medmnist":
        flag = dict(spec.parameters).get("flag", "breastmnist")
        return MEDMNIST_MODALITIES.get(flag.partition("mnist")[0], "")
    return MODALITIES.get(spec.name.partition(":")[0], "")


def positive_class(classes: Sequence[str], declared: str = "", of_data: str = "") -> int | None:
    """Return which of two classes is the disease: as a study declares it, as the data set does, or by their names.

    Args:
        classes: Names: ``["benign", "malignant"]`` gives 1, ``["fracture", "no fracture"]`` 0.
        declared: Name of the class, by the study; "" where it declares none.
        of_data: The same by the data set.

    Returns:
        Its position; None where there are not two classes, or their names do not tell.
    """
    declared = declared or of_data
    if declared and len(classes) == 2:
        return [*classes].index(declared) if declared in classes else None
    healthy = [bool(WITHOUT_DISEASE & set(re.split(r"[^a-z0-9]+", name.lower())[:1])) for name in classes]
    return healthy.index(False) if len(classes) == 2 and sum(healthy) == 1 else None


def recall_names(classes: Sequence[str], declared: str = "", of_data: str = "") -> list[str]:
    """Name the recall of each class: ``benign (specificity)``; the class alone without a :func:`positive_class`."""
    positive = positive_class(classes, declared, of_data)
    if positive is None:
        return [*classes]
    return [f"{name} ({'sensitivity' if k == positive else 'specificity'})" for k, name in enumerate(classes)]


def _parse(text: str) -> Spec:
    try:
        return parse(text)
    except UsageError:  # text of a stranger's entry; shown as it is
        return Spec(text)


def _with(name: str, parameters: tuple[tuple[str, str], ...]) -> str:
    """Add what differs from the defaults."""
    return clean(f"{name} ({', '.join(f'{key}={value}' for key, value in parameters)})" if parameters else name)
