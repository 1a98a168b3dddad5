"""What people call a data set, a method or a network, and what it is called here.

Most names of networks and of augmentations that other libraries have are parameters here, or are not built in: whoever
types one is told what to write instead.
"""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

from medbench.registry.display_names import MEDMNIST

_TIMM = re.compile(
    r"(resnet|resnext|wide_resnet|seresnet|efficientnet|tf_efficientnet|densenet|mobilenet|convnext|vit|deit|swin|"
    r"regnet|xception|maxvit|beit|eva|ghostnet|hrnet|inception|resnest|nfnet|mixnet|mnasnet|dpn|coat|poolformer)"
    r"[a-z0-9_.]*|vgg(11|13|16|19)(_bn)?"
)
"""Names of networks as timm has them."""
_SMALLEST: Mapping[str, str] = {
    "resnet": "resnet18",
    "efficientnet": "efficientnet_b0",
    "densenet": "densenet121",
    "mobilenet": "mobilenetv3_small_100",
    "convnext": "convnext_tiny",
    "vit": "vit_tiny_patch16_224",
    "vision_transformer": "vit_tiny_patch16_224",
    "transformer": "vit_tiny_patch16_224",
    "deit": "deit_tiny_patch16_224",
    "swin": "swin_tiny_patch4_window7_224",
    "regnet": "regnety_002",
    "resnext": "resnext50_32x4d",
}
"""Families of networks of timm, and the smallest of each."""
_GEOMETRIC = (
    "flip hflip vflip flips horizontalflip verticalflip randomhorizontalflip randomverticalflip rotate rotation "
    "rotations randomrotation randomrotate90 rot90 safe rotate90 zoom scale scaling randomscale shear translate "
    "translation shift affine randomaffine shiftscalerotate randomzoom "
    "randflip randrotate randaffine randzoom geometric-augmentation spatial standard basic classic classical "
    "traditional default augmentation"
)
_PHOTOMETRIC = (
    "colorjitter colourjitter jitter brightness contrast randombrightnesscontrast gamma randomgamma hue saturation "
    "huesaturationvalue equalize clahe posterize solarize sharpen blur gaussianblur noise gaussnoise gaussiannoise "
    "autocontrast autoaugment intensity rgbshift grayscale randadjustcontrast randgaussiannoise"
)
_OF_METHODS: Mapping[str, str] = {
    _GEOMETRIC: "geometric",
    _PHOTOMETRIC: "trivialaugment",
    "ra rand-augment": "randaugment",
    "aug-mix": "augmix",
    "crop-mix": "cropmix",
    "snap-mix attentive-cutmix": "snapmix",
    "you-only-cut-once": "yoco",
    "randomresizedcrop randomcrop crop": "crops",
    "ta trivial trivial-augment": "trivialaugment",
    "mix-up mix": "mixup",
    "cut-mix cutout erasing randomerasing random-erasing coarsedropout griddropout randcoarsedropout": "cutmix",
    "gan gans generative fake synthetic cgan conditional-gan biggan stylegan stylegan2 pix2pix cyclegan": "acgan",
    "gan-selected filtered": "acgan-selected",
    "wgan-gp wasserstein": "wgan",
    "dc-gan": "dcgan",
    "ddpm ddim diffusion-model stable-diffusion stablediffusion sd latent-diffusion ldm": "diffusion",
    "no nothing raw plain baseline original without": "none",
    "oversampling oversample over-sampling weighted-sampler weightedrandomsampler balance balancing": "balanced",
    "undersampling undersample under-sampling": "under-bagging",
    "weighted weights weighted-loss class-weights weighted-ce": "class-weight",
    "focal-loss": "focal",
    "smote adasyn borderline-smote": "feature-smote",
    "copy duplicate duplicates placebo resample": "copies",
    "gan-and-geometric combined both": "hybrid",
}
_OF_GENERATORS: Mapping[str, str] = {
    "gan cgan conditional-gan": "acgan",
    "biggan stylegan stylegan2 best": "reacgan",
    "wgan wasserstein": "wgan-gp",
    "ddpm ddim stable-diffusion ldm": "diffusion",
    "copies placebo none": "resample",
}
_OF_CLASSIFIERS: Mapping[str, str] = {
    "cnn small simple simple-cnn smallcnn lenet tiny default": "small-cnn",
    "vgg vgg-16": "vgg16",
    "inception inceptionv3 inception_v3": "inception-v3",
    "resnet3d resnet-3d resnet18_3d r3d r3d_18 3d-resnet": "resnet18-3d",
    "densenet3d densenet121_3d 3d-densenet": "densenet121-3d",
    "unet u-net": "unet-features",
    "transfer pretrained finetune": "pretrained-on[source=NAME]",
}
_OF_DATASETS: Mapping[str, str] = {
    "own mine my my-data custom images imagefolder image-folder local csv": "folder",
    "thyroid ultrasound thyroid-ultrasound": "ddti",
    "vindr spinexr spine vindr-spine spine-xray": "vindr-spinexr:abnormal",
    "brats brain glioma mri rembrandt brain-mri": "brain-tumour:slices",
    "mura-v1.1 bone bones": "mura:abnormal",
    "fracatlas fracture fractures": "fracatlas:fracture",
    "mednist med-mnist medmnist2d medmnistv2": "medmnist",
    "medmnist3d": "medmnist[flag=nodulemnist3d]",
}
_TABLES: Mapping[str, Mapping[str, str]] = {
    "augmenter": _OF_METHODS,
    "generator": _OF_GENERATORS,
    "classifier": _OF_CLASSIFIERS,
    "dataset": _OF_DATASETS,
}
NOT_BUILT_IN = (
    "stylegan stylegan2 pix2pix cyclegan biggan augmix autoaugment cutout stable-diffusion stablediffusion adasyn"
)
"""Of those, the ones for which the nearest of its kind is named."""
ELSEWHERE = (
    "ham10000 isic isic2018 isic2019 chexpert chestxray14 nih mimic mimic-cxr padchest covid covidx kvasir aptos "
    "eyepacs messidor camelyon pcam lidc luna16 busi bus-bra ddsm cbis-ddsm inbreast rsna siim oasis adni kits lits "
    "acdc pad-ufes-20 fitzpatrick17k kermany"
)
"""Public data sets without a reader of their own; one's own folder reads most of them."""


def guess_name(kind: str, typed: str, known: Collection[str]) -> str:
    """Return what to write in place of a name that is not registered: a clause, or "" where none is near.

    Args:
        kind: "dataset", "augmenter", "generator" or "classifier"; others have no table.
        typed: The name.
        known: Registered names.
    """
    name = typed.lower().replace(" ", "-")
    if kind == "dataset":
        if (flag := _medmnist(name)) and "medmnist" in known:
            return f"write 'medmnist[flag={flag}]'"
        if name in ELSEWHERE.split():
            return "it has no reader of its own: `medbench init FOLDER` makes a study of your copy of it"
    for names, target in _TABLES.get(kind, {}).items():
        if name in names.split() and target.partition("[")[0] in known:
            reason = "it is not built in, the nearest is" if name in NOT_BUILT_IN.split() else "write"
            return f"{reason} {shlex.quote(target)}"
    if kind == "classifier" and "timm" in known and (model := _timm(name)):
        return f"write 'timm[model={model}]'"
    lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name, lower, n=1)
    return f"did you mean {lower[near[0]]!r}?" if near else ""


def is_path(text: str, *, known: Collection[str] = ()) -> bool:
    """Say whether somebody typed a folder or file where a name is wanted."""
    if not text or text in known:
        return False
    return text.startswith(("/", "./", "../", "~")) or Path(text).is_dir() or Path(text).is_file()


def in_place_of_path(text: str) -> str:
    """Return what to do with a folder that was typed where a name is wanted: a clause."""
    path = Path(text).expanduser()
    if path.is_file():
        path = path.parent
    elif not path.is_dir():
        return "is no folder that is there; give a name, see `medbench list datasets`"
    folder = shlex.quote(str(path))
    return (
        f"is a folder: `medbench init {folder}` makes a study of the images in it, or write -d folder --data {folder}"
    )


def _medmnist(name: str) -> str:
    """Return the flag of MedMNIST that a name means, or ""."""
    flat = re.sub(r"[^a-z0-9]", "", name)
    start, found, rest = flat.partition("mnist")
    if not found or start not in MEDMNIST or not re.fullmatch(r"(3d)?[0-9]*", rest):
        return ""
    return f"{start}mnist3d" if MEDMNIST[start].endswith("3D") else f"{start}mnist"


def _timm(name: str) -> str:
    """Return the model of timm that a name means, or ""."""
    flat = re.sub(r"^timm[/:_-]", "", name).replace("-", "_")
    if flat in _SMALLEST:
        return _SMALLEST[flat]
    flat = re.sub(r"^(resnet|resnext|densenet|vgg)_([0-9])", r"\1\2", flat)
    flat = re.sub(r"^(efficientnet)_?(b[0-9])$", r"\1_\2", flat)
    return flat if _TIMM.fullmatch(flat) else ""
